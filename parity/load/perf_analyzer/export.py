"""perf_analyzer's profile export: the times of every request, in nanoseconds, and of the windows."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np

from parity.load.intervals import rate_estimate
from parity.load.perf_analyzer.common import MOST_STEPS, GivenLoad, UnusableError, repeated
from parity.load.summary import latency_of, value_of
from parity.serving.evidence import LoadStep, SideName

NO_RESPONSE = "no-response"
LATEST = 1 << 62
"""Nanoseconds; over a century after 1970, and well inside of int64."""


class _Request(msgspec.Struct):
    timestamp: int
    response_timestamps: list[int] = []


class _Mode(msgspec.Struct):
    mode: str
    value: float

    @property
    def load(self) -> GivenLoad:
        if self.mode == "concurrency":
            return GivenLoad(concurrency=self.value)
        return GivenLoad(rate=self.value if self.mode == "request_rate" else None)


class _Experiment(msgspec.Struct):
    experiment: _Mode
    requests: list[_Request]
    window_boundaries: list[int]


class _Export(msgspec.Struct):
    experiments: list[_Experiment]


def steps(data: bytes, side: SideName) -> list[LoadStep]:
    """The experiments as steps; tensors in the file are passed over. Raises UnusableError.

    Also RunnerError without the histogram's library.
    """
    try:
        export = msgspec.json.decode(data, type=_Export)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableError([f"no profile export ({error})"]) from error
    if not 1 <= len(export.experiments) <= MOST_STEPS:
        raise UnusableError([f"{len(export.experiments)} experiments, expected 1 to {MOST_STEPS}"])
    problems = [
        f"experiment {number}: {problem}"
        for number, experiment in enumerate(export.experiments)
        if (problem := _problem(experiment))
    ]
    if problems:
        raise UnusableError(problems)
    found = [_step(experiment, side) for experiment in export.experiments]
    if problems := repeated(found):
        raise UnusableError(problems)
    return found


def _problem(experiment: _Experiment) -> str:
    """The first thing that cannot be; empty when all can."""
    bounds = experiment.window_boundaries
    if experiment.experiment.mode not in {"concurrency", "request_rate"}:
        return f"mode {experiment.experiment.mode[:40]!r}, expected concurrency or request_rate"
    if problem := experiment.experiment.load.problem:
        return problem
    if len(bounds) < 2 or any(after <= before for before, after in pairwise(bounds)):
        return "window boundaries that do not rise, or fewer than two"
    if not 0 <= bounds[0] < bounds[-1] < LATEST:
        return "window boundaries out of range"
    for request in experiment.requests:
        times = [request.timestamp, *request.response_timestamps]
        if not times[0] >= 0 or max(times) >= LATEST or times != sorted(times):
            return "a response before its request, or a time out of range"
    return ""


def _step(experiment: _Experiment, side: SideName) -> LoadStep:
    """One experiment as a step. A request ends with its last response."""
    answered = sorted(
        (request.response_timestamps[-1], request.timestamp)
        for request in experiment.requests
        if request.response_timestamps
    )
    ends, begins = np.array(answered, np.int64).reshape(-1, 2).T
    bounds = np.array(experiment.window_boundaries, np.int64)
    counts = np.histogram(ends, bounds)[0].astype(np.float64)
    unanswered = len(experiment.requests) - len(answered)
    return experiment.experiment.load.step(
        side,
        seconds=float(bounds[-1] - bounds[0]) / 1e9,
        ok=len(answered),
        failed={NO_RESPONSE: unanswered} if unanswered else {},
        latency=latency_of((ends - begins) / 1e9),
        throughput=value_of(rate_estimate(counts, np.diff(bounds) / 1e9)) if counts.any() else None,
    )
