"""Does the candidate answer as many images? By the answers a second that a closed loop reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from parity.criteria.base import HIGHER_IS_LOOSER, Sense
from parity.criteria.ratios import RatioCriterion, RatioParameters
from parity.load.ratios import Ratio, throughput_ratios
from parity.serving.evidence import LoadStep


class ThroughputParameters(RatioParameters):
    """How much of the reference's throughput the candidate may lose."""

    limit_percent: float = Field(
        0.0,
        ge=0,
        lt=100,
        description="Most loss, percent of the reference's.",
        json_schema_extra=HIGHER_IS_LOOSER,
    )


class Throughput(RatioCriterion):
    """Ratio of the throughputs at every concurrency.

    Open loops are left out: until a path is overloaded, their throughput is the rate that was asked for.
    """

    name = "throughput"
    sense: ClassVar[Sense] = "at_least"
    parameters = ThroughputParameters

    def limit(self, parameters: ThroughputParameters) -> float:
        """The least ratio that the policy lets through."""
        return 1 - parameters.limit_percent / 100

    def tells(self, step: LoadStep) -> bool:
        """Only closed loops find out how much a path can do."""
        return step.loop == "closed"

    def ratios(self, steps: Sequence[LoadStep], confidence: float) -> list[Ratio]:
        """Over 1 the candidate answers more."""
        return throughput_ratios(steps, confidence)
