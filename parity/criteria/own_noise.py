"""What criteria have in common that hold a path's answers to its own."""

from __future__ import annotations

from pydantic import Field

from parity.criteria.base import HIGHER_IS_LOOSER, Parameters
from parity.serving.evidence import Deviation


class NoiseParameters(Parameters):
    """How much a path may differ from itself before it cannot be judged by itself."""

    most_noise_score: float = Field(
        0.01, gt=0, le=1, description="Of the noise floor, share of 1.", json_schema_extra=HIGHER_IS_LOOSER
    )
    most_noise_pixels: float = Field(
        1.0, gt=0, description="Of the noise floor, pixels of the image.", json_schema_extra=HIGHER_IS_LOOSER
    )

    def allows(self, score: float, pixels: float) -> bool:
        """Whether a noise floor leaves room to see anything else."""
        return score <= self.most_noise_score and pixels <= self.most_noise_pixels


def amount(score: float, pixels: float) -> str:
    """A difference between answers in words."""
    return f"{score:.2g} in score and {pixels:.2g} pixels"


def largest(deviation: Deviation | None) -> str:
    """A sentence about the largest difference, or nothing."""
    if deviation is None:
        return ""
    if deviation.score == deviation.box_pixels == 0:
        return " None differs at all."
    return f" The largest is {amount(deviation.score, deviation.box_pixels)}: {deviation.where}."
