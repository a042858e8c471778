"""Do both sides see the same boxes, ground truth aside? AP ranks, and so hides moves and rescoring."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from parity.criteria.base import (
    HIGHER_IS_LOOSER,
    LOWER_IS_LOOSER,
    CriterionResult,
    Needs,
    Outcome,
    PairEvidence,
    Parameters,
)
from parity.statistics import binomial_interval


class BoxAgreementParameters(Parameters):
    """Which detections are compared, how far a matched pair may differ, and how many must agree."""

    limit_percent: float = Field(
        99.0,
        gt=0,
        le=100,
        description="Least share of agreeing detections.",
        json_schema_extra=LOWER_IS_LOOSER,
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, json_schema_extra=LOWER_IS_LOOSER)
    score: float = Field(
        0.25,
        ge=0,
        lt=1,
        description="Detections under it are only partners.",
        json_schema_extra=HIGHER_IS_LOOSER,
    )
    iou: float = Field(
        0.5, gt=0, le=1, description="Least IoU of a match.", json_schema_extra=LOWER_IS_LOOSER
    )
    moved_iou: float = Field(
        0.95, gt=0, le=1, description="A matched pair under it has moved.", json_schema_extra=LOWER_IS_LOOSER
    )
    rescored_by: float = Field(
        0.02,
        ge=0,
        le=1,
        description="A pair whose scores differ by more is rescored.",
        json_schema_extra=HIGHER_IS_LOOSER,
    )


class BoxAgreement:
    """Share of detections with a partner of the same class that neither moved nor was rescored."""

    name = "box_agreement"
    needs: ClassVar[Needs] = "answers"
    parameters = BoxAgreementParameters

    def judge(self, evidence: PairEvidence, parameters: BoxAgreementParameters) -> CriterionResult:
        """PASS when the exact binomial interval of the share is at or over the limit as a whole."""
        n, agreeing, limit = evidence.compared, evidence.agreeing, parameters.limit_percent
        if n == 0:
            return self._result(
                Outcome.INCONCLUSIVE, None, limit, None, 0, "No detection reached the score that is compared."
            )
        low, high = binomial_interval(agreeing, n, parameters.confidence)
        observed, interval = 100 * agreeing / n, (100 * low, 100 * high)
        kinds = ", ".join(f"{count} {kind}" for kind, count in evidence.disagreement.items() if count)
        seen = f"{agreeing} of {n} detections agree" + (f" ({kinds})" if kinds else "")
        if observed < limit:
            outcome, message = Outcome.FAIL, f"{seen}; at least {limit:g} % must."
        elif interval[0] >= limit:
            outcome, message = Outcome.PASS, f"{seen}, surely at least {limit:g} %."
        else:
            outcome = Outcome.INCONCLUSIVE
            message = (
                f"{seen}; the interval starts at {interval[0]:.2f} %, under {limit:g} %: "
                "more images are needed."
            )
        return self._result(outcome, observed, limit, interval, n, message)

    def _result(
        self,
        outcome: Outcome,
        observed: float | None,
        limit: float,
        interval: tuple[float, float] | None,
        n: int,
        message: str,
    ) -> CriterionResult:
        return CriterionResult(
            name=self.name,
            outcome=outcome,
            observed=observed,
            limit=limit,
            unit="% of detections",
            sense="at_least",
            interval=interval,
            n=n,
            message=message,
        )
