"""Whether a step has come to rest: the last windows lie close together in throughput and in p95.

The rule is perf_analyzer's (its `--stability-percentage`, documented in its docs/cli.md): of the last three
windows the largest value is at most so many percent over the smallest, in throughput and in latency. There
the latency is the mean unless `--percentile` is given; here it is p95, which the rollout's criterion judges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WINDOWS = 3


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the rule looks at in one window. rate: answers a second. p95: ms, None without answers."""

    rate: float
    p95: float | None


@dataclass(frozen=True, kw_only=True)
class Stability:
    """Whether the last windows agree, and in words what was seen."""

    stable: bool
    told: str


def stability(windows: Sequence[Seen], tolerance: float) -> Stability:
    """Judge the last three windows. tolerance: most that max / min may be over 1, such as 0.1."""
    if len(windows) < WINDOWS:
        told = f"{len(windows)} window{'' if len(windows) == 1 else 's'}, {WINDOWS} are looked at"
        return Stability(stable=False, told=told)
    last = windows[-WINDOWS:]
    latencies = [window.p95 for window in last if window.p95 is not None]
    if len(latencies) < WINDOWS or min(window.rate for window in last) <= 0:
        return Stability(stable=False, told=f"one of the last {WINDOWS} windows had no answers")
    spreads = {"throughput": _spread([window.rate for window in last]), "p95": _spread(latencies)}
    apart = ", ".join(f"{name} {100 * spread:.1f} %" for name, spread in spreads.items())
    return Stability(
        stable=all(spread <= tolerance for spread in spreads.values()),
        told=f"last {WINDOWS} windows apart by: {apart} (limit {100 * tolerance:g} %)",
    )


def _spread(values: Sequence[float]) -> float:
    return max(values) / min(values) - 1 if min(values) > 0 else math.inf
