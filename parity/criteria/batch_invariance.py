"""Are answers the same in any batch? What an engine computes beside an image must not change the image's."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from parity.answers import places, sizes
from parity.criteria.base import LOWER_IS_LOOSER, Outcome, Sense
from parity.criteria.own_noise import NoiseParameters, amount, largest
from parity.criteria.serving import Finding, ServingCriterion, inconclusive, named
from parity.serving.evidence import BatchInvariance as Evidence
from parity.serving.evidence import ServingEvidence


class BatchInvarianceParameters(NoiseParameters):
    """How few images are too few, and how much noise is too much to decide anything."""

    least_images: int = Field(
        4,
        ge=2,
        description="Different images; one has nothing to be beside.",
        json_schema_extra=LOWER_IS_LOOSER,
    )


class BatchInvariance(ServingCriterion):
    """Answers that differ from the image's own alone by more than noise; none may.

    A batch size up to the maximum without an answer fails too, since the configuration promises one.
    INCONCLUSIVE where the path is too noisy by itself or detects nothing, where the server put no concurrent
    requests together although it may, or does not tell, so that nothing is shown of its own batches, and
    where not every size was compared, or no image in every row of each size up to 8.
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
    if not parameters.allows(found.noise_score, found.noise_pixels):
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
    lacking = found.reason or _uncovered(found, parameters) or _unbatched(found)
    if lacking:
        return Outcome.INCONCLUSIVE, f"{seen} are equal, but: {lacking}."
    told = f"{seen} are those alone within noise, one image's in all {found.places} places of a batch"
    return Outcome.PASS, f"{told}.{largest(found.largest)}"


def _uncovered(found: Evidence, parameters: BatchInvarianceParameters) -> str:
    """What was not compared, or ""."""
    if found.checks == 0 or found.images < parameters.least_images:
        return f"at least {parameters.least_images} images are needed"
    if found.detections == 0:
        return "the answers alone hold no detection that could be lost"
    absent = [str(size) for size in sizes(found.max_batch) if size not in found.sizes]
    if absent:
        return f"nothing was compared in batches of {named(absent)}"
    wanted = len(places(found.max_batch))
    if found.places != wanted or found.places_seen < wanted:
        return f"no image was compared in more than {found.places_seen} of {wanted} places of a batch"
    if found.checks - found.concurrent < wanted:
        return f"{found.checks - found.concurrent} answers in batches cannot be from {wanted} places"
    return ""


def _unbatched(found: Evidence) -> str:
    """What is not known of the batches that the server forms itself, or ""."""
    if found.concurrent == 0:
        return "nothing was sent at the same time"
    if found.max_batch <= 1:
        return ""
    if found.formed is None:
        return "whether the server formed batches of concurrent requests is not known"
    if not any(size > 1 and executions > 0 for size, executions in found.formed.items()):
        return "the server put no concurrent requests together"
    return ""
