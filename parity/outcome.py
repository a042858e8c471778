"""The three words of every verdict."""

from __future__ import annotations

from enum import Enum


class Outcome(str, Enum):
    """What a criterion, a pair or a run comes to."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
