"""Does the candidate score as the reference does? AP cannot see a model that ranks right but scores low."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from parity.criteria.base import HIGHER_IS_LOOSER, Parameters, Sense
from parity.criteria.limits import EstimateCriterion


class ConfidenceShiftParameters(Parameters):
    """How far a score at the production threshold may be shifted."""

    limit: float = Field(
        0.01, gt=0, lt=1, description="Change of the score, 0 to 1.", json_schema_extra=HIGHER_IS_LOOSER
    )


class ConfidenceShift(EstimateCriterion):
    """How far scores are shifted at the production threshold, by a line through all pairs."""

    name = "confidence_shift"
    estimate = "confidence.shift"
    limit = "limit"
    sense: ClassVar[Sense] = "within"
    parameters = ConfidenceShiftParameters
