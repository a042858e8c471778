"""Is there a way back? A rehearsed one, with the time that it took."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from parity.criteria.base import HIGHER_IS_LOOSER, LOWER_IS_LOOSER, Needs, Outcome, Sense
from parity.criteria.own_noise import NoiseParameters, amount
from parity.criteria.serving import Finding, ServingCriterion, inconclusive, named
from parity.serving.evidence import DRILL_STEPS, Drill, ServingEvidence

BACK = ("switch off", "answers go on")
"""The steps that bring the reference's answers back: what a rollback takes."""


class RollbackDrillParameters(NoiseParameters):
    """How long the way back may take, how many images it is tried on, and what has to be done."""

    limit_seconds: float = Field(
        60.0,
        gt=0,
        description="From the switch to the reference's last answer.",
        json_schema_extra=HIGHER_IS_LOOSER,
    )
    least_images: int = Field(5, ge=1, json_schema_extra=LOWER_IS_LOOSER)
    disconnected: bool = Field(
        False,
        description="true: a server that only lost its client will do in the place of a killed one.",
        json_schema_extra=HIGHER_IS_LOOSER,
    )


class RollbackDrill(ServingCriterion):
    """Seconds from switching the candidate off until the reference has answered every image of the drill.

    FAIL when a step failed, an answer did not come or differs, or the way back took longer than the limit.
    INCONCLUSIVE when the candidate's server was not killed, unless the policy lets its client's end do, and
    when a side is too noisy or detects nothing, so that any answer would be as good as the right one.
    """

    needs: ClassVar[Needs] = "drill"
    name = "rollback_drill"
    unit = "s"
    sense: ClassVar[Sense] = "at_most"
    parameters = RollbackDrillParameters

    def limit(self, parameters: RollbackDrillParameters) -> float:
        """The policy's, in seconds."""
        return parameters.limit_seconds

    def find(self, serving: ServingEvidence, parameters: RollbackDrillParameters) -> Finding:
        """Judge the drill."""
        drill = serving.drill
        if drill is None or not drill.steps:
            return inconclusive("No rollback was rehearsed; `parity drill` does that.")
        back = [step.seconds for step in drill.steps if step.name in BACK]
        seconds = sum(back) if len(back) == len(BACK) else None
        outcome, message = _decide(drill, seconds, parameters)
        return Finding(outcome=outcome, message=message, observed=seconds, n=drill.images)


def _decide(drill: Drill, seconds: float | None, parameters: RollbackDrillParameters) -> tuple[Outcome, str]:
    failed = [f"{step.name} ({step.message})" for step in drill.steps if not step.ok]
    if failed:
        return Outcome.FAIL, f"Of the drill's steps failed: {named(failed)}."
    if drill.unanswered or drill.unequal:
        return Outcome.FAIL, (
            f"In the drill {drill.unanswered} answers did not come and {drill.unequal} differed from what "
            f"they should have been, on {drill.images} images."
        )
    if tuple(step.name for step in drill.steps) != DRILL_STEPS or seconds is None:
        lacking = [name for name in DRILL_STEPS if name not in {step.name for step in drill.steps}]
        told = f"lacks: {named(lacking)}" if lacking else "has its steps twice or not in their order"
        return Outcome.INCONCLUSIVE, f"The drill {told}."
    if seconds > parameters.limit_seconds:
        return Outcome.FAIL, f"The way back took {seconds:.1f} s, limit {parameters.limit_seconds:g} s."
    short = _lacking(drill, parameters)
    if short:
        return Outcome.INCONCLUSIVE, f"The drill went well, but {short}."
    gone = "its server killed" if drill.removal == "killed" else "its client closed, its server left alone"
    return Outcome.PASS, (
        f"The reference had answered all {drill.images} images {seconds:.1f} s after the switch, the "
        f"candidate away ({gone}), and the candidate came back with the answers of before."
    )


def _lacking(drill: Drill, parameters: RollbackDrillParameters) -> str:
    """What a drill without a failure does not show, or ""."""
    if drill.images < parameters.least_images:
        return f"{drill.images} images were asked for, {parameters.least_images} are needed"
    if drill.removal is None:
        return "nobody saw the candidate go away"
    if drill.removal == "disconnected" and not parameters.disconnected:
        return (
            "the candidate's server was not killed: let parity start it, or have the policy say "
            "disconnected = true"
        )
    return _toothless(drill, parameters)


def _toothless(drill: Drill, parameters: RollbackDrillParameters) -> str:
    """Why any answer would have been as good as the right one, or ""."""
    if drill.noise_score is None or drill.noise_pixels is None:
        return "how far two quiet runs of a side lie apart is not known"
    if not parameters.allows(drill.noise_score, drill.noise_pixels):
        noise = amount(drill.noise_score, drill.noise_pixels)
        return f"two quiet runs of a side differ by {noise}, too much to tell one answer from another"
    return "" if drill.detections else "the answers of a side hold no detection that it could lose"
