"""Are answers the same in any batch? What an engine computes beside an image must not change the image's."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from parity.criteria.base import HIGHER_IS_LOOSER, LOWER_IS_LOOSER, Outcome, Parameters, Sense
from parity.criteria.serving import Finding, ServingCriterion, amount, inconclusive, largest, named
from parity.serving.evidence import BatchInvariance as Evidence
from parity.serving.evidence import ServingEvidence


class BatchInvarianceParameters(Parameters):
    """How few images are too few, and how much noise is too much to decide anything."""

    least_images: int = Field(
        4,
        ge=2,
        description="Different images; one has nothing to be beside.",
        json_schema_extra=LOWER_IS_LOOSER,
    )
    most_noise_score: float = Field(
        0.01, gt=0, le=1, description="Of the noise floor, share of 1.", json_schema_extra=HIGHER_IS_LOOSER
    )
    most_noise_pixels: float = Field(
        1.0, gt=0, description="Of the noise floor, pixels of the image.", json_schema_extra=HIGHER_IS_LOOSER
    )


class BatchInvariance(ServingCriterion):
    """Answers that differ from the image's own alone by more than noise; none may.

    A batch size up to the maximum without an answer fails too, since the configuration promises one.
    INCONCLUSIVE where the path is too noisy by itself, where the server put no concurrent requests together
    although it may, or does not tell, so that nothing is shown of its own batches.
    """

    name = "batch_invariance"
    unit = "answers"
    sense: ClassVar[Sense] = "at_most"
    parameters = BatchInvarianceParameters

    def limit(self, parameters: BatchInvarianceParameters) -> float:
        """None may differ."""
        return 0.0

    def find(self, serving: ServingEvidence, parameters: BatchInvarianceParameters) -> Finding:
        """Judge the any-batch test."""
        found = serving.batches
        if found is None:
            return inconclusive("Batches were not tried.")
        outcome, message = _decide(found, parameters)
        return Finding(
            outcome=outcome,
            message=message,
            observed=float(found.differing) if found.checks else None,
            n=found.checks,
        )


def _decide(found: Evidence, parameters: BatchInvarianceParameters) -> tuple[Outcome, str]:
    seen = f"{found.checks} answers on {found.images} images in batches up to {max(1, found.max_batch)}"
    if found.noise_score > parameters.most_noise_score or found.noise_pixels > parameters.most_noise_pixels:
        return Outcome.INCONCLUSIVE, (
            f"Alone, the path differs from itself by {amount(found.noise_score, found.noise_pixels)}, "
            "too much to see what batches do."
        )
    if found.differing:
        told = f"{found.differing} of {seen} differ from those alone, of {named(found.differing_images)}"
        return Outcome.FAIL, f"{told}.{largest(found.largest)}"
    if found.failed:
        return Outcome.FAIL, f"{found.failed} requests got no answer: {found.reason or 'no reason was told'}."
    return _shown(found, parameters, seen)


def _shown(found: Evidence, parameters: BatchInvarianceParameters, seen: str) -> tuple[Outcome, str]:
    """PASS, unless something was not shown."""
    lacking = ""
    if found.reason:
        lacking = found.reason
    elif found.checks == 0 or found.images < parameters.least_images:
        lacking = f"at least {parameters.least_images} images are needed"
    elif found.concurrent == 0:
        lacking = "nothing was sent at the same time"
    elif found.max_batch > 1 and found.formed is None:
        lacking = "whether the server formed batches of concurrent requests is not known"
    elif found.max_batch > 1 and max(found.formed or {0: 0}) < 2:
        lacking = "the server put no concurrent requests together"
    if lacking:
        return Outcome.INCONCLUSIVE, f"{seen} are equal, but: {lacking}."
    return Outcome.PASS, f"{seen} are those alone within noise.{largest(found.largest)}"
