"""A rehearsed rollback on a live pair: off, the candidate gone, answers go on and are equal, on again."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from parity.answers import Cut
from parity.config import RunFile
from parity.dataset import ImageRecord, OpenCvReader, load
from parity.drill.acts import Rehearsal, answers_of, timed
from parity.drill.candidate import Candidate
from parity.errors import EvidenceError
from parity.progress import Progress
from parity.runners import Runner, RunnerContext, create
from parity.serving.evidence import DRILL_STEPS, Drill
from parity.sides import check_model

__all__ = ["DrillRequest", "rehearse"]


@dataclass(frozen=True, kw_only=True)
class DrillRequest:
    """What to rehearse with. images: how many of the data set each step asks for, at least 1."""

    run_file: RunFile
    model: str
    images: int
    cache: Path


def rehearse(request: DrillRequest, progress: Progress) -> Drill:
    """Rehearse the rollback of one model; a step that fails is in the result, and the drill goes on.

    Raises ParityError when the pair cannot be started, or the reference answers no image.
    """
    run_file, name = request.run_file, request.model
    config = run_file.datasets[run_file.dataset]
    dataset = load(run_file.dataset, config, progress)
    check_model(name, run_file.models[name], dataset)
    sides = {role: run_file.side(name, role) for role in ("reference", "candidate")}
    with ExitStack() as stack:
        context = RunnerContext(
            name=name,
            model=run_file.models[name],
            reader=OpenCvReader(config),
            score_floor=run_file.score_floor,
            max_detections=run_file.max_detections,
            sample=dataset.images,
            cache=request.cache,
            repository=run_file.model_repository,
            logs=Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="parity-drill-"))),
            progress=progress,
        )
        candidate = Candidate(lambda: create(sides["candidate"], context))
        stack.callback(candidate.close)
        tensorrt = candidate.start().provenance().get("tensorrt") is True
        reference = stack.enter_context(create(sides["reference"], context))
        drill = _perform(request, reference, candidate, dataset.images[: request.images], progress)
    told = {"model": name, "tensorrt": tensorrt, **{role: side.runner for role, side in sides.items()}}
    return drill.model_copy(update=told)


def _perform(
    request: DrillRequest,
    reference: Runner,
    candidate: Candidate,
    images: tuple[ImageRecord, ...],
    progress: Progress,
) -> Drill:
    """The six steps, with an entered reference and a started candidate."""
    cut = Cut(score_floor=request.run_file.score_floor, max_detections=request.run_file.max_detections)
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with progress.step(f"{request.model}: rehearsing the rollback", len(DRILL_STEPS) + 1) as step:
        own = answers_of(reference, images), answers_of(reference, images)
        step.advance()
        if not own[0].keys() & own[1].keys():
            raise EvidenceError(
                f"the reference answered none of {len(images)} images twice",
                where=f"drill of {request.model!r}",
                expected="images that it can answer, to hold the answers of the drill to",
                remedy="see what `parity run` says of them, or ask for more with --images",
            )
        rehearsal = Rehearsal(reference, candidate, images, own, cut)
        steps = []
        for name, act in zip(DRILL_STEPS, rehearsal.acts(), strict=True):
            steps.append(timed(name, act))
            step.advance()
    noise = rehearsal.noise
    return Drill(
        created=created,
        removal=rehearsal.removal,
        steps=steps,
        images=len(rehearsal.asked),
        unanswered=rehearsal.unanswered,
        unequal=rehearsal.unequal,
        detections=rehearsal.detections,
        noise_score=None if noise is None else noise.score,
        noise_pixels=None if noise is None else noise.pixels,
    )
