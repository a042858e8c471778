"""How both paths of one model serve: quiet answers, load in turn, any batch, and what the servers tell."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from parity.answers import Answers, Cut, any_batch, under_load
from parity.collect import checked
from parity.dataset import Dataset, ImageRecord, OpenCvReader
from parity.errors import ParityError
from parity.load import perf_analyzer
from parity.load.clock import run_on_fine_loop, undisturbed
from parity.load.material import spread
from parity.load.metrics import metrics_seen, wanted_metrics
from parity.load.observe import SourcesObserver
from parity.load.plan import LoadPlan
from parity.load.reconcile import ClientTotals, reconcile
from parity.load.run import ORDER, LoadRun, run_steps
from parity.load_sides import endpoint, sources
from parity.progress import Progress
from parity.provenance import environment
from parity.runners import ImageResult, Runner
from parity.runners.network import NetworkRunner
from parity.runners.triton import TritonRunner
from parity.serving.evidence import BatchInvariance, Imported, LoadStep, ServingEvidence, SideName
from parity.sides import Request, entered

IMPORTED = "perf_analyzer"
"""What ran, by a side's provenance, where its steps are another tool's: nothing tells of it."""

BATCH_IMAGES = 12
"""Images that the any-batch test sends in every company: a few show what depends on the company."""


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What was gathered of one model. quiet: each side's first quiet answers by image id."""

    evidence: ServingEvidence
    images: tuple[ImageRecord, ...]
    quiet: Mapping[SideName, Answers]
    facts: dict[str, Any]
    problems: tuple[str, ...]
    error: ParityError | None


def gather(
    request: Request,
    plan: LoadPlan,
    name: str,
    dataset: Dataset,
    reader: OpenCvReader,
    timings: dict[str, float],
    progress: Progress,
    *,
    metrics: Collection[str] = (),
) -> Gathered:
    """Measure one model. timings: seconds of each part, filled in. metrics: names that the policy looks for.

    What breaks after the load has begun is in `error`, beside what was gathered until then. Raises
    ParityError when a side cannot be made ready or gives no quiet answers.
    """
    model = request.run_file.models[name]
    cut = Cut(score_floor=request.run_file.score_floor, max_detections=request.run_file.max_detections)
    images = tuple(spread(dataset.images[: request.images], plan.most_images))
    names = {image.image_id: image.file_name for image in images}
    with ExitStack() as stack:
        runners = entered(stack, request, name, dataset, reader, timings, progress)
        facts: dict[str, Any] = {side: runners[side].provenance() for side in ORDER}
        quiet: dict[SideName, tuple[Answers, Answers]] = {
            side: _twice(runners[side], images, len(model.names), f"{name}: {side}, quiet", progress)
            for side in ORDER
        }
        observer = SourcesObserver({side: sources(runners[side]) for side in ORDER})
        run = LoadRun()
        error: ParityError | None = None
        started = perf_counter()
        try:
            _drive(run, plan, runners, images, reader, observer, progress)
        except ParityError as problem:
            error = problem
        timings["load"] = perf_counter() - started
        started = perf_counter()
        batches = _batches(runners["candidate"], images, facts["candidate"], plan.seed, progress)
        timings["any batch"] = perf_counter() - started
        candidate = runners["candidate"]
        served = candidate.served_model if isinstance(candidate, TritonRunner) else name
        scrapes = observer.scrapes("candidate")
        unseen = "; ".join(observer.unseen("candidate"))
        evidence = ServingEvidence(
            work=plan.work,
            images=run.images,
            reference_endpoint=endpoint(runners["reference"]),
            candidate_endpoint=endpoint(candidate),
            steps=run.steps,
            metrics=metrics_seen(wanted_metrics(metrics), scrapes, model=served, reason=unseen),
            reconciliation=reconcile(
                ClientTotals.of_ledger(run.totals["candidate"].sent()),
                scrapes,
                model=served,
                python_backend=facts["candidate"].get("backend") == "python",
                reason=unseen,
            ),
            batches=batches,
            under_load=[
                under_load(
                    side,
                    [answer.result for answer in run.answers if answer.side == side],
                    *quiet[side],
                    names,
                    cut=cut,
                )
                for side in ORDER
            ],
        )
    facts["environment"] = environment()
    return Gathered(
        evidence=evidence,
        images=images,
        quiet={side: first for side, (first, _) in quiet.items()},
        facts=facts,
        problems=(*run.problems, *(f"{side}: {line}" for side in ORDER for line in observer.unseen(side))),
        error=error,
    )


def imported(files: Sequence[tuple[SideName, Path]]) -> Gathered:
    """What perf_analyzer measured, of one side or both, instead of measuring. Raises EvidenceError.

    It sends one input again and again and looks at no answer, so there is nothing on images.
    """
    steps: list[LoadStep] = []
    sources: list[Imported] = []
    told = dict.fromkeys(ORDER, "not measured")
    for side, path in files:
        found, source = perf_analyzer.read(path, side)
        steps += found
        sources.append(source)
        told[side] = path.name
    evidence = ServingEvidence(
        work="tensor",
        images=0,
        reference_endpoint=told["reference"],
        candidate_endpoint=told["candidate"],
        steps=steps,
        imported=sources,
    )
    facts: dict[str, Any] = {
        side: {"runner": "perf_analyzer", "in_process": IMPORTED, "files": []} for side in ORDER
    }
    for (side, _), source in zip(files, sources, strict=True):
        facts[side]["files"].append({"file": source.file, "sha256": source.sha256})
    return Gathered(
        evidence=evidence,
        images=(),
        quiet={},
        facts={**facts, "environment": environment()},
        problems=(),
        error=None,
    )


def _twice(
    runner: Runner, images: Sequence[ImageRecord], classes: int, label: str, progress: Progress
) -> tuple[Answers, Answers]:
    """Two quiet runs over the images: what load is held to, and how much of a difference is noise.

    Raises RunnerError when nothing was answered.
    """
    runs: list[dict[int, ImageResult]] = []
    with progress.step(label, 2 * len(images)) as step:
        for _ in range(2):
            found: dict[int, ImageResult] = {}
            for result in runner.predict(images):
                found[result.image_id] = checked(result, classes)
                step.advance()
            runs.append(found)
    return runs[0], runs[1]


def _drive(
    run: LoadRun,
    plan: LoadPlan,
    runners: Mapping[str, Runner],
    images: Sequence[ImageRecord],
    reader: OpenCvReader,
    observer: SourcesObserver,
    progress: Progress,
) -> None:
    """Put the load on, observed from before the first request to after the last answer."""

    async def whole() -> None:
        targets = {side: runners[side].target() for side in ORDER}  # type: ignore[attr-defined]
        async with observer:
            await run_steps(run, plan, targets, images, reader, observers=[observer], progress=progress)

    with undisturbed():
        run_on_fine_loop(whole)


def _batches(
    runner: Runner,
    images: Sequence[ImageRecord],
    facts: Mapping[str, Any],
    seed: int,
    progress: Progress,
) -> BatchInvariance | None:
    """The any-batch test of a candidate whose network takes batches; None for one that takes pictures."""
    if not isinstance(runner, NetworkRunner):
        return None
    statistics = sources(runner).statistics
    return any_batch(
        runner,
        spread(images, BATCH_IMAGES),
        max_batch=int(facts.get("max_batch_size") or 1),
        seed=seed,
        formed=None if statistics is None else lambda: asyncio.run(statistics.read()).executions_by_size(),
        progress=progress,
    )
