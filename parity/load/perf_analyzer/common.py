"""What both formats of perf_analyzer have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from parity.load.plan import MOST_CONCURRENT
from parity.serving.evidence import LoadStep, SideName

MOST_STEPS = 10_000
NOT_TOLD = "perf_analyzer does not write whether the measurement became stable"


class UnusableError(Exception):
    """A file that cannot be used, with everything that is wrong with it."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True, kw_only=True)
class GivenLoad:
    """The load of a line or an experiment, as it stands in the file: one of the two."""

    concurrency: float | None = None
    rate: float | None = None

    @property
    def problem(self) -> str:
        """What cannot be about it; empty when it can."""
        if self.concurrency is not None:
            whole = math.isfinite(self.concurrency) and self.concurrency % 1 == 0
            if not whole or not 1 <= self.concurrency <= MOST_CONCURRENT:
                return f"a concurrency of {self.concurrency:g}, expected 1 to {MOST_CONCURRENT}"
        elif self.rate is None or not (math.isfinite(self.rate) and self.rate > 0):
            return f"a request rate of {self.rate}, expected more than 0"
        return ""

    def step(self, side: SideName, **measured: Any) -> LoadStep:
        """A step under this load. It is the first of its load, and nothing is known of stability."""
        return LoadStep(
            side=side,
            turn=0,
            loop="open" if self.concurrency is None else "closed",
            concurrency=None if self.concurrency is None else int(self.concurrency),
            rate=self.rate,
            arrivals=None,
            warmup_requests=None,
            sent=None,
            stable=False,
            stability=NOT_TOLD,
            **measured,
        )


def repeated(steps: Sequence[LoadStep]) -> list[str]:
    """A problem for each load that is there more than once."""
    seen: set[tuple[int | None, float | None]] = set()
    problems = []
    for step in steps:
        load = (step.concurrency, step.rate)
        if load in seen:
            problems.append(f"the load {step.concurrency or step.rate:g} is there twice")
        seen.add(load)
    return problems
