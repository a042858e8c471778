"""Does the reference agree with itself? A limit below its own noise can decide nothing."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from parity.criteria.base import HIGHER_IS_LOOSER, Parameters, Sense
from parity.criteria.limits import EstimateCriterion


class NoiseFloorParameters(Parameters):
    """How far the reference's AP may change between two runs of its own."""

    limit_percent: float = Field(
        0.05, gt=0, description="Percent of the reference's AP.", json_schema_extra=HIGHER_IS_LOOSER
    )


class NoiseFloor(EstimateCriterion):
    """Relative AP change of a stored repeat of the reference; without one it is INCONCLUSIVE."""

    name = "noise_floor"
    estimate = "noise_floor.AP"
    limit = "limit_percent"
    sense: ClassVar[Sense] = "within"
    parameters = NoiseFloorParameters
