"""What a load run does: which loads, how often, on what work, and when a step may end."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from parity.errors import UsageError, join_problems
from parity.serving.evidence import Work, load_name

Arrivals = Literal["constant", "poisson"]
CONCURRENCIES = (1, 2, 4, 8, 16)
MOST_CONCURRENT = 10_000
MOST_RATE = 100_000.0
"""Requests a second; far over what one client can send."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """One load: a closed loop at a concurrency, or an open loop at a rate with its arrivals.

    concurrency: requests under way at a time, 1 to 10,000. rate: requests a second. Exactly one of the two
    is given; `closed` and `opened` see to that.
    """

    concurrency: int | None = None
    rate: float | None = None
    arrivals: Arrivals | None = None

    @property
    def loop(self) -> Literal["closed", "open"]:
        """Whether answers make room for requests, or requests come by the clock."""
        return "open" if self.concurrency is None else "closed"

    @property
    def label(self) -> str:
        """For progress and messages."""
        return load_name(self)


def closed(concurrency: int) -> Load:
    """A closed loop. Raises UsageError for a concurrency outside 1 to 10,000."""
    if not 1 <= concurrency <= MOST_CONCURRENT:
        raise UsageError(f"concurrency {concurrency}", expected=f"a whole number from 1 to {MOST_CONCURRENT}")
    return Load(concurrency=concurrency)


def opened(rate: float, arrivals: Arrivals = "poisson") -> Load:
    """An open loop. Raises UsageError for a rate that is not over 0 and at most 100,000."""
    if not 0 < rate <= MOST_RATE:  # neither is true of NaN
        expected = f"requests a second, over 0 and at most {MOST_RATE:,.0f}"
        raise UsageError(f"request rate {rate:g}", expected=expected)
    return Load(rate=float(rate), arrivals=arrivals)


@dataclass(frozen=True, kw_only=True)
class StepRules:
    """When a step's warm-up and its measured part end. Times in seconds.

    warmup_requests, warmup_s: both must be reached before anything counts; warmup_most_s ends the wait for
    requests that no server answers. window_s, window_requests: a window lasts until both are reached.
    least_windows, least_requests: what a step takes at least. most_s: what it takes at most, stable or not.
    tolerance: how far the last windows of a stable step may lie apart, as max / min - 1. give_up_s: a
    step ends after so long without a single answer. drain_s: how long answers are waited for at the end.
    """

    warmup_requests: int = 50
    warmup_s: float = 2.0
    warmup_most_s: float = 30.0
    window_s: float = 1.0
    window_requests: int = 100
    least_windows: int = 5
    least_requests: int = 1000
    most_s: float = 60.0
    tolerance: float = 0.10
    give_up_s: float = 10.0
    drain_s: float = 30.0

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {getattr(self, name):g}, expected {'at least' if zero else 'over'} 0"
            for name, zero in (
                ("warmup_requests", True),
                ("warmup_s", True),
                ("warmup_most_s", True),
                ("window_s", False),
                ("window_requests", False),
                ("least_windows", False),
                ("least_requests", False),
                ("most_s", False),
                ("tolerance", False),
                ("give_up_s", False),
                ("drain_s", True),
            )
            if not _in_range(getattr(self, name), zero)
        ]
        if self.most_s < self.window_s:
            problems.append(f"most_s is {self.most_s:g}, less than a window of {self.window_s:g} s")
        if problems:
            raise UsageError(join_problems(problems), where="load")


def _in_range(value: float, zero: bool) -> bool:
    return math.isfinite(value) and (value >= 0 if zero else value > 0)


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """A whole run: each load `turns` times on the reference and the candidate in turn (A B B A).

    work: `image` has everything from the file's bytes to boxes under the clock, `tensor` the request alone.
    most_images, most_bytes: the working set that is kept in memory and sent again and again.
    most_under_way, most_payload_bytes: an open loop's bound; what exceeds it fails as `not-sent`.
    check_every: with `tensor`, of every so many answers one is decoded, drawn by lot; with `image` all are.
    keep: answers kept a step, to compare with the quiet run's. seed: of arrivals, and of which answers are
    decoded and kept.
    """

    loads: tuple[Load, ...] = field(default_factory=lambda: tuple(closed(n) for n in CONCURRENCIES))
    turns: int = 3
    work: Work = "image"
    rules: StepRules = field(default_factory=StepRules)
    most_images: int = 256
    most_bytes: int = 512 << 20
    most_under_way: int = 10_000
    most_payload_bytes: int = 2 << 30
    check_every: int = 10
    keep: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.loads or len(set(self.loads)) != len(self.loads):
            raise UsageError(
                "no load" if not self.loads else "a load twice", where="load", expected="different loads"
            )
        counts = ("turns", "most_images", "most_bytes", "most_under_way", "most_payload_bytes", "check_every")
        wrong = [f"{name} is {getattr(self, name)}" for name in counts if getattr(self, name) < 1]
        if self.keep < 0:
            wrong.append(f"keep is {self.keep}")
        if wrong:
            raise UsageError(join_problems(wrong), where="load", expected="at least 1 (keep: 0)")
