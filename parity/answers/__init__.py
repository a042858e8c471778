"""Are answers the same whatever goes on around them: in any batch, under load, after a repeat?"""

from __future__ import annotations

from parity.answers.batches import any_batch
from parity.answers.company import places, sizes
from parity.answers.difference import Difference, compare, unusable
from parity.answers.noise import LEAST, Cut, Noise
from parity.answers.repeats import Answers, noise_floor, telling
from parity.answers.under_load import under_load

__all__ = [
    "LEAST",
    "Answers",
    "Cut",
    "Difference",
    "Noise",
    "any_batch",
    "compare",
    "noise_floor",
    "places",
    "sizes",
    "telling",
    "under_load",
    "unusable",
]
