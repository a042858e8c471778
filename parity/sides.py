"""Both sides of one model: made ready together, answered one after the other, stored as they come."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from parity import detections
from parity.collect import Collected, collect
from parity.config import ModelConfig, RunFile
from parity.dataset import Dataset, OpenCvReader
from parity.errors import EvidenceError, ParityError
from parity.progress import Progress
from parity.provenance import environment
from parity.requests import RequestLedger
from parity.runners import Runner, RunnerContext, create

ROLES: tuple[Literal["candidate", "reference"], ...] = ("candidate", "reference")
"""In the order of their start, those that run elsewhere before those that start here: a candidate that cannot
be reached costs no loading of the reference, and a service that is not there no start of an embedded server.
"""
STAND_IN = "reference"
"""What ran, by a candidate's provenance, where no candidate did: the reference, once more."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a run was asked for. images: how many of the data set, None for all. folder: where it goes.

    stand_ins: models in whose candidate's place the reference answers, since Triton is switched off. notes:
    what a reader of the report should know first.
    """

    run_file: RunFile
    models: tuple[str, ...]
    images: int | None
    folder: Path
    cache: Path
    command: str
    stand_ins: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Both sides' answers of one model, the reference's repeat where one was asked for, and what ran."""

    reference: Collected
    candidate: Collected
    repeat: Collected | None
    facts: dict[str, Any]

    @property
    def error(self) -> ParityError | None:
        """What stopped a side before the last image, if anything did."""
        errors = [side.error for side in (self.reference, self.candidate, self.repeat) if side is not None]
        return next((error for error in errors if error is not None), None)


def answer(
    request: Request,
    name: str,
    dataset: Dataset,
    reader: OpenCvReader,
    timings: dict[str, float],
    progress: Progress,
) -> Answers:
    """Both sides' answers of one model, stored as they come, and what exactly ran.

    Both runners are made ready before either begins, so that a missing server costs no waiting. timings:
    seconds of each step, filled in.
    """
    model = request.run_file.models[name]
    images = dataset.images[: request.images]
    categories = dataset.category_of_class(model.names)
    evidence = request.folder / "evidence" / name
    sides: dict[str, Collected] = {}
    facts: dict[str, Any] = {}
    with ExitStack() as stack:
        runners = entered(stack, request, name, dataset, reader, timings, progress)
        facts.update({role: runners[role].provenance() for role in ("reference", "candidate")})
        for label, role in _turns(request.run_file.repeat_reference):
            started = perf_counter()
            sides[label] = collect(runners[role], images, categories, progress, f"{name}: {label}")
            timings[f"{label} images"] = perf_counter() - started
            detections.write(sides[label].predictions, evidence, label)
        for role in ("reference", "candidate"):
            facts[role] = {**facts[role], **_requests(runners[role])}
        if name in request.stand_ins:
            facts["candidate"]["in_process"] = STAND_IN
    return Answers(
        reference=sides["reference"],
        candidate=sides["candidate"],
        repeat=sides.get("repeat"),
        facts={**facts, "environment": environment()},
    )


def entered(
    stack: ExitStack,
    request: Request,
    name: str,
    dataset: Dataset,
    reader: OpenCvReader,
    timings: dict[str, float],
    progress: Progress,
) -> dict[str, Runner]:
    """Both runners of one model by role, ready until `stack` closes. timings: seconds of each start."""
    created: dict[str, Runner] = {}
    for role in ROLES:
        context = RunnerContext(
            name=name,
            model=request.run_file.models[name],
            reader=reader,
            score_floor=request.run_file.score_floor,
            max_detections=request.run_file.max_detections,
            sample=dataset.images,
            cache=request.cache,
            repository=request.run_file.model_repository,
            logs=request.folder / "evidence" / name / role,
            progress=progress,
        )
        created[role] = create(request.run_file.side(name, role), context)
    runners: dict[str, Runner] = {}
    for role in sorted(ROLES, key=lambda role: not getattr(created[role], "remote", False)):
        started = perf_counter()
        runners[role] = stack.enter_context(created[role])
        timings[f"{role} start"] = perf_counter() - started
    return runners


def _requests(runner: Runner) -> dict[str, Any]:
    """What became of the requests, for a runner with a ledger: known only after the last image."""
    ledger = getattr(runner, "ledger", None)
    return {"requests": asdict(ledger.counts())} if isinstance(ledger, RequestLedger) else {}


def _turns(repeat: bool) -> list[tuple[str, str]]:
    """What each turn is called, and who answers."""
    turns = [("reference", "reference"), ("candidate", "candidate")]
    return [*turns, ("repeat", "reference")] if repeat else turns


def check_model(name: str, model: ModelConfig, dataset: Dataset) -> None:
    """Raise EvidenceError unless the weights are there and have the data set's classes, in whatever order."""
    if not model.weights.is_file():
        raise EvidenceError(
            "no such weights",
            where=str(model.weights),
            expected="an Ultralytics .pt checkpoint",
            remedy=f"mend `weights` of the model {name!r} in the run file",
        )
    ours, theirs = set(model.names), set(dataset.categories.values())
    if ours != theirs:
        raise EvidenceError(
            f"only the model has {sorted(ours - theirs)}, only the data set has {sorted(theirs - ours)}",
            where=f"class names of model {name!r} and data set {dataset.name!r}",
            expected="the same names on both",
            remedy="mend `names` in the run file or the categories of the data set",
        )
