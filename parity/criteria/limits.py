"""What criteria have in common that hold one estimate to one limit."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from parity.criteria.base import CriterionResult, Estimate, Needs, Outcome, PairEvidence, Parameters, Sense


class EstimateCriterion:
    """Holds the estimate called `estimate` to the parameter called `limit`.

    FAIL when the value itself breaks the limit; PASS only when its whole interval keeps it; otherwise, and
    whenever value or interval is missing or not finite, INCONCLUSIVE. Exactly on the limit breaks a limit of
    a difference ("within") and keeps one of a share or a size, as the words "within" and "at least" say.
    """

    needs: ClassVar[Needs] = "answers"
    name: ClassVar[str]
    estimate: ClassVar[str]
    limit: ClassVar[str]
    sense: ClassVar[Sense]
    parameters: ClassVar[type[Parameters]]

    def judge(self, evidence: PairEvidence, parameters: Any) -> CriterionResult:
        """Judge the estimate."""
        limit = float(getattr(parameters, self.limit))
        found = evidence.estimates.get(self.estimate)
        outcome, message = _decide(found, limit, self.sense)
        return CriterionResult(
            name=self.name,
            outcome=outcome,
            observed=None if found is None else found.value,
            limit=limit,
            unit=found.unit if found is not None else "",
            sense=self.sense,
            interval=None if found is None else found.interval,
            n=0 if found is None else found.n,
            message=message,
        )


def keeps(value: float, limit: float, sense: Sense) -> bool:
    """Whether one number keeps the limit; one that is not finite never does."""
    if not math.isfinite(value):
        return False
    if sense == "within":
        return abs(value) < limit
    return value >= limit if sense == "at_least" else value <= limit


def _decide(found: Estimate | None, limit: float, sense: Sense) -> tuple[Outcome, str]:
    if found is None:
        return Outcome.INCONCLUSIVE, "It was not measured."
    if found.value is None:
        return Outcome.INCONCLUSIVE, f"{_opening(found.label)} is undefined: {found.reason}."
    unit = f" {found.unit}" if found.unit else ""
    seen = f"{_opening(found.label)} is {found.value:.4g}{unit}"
    wanted = {"within": "within", "at_least": "at least", "at_most": "at most"}[sense] + f" {limit:g}{unit}"
    if not keeps(found.value, limit, sense):
        return Outcome.FAIL, f"{seen}; it must be {wanted}."
    if found.interval is None:
        return Outcome.INCONCLUSIVE, f"{seen}, and its interval is undefined: {found.reason}."
    low, high = found.interval
    span = f"interval {low:.4g} to {high:.4g}{unit}"
    if low <= high and keeps(low, limit, sense) and keeps(high, limit, sense):
        return Outcome.PASS, f"{seen}, {span}: all of it {wanted}."
    return Outcome.INCONCLUSIVE, f"{seen}, {span}: not all of it {wanted}; more images are needed."


def _opening(label: str) -> str:
    return label[:1].upper() + label[1:]
