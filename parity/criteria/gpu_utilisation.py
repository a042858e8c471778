"""Does the candidate make better use of the GPU? That was one of the reasons to move."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field
from scipy.special import stdtrit

from parity.criteria.base import HIGHER_IS_LOOSER, LOWER_IS_LOOSER, Interval, Outcome, Sense
from parity.criteria.serving import Finding, ServingCriterion, inconclusive, named, of_side
from parity.criteria.steps import StepParameters, step_name, unreliable
from parity.serving.evidence import GpuUse, LoadStep, ServingEvidence, SideName, load_name

REFRESH_S = {"nv_gpu_utilization": 2.0, "nvml": 1.0}
"""After how long a source has a new value at the latest; asked more often, it repeats the old one."""

LEAST_TURNS = 2


class GpuUtilisationParameters(StepParameters):
    """Which loads count, how often the GPU must have been looked at, and how sure the gain has to be."""

    least_concurrency: int = Field(
        2,
        ge=1,
        description="Steps with fewer requests at a time are left out.",
        json_schema_extra=HIGHER_IS_LOOSER,
    )
    least_samples: int = Field(
        5, ge=1, description="Different readings that a step needs.", json_schema_extra=LOWER_IS_LOOSER
    )
    confidence: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="Of the one-sided bounds of the gain.",
        json_schema_extra=LOWER_IS_LOOSER,
    )


class GpuUtilisation(ServingCriterion):
    """The candidate's mean GPU utilisation less the reference's, under concurrency, in points.

    Each turn gives one gain, the mean over its loads, and Student's t over the turns gives one-sided bounds.
    PASS when the lower bound is over 0 and the mean gain of every load is; FAIL when the upper bound is not
    over 0. INCONCLUSIVE in between; and so without a GPU, with values outside 0 to 1, with too few readings,
    fewer than two turns, steps that one side lacks or has twice, or that cannot be relied on for latency.
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
        before, after = (_under_concurrency(serving, side, parameters) for side in ("reference", "candidate"))
        lacking = _lacking(before, after) or _unknown([*before, *after], parameters)
        if lacking:
            return inconclusive(lacking)
        means = {_place(step): 100 * _mean(step.gpu) for step in before}
        gains = {_place(step): 100 * _mean(step.gpu) - means[_place(step)] for step in after}
        turns = sorted({turn for _, turn in gains})
        by_turn = [statistics.fmean(gain for (_, at), gain in gains.items() if at == turn) for turn in turns]
        gain = statistics.fmean(by_turn)
        low, high = _bounds(by_turn, parameters.confidence)
        levels = [100 * statistics.fmean(_mean(step.gpu) for step in found) for found in (before, after)]
        seen = (
            f"GPU utilisation was {levels[0]:.1f} % for the reference and {levels[1]:.1f} % for the "
            f"candidate, a gain of {gain:.1f} points ({low:.1f} to {high:.1f}) in {len(turns)} turns"
        )
        lower = [load for load in dict.fromkeys(load for load, _ in gains) if _gain(gains, load) <= 0]
        if high <= 0:
            outcome, message = Outcome.FAIL, f"{seen}, which is not higher."
        elif low <= 0:
            outcome, message = Outcome.INCONCLUSIVE, f"{seen}, which may be chance; more turns would tell."
        elif lower:
            outcome, message = Outcome.INCONCLUSIVE, f"{seen}, but not higher with {named(lower)}."
        else:
            outcome, message = Outcome.PASS, f"{seen}, which is surely higher."
        return Finding(outcome=outcome, message=message, observed=gain, interval=(low, high), n=len(gains))


def _under_concurrency(
    serving: ServingEvidence, side: SideName, parameters: GpuUtilisationParameters
) -> list[LoadStep]:
    """Closed loops of enough requests at a time, and open loops."""
    return [
        step
        for step in of_side(serving, side)
        if step.concurrency is None or step.concurrency >= parameters.least_concurrency
    ]


def _place(step: LoadStep) -> tuple[str, int]:
    """What a step of one side is held to the other side's by."""
    return load_name(step), step.turn


def _lacking(before: Sequence[LoadStep], after: Sequence[LoadStep]) -> str:
    """Why the steps cannot be held to each other, or ""."""
    if not before or not after:
        return f"The {'candidate' if before else 'reference'} has no step under concurrency."
    counted = Counter(map(step_name, [*before, *after]))
    twice = [name for name, count in counted.items() if count > 1]
    if twice:
        return f"There twice: {named(twice)}."
    places = {_place(step) for step in before}
    alone = places ^ {_place(step) for step in after}
    if alone:
        return f"Only one side has: {named(f'{load}, turn {turn}' for load, turn in sorted(alone))}."
    loads, turns = {load for load, _ in places}, {turn for _, turn in places}
    if len(turns) < LEAST_TURNS:
        return f"{len(turns)} turn; drift of the machine shows only with {LEAST_TURNS}."
    if len(places) < len(loads) * len(turns):
        return "Not every turn has every load."
    return ""


def _unknown(steps: Sequence[LoadStep], parameters: GpuUtilisationParameters) -> str:
    """A sentence about the steps that show nothing, or ""."""
    problems = [
        f"{step_name(step)}: {why}"
        for step in steps
        if (why := _problem(step, parameters.least_samples) or unreliable(step, parameters))
    ]
    return f"GPU utilisation is not known everywhere: {named(problems)}." if problems else ""


def _problem(step: LoadStep, least_samples: int) -> str:
    gpu = step.gpu
    if gpu is None or gpu.source == "none":
        return (gpu.reason if gpu else "") or "no GPU was seen"
    if any(value is not None and not 0 <= value <= 1 for value in (gpu.mean, gpu.max)):
        return f"damaged, a utilisation of {gpu.mean} (mean), {gpu.max} (max) from {gpu.source}"
    if gpu.reason or gpu.mean is None:
        return gpu.reason or f"{gpu.source} gave no mean"
    different = min(gpu.samples, int((step.seconds or 0) / REFRESH_S[gpu.source]))
    if different < least_samples:
        return (
            f"{gpu.samples} readings in {step.seconds or 0:.1f} s are {different} different ones of "
            f"{gpu.source}, {least_samples} are needed"
        )
    return ""


def _gain(gains: dict[tuple[str, int], float], load: str) -> float:
    """Mean over the turns of one load."""
    return statistics.fmean(gain for (at, _), gain in gains.items() if at == load)


def _bounds(gains: Sequence[float], confidence: float) -> Interval:
    """One-sided bounds of the mean, each of `confidence`."""
    mean = statistics.fmean(gains)
    error = statistics.stdev(gains) / math.sqrt(len(gains))
    half = float(stdtrit(len(gains) - 1, confidence)) * error
    return mean - half, mean + half


def _mean(gpu: GpuUse | None) -> float:
    """A mean utilisation, which `_problem` has seen to be there."""
    return 0.0 if gpu is None or gpu.mean is None else gpu.mean
