"""Does the candidate make better use of the GPU? That was one of the reasons to move."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field

from parity.criteria.base import HIGHER_IS_LOOSER, LOWER_IS_LOOSER, Outcome, Parameters, Sense
from parity.criteria.serving import Finding, ServingCriterion, inconclusive, load_name, named, of_side
from parity.serving.evidence import LoadStep, ServingEvidence, SideName

Turn = tuple[str, int]


class GpuUtilisationParameters(Parameters):
    """Which loads count, and how often the GPU must have been looked at."""

    least_concurrency: int = Field(
        2,
        ge=1,
        description="Steps with fewer requests at a time are left out.",
        json_schema_extra=HIGHER_IS_LOOSER,
    )
    least_samples: int = Field(
        5, ge=1, description="Readings that a step needs.", json_schema_extra=LOWER_IS_LOOSER
    )


class GpuUtilisation(ServingCriterion):
    """The candidate's mean GPU utilisation less the reference's, under concurrency, in points.

    Steps are held to each other load by load and turn by turn. PASS when the candidate's is higher in all of
    them, FAIL when it is not higher on the average, INCONCLUSIVE in between; and so without a GPU, with
    values outside 0 to 1, with too few readings, or with steps that one side lacks.
    """

    name = "gpu_utilisation"
    unit = "points"
    sense: ClassVar[Sense] = "at_least"
    parameters = GpuUtilisationParameters

    def limit(self, parameters: GpuUtilisationParameters) -> float:
        """0: the same is not higher."""
        return 0.0

    def find(self, serving: ServingEvidence, parameters: GpuUtilisationParameters) -> Finding:
        """Judge the steps under concurrency."""
        steps = {side: _under_concurrency(serving, side, parameters) for side in ("reference", "candidate")}
        before, after = steps["reference"], steps["candidate"]
        if not before or not after:
            lacking = "reference" if not before else "candidate"
            return inconclusive(f"The {lacking} has no step under concurrency.")
        if before.keys() != after.keys():
            alone = [f"{load}, turn {turn}" for load, turn in sorted(before.keys() ^ after.keys())]
            return inconclusive(f"Only one side has: {named(alone)}.")
        problems = [
            f"{side} at {load_name(step)}: {why}"
            for side, found in steps.items()
            for step in found.values()
            if (why := _problem(step, parameters.least_samples))
        ]
        if problems:
            return inconclusive(f"GPU utilisation is not known everywhere: {named(problems)}.")
        gains = {turn: 100 * (_mean(after[turn]) - _mean(before[turn])) for turn in before}
        gain = sum(gains.values()) / len(gains)
        levels = [100 * sum(map(_mean, found.values())) / len(found) for found in (before, after)]
        seen = (
            f"GPU utilisation was {levels[0]:.1f} % for the reference and {levels[1]:.1f} % for the candidate"
        )
        lower = [f"{load}, turn {turn}" for (load, turn), change in sorted(gains.items()) if change <= 0]
        if gain <= 0:
            outcome, message = Outcome.FAIL, f"{seen}, which is not higher."
        elif lower:
            outcome, message = Outcome.INCONCLUSIVE, f"{seen}, but not higher at {named(lower)}."
        else:
            outcome, message = Outcome.PASS, f"{seen}, higher in each of {len(gains)} pairs of steps."
        return Finding(outcome=outcome, message=message, observed=gain, n=len(gains))


def _under_concurrency(
    serving: ServingEvidence, side: SideName, parameters: GpuUtilisationParameters
) -> dict[Turn, LoadStep]:
    """Closed loops of enough requests at a time, and open loops, by load and turn."""
    return {
        (load_name(step), step.turn): step
        for step in of_side(serving, side)
        if step.concurrency is None or step.concurrency >= parameters.least_concurrency
    }


def _problem(step: LoadStep, least_samples: int) -> str:
    gpu = step.gpu
    if gpu is None or gpu.source == "none":
        return (gpu.reason if gpu else "") or "no GPU was seen"
    if any(not 0 <= value <= 1 for value in _values(gpu.mean, gpu.max)):
        return f"damaged, a utilisation of {gpu.mean} (mean), {gpu.max} (max) from {gpu.source}"
    if gpu.reason or gpu.mean is None:
        return gpu.reason or f"{gpu.source} gave no mean"
    if gpu.samples < least_samples:
        return f"{gpu.samples} readings, {least_samples} are needed"
    return ""


def _values(*values: float | None) -> Iterable[float]:
    return (value for value in values if value is not None)


def _mean(step: LoadStep) -> float:
    """The step's mean utilisation, which `_problem` has seen to be there."""
    return 0.0 if step.gpu is None or step.gpu.mean is None else step.gpu.mean
