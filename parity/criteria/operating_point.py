"""Does the product change at the score threshold it runs at? AP looks at all thresholds, users at one."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from parity.criteria.base import HIGHER_IS_LOOSER, NEITHER_IS_LOOSER, Parameters, Sense
from parity.criteria.limits import EstimateCriterion


class OperatingPointParameters(Parameters):
    """The production threshold, and how far F1 may change at it."""

    limit_points: float = Field(
        1.0, gt=0, description="Points of F1, 0 to 100.", json_schema_extra=HIGHER_IS_LOOSER
    )
    score: float = Field(
        0.5, ge=0, lt=1, description="The production score threshold.", json_schema_extra=NEITHER_IS_LOOSER
    )


class OperatingPoint(EstimateCriterion):
    """Change of F1 against ground truth at IoU 0.5 and the production threshold."""

    name = "operating_point"
    estimate = "operating_point.f1.change"
    limit = "limit_points"
    sense: ClassVar[Sense] = "within"
    parameters = OperatingPointParameters


class FlipRateParameters(Parameters):
    """How many detections may appear or vanish at the production threshold."""

    limit_percent: float = Field(
        1.0, gt=0, le=100, description="Percent of the detections there.", json_schema_extra=HIGHER_IS_LOOSER
    )


class FlipRate(EstimateCriterion):
    """Share of detections at the production threshold that only one side shows."""

    name = "flip_rate"
    estimate = "operating_point.flip_rate"
    limit = "limit_percent"
    sense: ClassVar[Sense] = "at_most"
    parameters = FlipRateParameters
