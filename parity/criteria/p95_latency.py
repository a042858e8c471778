"""Is the candidate no slower? By the latency that one request in twenty exceeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from parity.criteria.base import HIGHER_IS_LOOSER, Sense
from parity.criteria.ratios import RatioCriterion, RatioParameters
from parity.load.ratios import Ratio, p95_ratios
from parity.serving.evidence import LoadStep


class P95LatencyParameters(RatioParameters):
    """How much of the reference's p95 the candidate may take."""

    limit_ratio: float = Field(
        1.0, gt=0, description="Most that candidate / reference may be.", json_schema_extra=HIGHER_IS_LOOSER
    )


class P95Latency(RatioCriterion):
    """Ratio of the p95 latencies, from the picture's bytes to its boxes, under every load."""

    name = "p95_latency"
    sense: ClassVar[Sense] = "at_most"
    parameters = P95LatencyParameters

    def limit(self, parameters: P95LatencyParameters) -> float:
        """The policy's."""
        return parameters.limit_ratio

    def tells(self, step: LoadStep) -> bool:
        """Every load has a latency."""
        return True

    def ratios(self, steps: Sequence[LoadStep], confidence: float) -> list[Ratio]:
        """Under 1 the candidate is faster."""
        return p95_ratios(steps, confidence)
