"""Is COCO AP unchanged? The success criterion that the whole rollout turns on."""

from __future__ import annotations

import math
from typing import ClassVar

from pydantic import Field, model_validator
from typing_extensions import Self

from parity.criteria.base import (
    HIGHER_IS_LOOSER,
    LOWER_IS_LOOSER,
    CriterionResult,
    Needs,
    Outcome,
    PairEvidence,
    Parameters,
)
from parity.statistics import equivalence, images_that_would_decide, least_resamples


class MapVarianceParameters(Parameters):
    """Limit of the relative AP difference, and how its interval is drawn."""

    limit_percent: float = Field(
        0.1,
        gt=0,
        le=100,
        description="Percent of the reference's AP@[.50:.95].",
        json_schema_extra=HIGHER_IS_LOOSER,
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, json_schema_extra=LOWER_IS_LOOSER)
    resamples: int = Field(1000, ge=100, le=100_000, json_schema_extra=LOWER_IS_LOOSER)
    least_images: int = Field(
        30,
        ge=2,
        description="Fewer images or groups are never enough for PASS.",
        json_schema_extra=LOWER_IS_LOOSER,
    )

    @model_validator(mode="after")
    def _enough_resamples(self) -> Self:
        least = least_resamples(self.confidence)
        if self.resamples < least:
            raise ValueError(f"a confidence of {self.confidence:g} takes at least {least} resamples")
        return self


class MapVariance:
    """Relative difference of AP in percent of the reference's AP, with its paired bootstrap interval.

    At or over the limit in either direction: FAIL. PASS only when the whole interval is inside the
    limit; otherwise INCONCLUSIVE, with the number of images that would decide it.
    """

    name = "map_variance"
    needs: ClassVar[Needs] = "answers"
    parameters = MapVarianceParameters

    def judge(self, evidence: PairEvidence, parameters: MapVarianceParameters) -> CriterionResult:
        """Apply the second law of the design to the relative difference."""
        n, limit = evidence.units, parameters.limit_percent
        value, interval = evidence.ap_difference, evidence.ap_interval
        if value is None:
            outcome = Outcome.INCONCLUSIVE
            message = f"The AP difference is undefined: {evidence.ap_reason}."
        elif interval is None:
            outcome = Outcome.FAIL if abs(value) >= limit else Outcome.INCONCLUSIVE
            message = f"AP changed by {value:+.4f} %, and its interval is undefined: {evidence.ap_reason}."
        else:
            outcome = Outcome(equivalence(value, interval, limit))
            message = _sentence(outcome, value, interval, limit, n, len(evidence.answered_by_both))
        if outcome is Outcome.PASS and n < parameters.least_images:
            outcome = Outcome.INCONCLUSIVE
            message = (
                f"{n} images or groups are too few for PASS; the policy asks for {parameters.least_images}."
            )
        return CriterionResult(
            name=self.name,
            outcome=outcome,
            observed=value,
            limit=limit,
            unit="% of reference AP",
            sense="within",
            interval=interval,
            n=n,
            message=message,
        )


def _sentence(
    outcome: Outcome, value: float, interval: tuple[float, float], limit: float, units: int, images: int
) -> str:
    """units: what was resampled, images or groups of them; images: how many they are together."""
    seen = f"AP changed by {value:+.4f} %, interval {interval[0]:+.4f} to {interval[1]:+.4f} %"
    if outcome is Outcome.PASS:
        return f"{seen}: all of it inside the limit of {limit:g} %."
    if outcome is Outcome.FAIL:
        return f"{seen}: the measured change is at or over the limit of {limit:g} %."
    needed = images_that_would_decide(units, interval, value, limit)
    advice = f"about {needed} images like these would decide it" if needed else "more images are needed"
    if needed and units < images:
        several = math.ceil(needed * images / units)
        advice = f"about {needed} groups like these, some {several} images, would decide it"
    return f"{seen}: it reaches over the limit of {limit:g} %; {advice}."
