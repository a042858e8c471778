"""Candidate against reference under one load, from the evidence alone: ratios with one-sided bounds.

The turns are what repeats independently: within a turn all requests share the machine's state of the
moment, which the reference and the candidate of that turn, measured one after the other, share too. So each
turn gives one ratio, and Student's t over the turns' logarithms gives the bounds (Kalibera and Jones 2013,
"Rigorous Benchmarking in Reasonable Time", advise the same: the spread at the highest level of repetition
holds that of all lower ones). Their mean is the geometric mean of the turns' ratios, so that swapping the
sides gives exactly the reciprocal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from parity.load.plan import Load
from parity.serving.evidence import LoadStep, SideName

CONFIDENCE = 0.95
LEAST_TURNS = 2


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Candidate / reference under one load.

    lower, upper: one-sided bounds, each of which the true ratio exceeds or stays under with `confidence`;
    None with the reason. value: None where not one turn has it on both sides. turns: those that have.
    """

    load: Load
    value: float | None
    lower: float | None
    upper: float | None
    confidence: float
    turns: int
    reason: str = ""


def loads_of(steps: Sequence[LoadStep]) -> list[Load]:
    """The different loads of the steps, in the order of their first step."""
    return list(dict.fromkeys(_load(step) for step in steps))


def p95_ratios(steps: Sequence[LoadStep], confidence: float = CONFIDENCE) -> list[Ratio]:
    """Ratio of the p95 latencies under each load; under 1 the candidate is faster."""
    return [ratio(steps, load, p95, confidence) for load in loads_of(steps)]


def throughput_ratios(steps: Sequence[LoadStep], confidence: float = CONFIDENCE) -> list[Ratio]:
    """Ratio of the throughputs under each load; over 1 the candidate answers more."""
    return [ratio(steps, load, throughput, confidence) for load in loads_of(steps)]


def p95(step: LoadStep) -> float | None:
    """A step's p95 latency, ms; None when nothing was answered."""
    return step.latency.p95.value if step.latency is not None and step.latency.p95 is not None else None


def throughput(step: LoadStep) -> float | None:
    """A step's answers a second; None when nothing was answered."""
    return step.throughput.value if step.throughput is not None else None


def ratio(
    steps: Sequence[LoadStep],
    load: Load,
    measure: Callable[[LoadStep], float | None],
    confidence: float = CONFIDENCE,
) -> Ratio:
    """The ratio of a measure over the turns of a load; only turns that have it on both sides count."""
    sides: dict[SideName, dict[int, float]] = {"reference": {}, "candidate": {}}
    twice: set[int] = set()
    for step in steps:
        value = measure(step)
        if _load(step) != load or value is None or not (math.isfinite(value) and value > 0):
            continue
        twice |= {step.turn} if step.turn in sides[step.side] else set()
        sides[step.side][step.turn] = value
    before, after = sides["reference"], sides["candidate"]
    turns = sorted((before.keys() & after.keys()) - twice)
    logarithms = np.array([math.log(after[turn] / before[turn]) for turn in turns])
    reason = _reason(steps, load, turns, twice)
    if not turns:
        return Ratio(
            load=load, value=None, lower=None, upper=None, confidence=confidence, turns=0, reason=reason
        )
    mean, lower, upper = float(logarithms.mean()), None, None
    if not reason:
        error = float(logarithms.std(ddof=1)) / math.sqrt(len(turns))
        half = float(stdtrit(len(turns) - 1, confidence)) * error
        lower, upper = math.exp(mean - half), math.exp(mean + half)
    return Ratio(
        load=load,
        value=math.exp(mean),
        lower=lower,
        upper=upper,
        confidence=confidence,
        turns=len(turns),
        reason=reason,
    )


def _reason(steps: Sequence[LoadStep], load: Load, turns: Sequence[int], twice: set[int]) -> str:
    """Why there are no bounds; empty where there are."""
    if twice:
        return f"turn {min(twice)} is there twice on one side"
    all_turns = {step.turn for step in steps if _load(step) == load}
    if len(turns) < len(all_turns):
        return f"{len(all_turns) - len(turns)} of {len(all_turns)} turns have no value on both sides"
    if len(turns) < LEAST_TURNS:
        return f"{len(turns)} turn, drift of the machine shows only with {LEAST_TURNS}"
    return ""


def _load(step: LoadStep) -> Load:
    return Load(concurrency=step.concurrency, rate=step.rate, arrivals=step.arrivals)
