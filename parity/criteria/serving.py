"""What criteria have in common that judge how both sides serve."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from parity.criteria.base import (
    CriterionResult,
    Interval,
    Needs,
    Outcome,
    PairEvidence,
    Parameters,
    Sense,
)
from parity.serving.evidence import LoadStep, ServingEvidence, SideName

MOST_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a criterion made of the evidence; the fields are those of `CriterionResult`."""

    outcome: Outcome
    message: str
    observed: float | None = None
    interval: Interval | None = None
    n: int = 0


class ServingCriterion(ABC):
    """Judges `PairEvidence.serving`; without any it is INCONCLUSIVE."""

    needs: ClassVar[Needs] = "serving"
    name: ClassVar[str]
    unit: ClassVar[str]
    sense: ClassVar[Sense]
    parameters: ClassVar[type[Parameters]]

    def judge(self, evidence: PairEvidence, parameters: Any) -> CriterionResult:
        """Judge the evidence."""
        serving = evidence.serving
        if serving is None:
            found = Finding(outcome=Outcome.INCONCLUSIVE, message="Serving was not measured.")
        else:
            found = self.find(serving, parameters)
        return CriterionResult(
            name=self.name,
            outcome=found.outcome,
            observed=found.observed,
            limit=self.limit(parameters),
            unit=self.unit,
            sense=self.sense,
            interval=found.interval,
            n=found.n,
            message=found.message,
        )

    @abstractmethod
    def find(self, serving: ServingEvidence, parameters: Any) -> Finding:
        """What is to be said of the evidence."""

    @abstractmethod
    def limit(self, parameters: Any) -> float:
        """The limit, in `unit`."""


def inconclusive(message: str, *, observed: float | None = None, n: int = 0) -> Finding:
    """Nothing can be decided."""
    return Finding(outcome=Outcome.INCONCLUSIVE, message=message, observed=observed, n=n)


def of_side(serving: ServingEvidence, side: SideName) -> list[LoadStep]:
    """The steps of one side, in their order."""
    return [step for step in serving.steps if step.side == side]


def named(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    every = list(names)
    more = len(every) - MOST_NAMED
    return ", ".join(every[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
