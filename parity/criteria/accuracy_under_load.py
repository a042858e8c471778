"""Are answers under load those of a quiet server? Fast and wrong would pass every other serving criterion."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from parity.criteria.base import LOWER_IS_LOOSER, Outcome, Sense
from parity.criteria.own_noise import NoiseParameters, amount, largest
from parity.criteria.serving import Finding, ServingCriterion, inconclusive, named
from parity.serving.evidence import ServingEvidence, UnderLoad


class AccuracyUnderLoadParameters(NoiseParameters):
    """How few answers are too few, and how much noise is too much to decide anything."""

    least_answers: int = Field(
        30, ge=2, description="Answers of each side that were compared.", json_schema_extra=LOWER_IS_LOOSER
    )
    least_images: int = Field(
        10, ge=2, description="Different images among them, on each side.", json_schema_extra=LOWER_IS_LOOSER
    )


class AccuracyUnderLoad(ServingCriterion):
    """The candidate's kept answers that differ from the quiet run's by more than noise; none may.

    A reference whose answers change under load is no measure for anything: INCONCLUSIVE, as is an image of
    which nothing could be compared, or a side that detects nothing and so has nothing to lose. Answers that
    failed are `error_rate`'s; here they are told.
    """

    name = "accuracy_under_load"
    unit = "answers"
    sense: ClassVar[Sense] = "at_most"
    parameters = AccuracyUnderLoadParameters

    def limit(self, parameters: AccuracyUnderLoadParameters) -> float:
        """None may differ."""
        return 0.0

    def find(self, serving: ServingEvidence, parameters: AccuracyUnderLoadParameters) -> Finding:
        """Judge the candidate, where both sides' answers were kept."""
        by_side = {found.side: found for found in serving.under_load}
        if len(by_side) != len(serving.under_load):
            return inconclusive("Answers under load are there twice for one side.")
        candidate, reference = by_side.get("candidate"), by_side.get("reference")
        if candidate is None:
            return inconclusive("No answers of the candidate under load were kept.")
        n = candidate.compared
        observed = float(candidate.differing) if n else None
        if candidate.differing and parameters.allows(candidate.noise_score, candidate.noise_pixels):
            return Finding(outcome=Outcome.FAIL, message=_told(candidate), observed=observed, n=n)
        problems = [_problem(candidate, parameters)]
        problems.append("no answers of the reference were kept" if reference is None else "")
        if reference is not None:
            problems += [_told(reference) if reference.differing else "", _problem(reference, parameters)]
        lacking = "; ".join(problem.rstrip(".") for problem in problems if problem)
        if lacking:
            return inconclusive(f"Not shown for all: {lacking}.", observed=observed, n=n)
        told = f" ({candidate.failed} more failed)" if candidate.failed else ""
        message = (
            f"{n} answers under load{told} on {candidate.images} images are the quiet run's, with "
            f"{candidate.detections} detections, within noise."
        )
        return Finding(outcome=Outcome.PASS, message=message, observed=observed, n=n)


def _problem(found: UnderLoad, parameters: AccuracyUnderLoadParameters) -> str:
    """What keeps a side's answers from showing anything, or ""."""
    if not parameters.allows(found.noise_score, found.noise_pixels):
        noise = amount(found.noise_score, found.noise_pixels)
        return f"two quiet runs of the {found.side} differ by {noise}, too much to see what load does"
    if found.reason or found.uncompared:
        return f"{found.side}: {found.reason or 'nothing was compared of ' + named(found.uncompared)}"
    if found.compared < parameters.least_answers:
        return f"{found.compared} answers of the {found.side}, {parameters.least_answers} are needed"
    if found.images < parameters.least_images:
        return f"answers of the {found.side} to {found.images} images, {parameters.least_images} are needed"
    if found.detections == 0:
        return f"the {found.side}'s quiet answers hold no detection that it could lose"
    return ""


def _told(found: UnderLoad) -> str:
    return (
        f"{found.differing} of {found.compared} answers of the {found.side} under load differ from the quiet "
        f"run's, of {named(found.differing_images)}.{largest(found.largest)}"
    )
