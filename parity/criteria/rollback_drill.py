"""Is there a way back? A rehearsed one, with the time that it took."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from parity.criteria.base import HIGHER_IS_LOOSER, LOWER_IS_LOOSER, Needs, Outcome, Parameters, Sense
from parity.criteria.serving import Finding, ServingCriterion, inconclusive, named
from parity.serving.evidence import DRILL_STEPS, Drill, ServingEvidence

BACK = ("switch off", "answers go on")
"""The steps that bring the reference's answers back: what a rollback takes."""


class RollbackDrillParameters(Parameters):
    """How long the way back may take, and how many images it is tried on."""

    limit_seconds: float = Field(
        60.0,
        gt=0,
        description="From the switch to the reference's last answer.",
        json_schema_extra=HIGHER_IS_LOOSER,
    )
    least_images: int = Field(5, ge=1, json_schema_extra=LOWER_IS_LOOSER)


class RollbackDrill(ServingCriterion):
    """Seconds from switching the candidate off until the reference has answered every image of the drill.

    FAIL when a step failed, an answer did not come or differs, or the way back took longer than the limit.
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
    if drill.images < parameters.least_images:
        told = f"{drill.images} images were asked for, {parameters.least_images} are needed"
        return Outcome.INCONCLUSIVE, f"The drill went well, but {told}."
    gone = "its server killed" if drill.removal == "killed" else "its client closed, its server left alone"
    return Outcome.PASS, (
        f"The reference had answered all {drill.images} images {seconds:.1f} s after the switch, the "
        f"candidate away ({gone}), and the candidate came back with the answers of before."
    )
