"""How both paths of one model serve: quiet answers, load in turn, any batch, and what the servers tell."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

from parity.answers import Answers, Cut, any_batch, unusable
from parity.collect import checked
from parity.dataset import Dataset, ImageRecord, OpenCvReader
from parity.errors import ParityError, RunnerError, first_line
from parity.load.clock import run_on_fine_loop, undisturbed
from parity.load.material import spread
from parity.load.plan import LoadPlan
from parity.load.run import ORDER, run_steps
from parity.load_sides import sources
from parity.load_so_far import SoFar
from parity.progress import Progress
from parity.provenance import environment
from parity.runners import ImageResult, Runner
from parity.runners.network import NetworkRunner
from parity.serving.evidence import BatchInvariance, ServingEvidence, SideName
from parity.sides import Request, entered

BATCH_IMAGES = 12
"""Images that the any-batch test sends in every company: a few show what depends on the company."""

SENT_ONCE = (
    "under load each request was sent once and never again; the settings `retries` and `patience` were used "
    "for the quiet answers and for any batch alone"
)
"""What a reader of the settings in the report has to know."""


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
    keep: Callable[[ServingEvidence], None],
    *,
    metrics: Collection[str] = (),
) -> Gathered:
    """Measure one model. timings: seconds of each part, filled in. metrics: names that the policy looks for.

    keep: stores what there is so far; called after each step and at the load's end, also when Ctrl-C ends it.
    What breaks after the load has begun is in `error`, beside what was gathered until then. Raises
    ParityError when a side cannot be made ready, or breaks down in quiet.
    """
    model = request.run_file.models[name]
    images = tuple(spread(dataset.images[: request.images], plan.most_images))
    with ExitStack() as stack:
        runners = entered(stack, request, name, dataset, reader, timings, progress)
        facts: dict[str, Any] = {side: runners[side].provenance() for side in ORDER}
        quiet: dict[SideName, tuple[Answers, Answers]] = {
            side: _twice(runners[side], images, len(model.names), f"{name}: {side}, quiet", progress)
            for side in ORDER
        }
        so_far = SoFar(
            runners=runners,
            plan=plan,
            images=images,
            quiet=quiet,
            cut=Cut(score_floor=request.run_file.score_floor, max_detections=request.run_file.max_detections),
            metrics=metrics,
            python_backend=facts["candidate"].get("backend") == "python",
        )
        started = perf_counter()
        try:
            error = _broken_off(
                f"load on {name!r}", lambda: _drive(so_far, reader, progress, lambda: keep(so_far.steps()))
            )
        finally:
            keep(so_far.evidence())
        timings["load"] = perf_counter() - started
        started = perf_counter()

        def any_company() -> None:
            so_far.batches = _batches(runners["candidate"], images, facts["candidate"], plan.seed, progress)

        later = _broken_off(f"any batch of {name!r}", any_company)
        timings["any batch"] = perf_counter() - started
        evidence = so_far.evidence()
    return Gathered(
        evidence=evidence,
        images=images,
        quiet={side: first for side, (first, _) in quiet.items()},
        facts={**facts, "load": _told(plan), "environment": environment()},
        problems=(SENT_ONCE, *so_far.run.problems, *so_far.unseen()),
        error=error or later,
    )


def _told(plan: LoadPlan) -> dict[str, Any]:
    """What was done to both sides, for the provenance."""
    return {
        "attempts_a_request": 1,
        "retries": "not used under load",
        "first_in_even_turns": ORDER[0],
        "first_in_odd_turns": ORDER[1],
        "turns": plan.turns,
        "work": plan.work,
        "seed": plan.seed,
        "rules": asdict(plan.rules),
    }


def _broken_off(what: str, part: Callable[[], None]) -> ParityError | None:
    """What ended a part of the measurement early, if anything did; what it gathered until then is kept."""
    try:
        part()
    except ParityError as problem:
        return problem
    except Exception as problem:  # noqa: BLE001  # a runner may be anybody's code; what was measured is kept
        error = RunnerError(f"it broke off ({first_line(problem)})", where=what)
        error.__cause__ = problem
        return error
    return None


def _twice(
    runner: Runner, images: Sequence[ImageRecord], classes: int, label: str, progress: Progress
) -> tuple[Answers, Answers]:
    """Two quiet runs over the images: what load is held to, and how much of a difference is noise.

    Raises ParityError when the runner breaks down or answers nothing at all: load would show nothing then. An
    image that it fails on is in its answers as failed.
    """
    runs: list[dict[int, ImageResult]] = [{}, {}]

    def ask() -> None:
        with progress.step(label, 2 * len(images)) as step:
            for found in runs:
                for result in runner.predict(images):
                    found[result.image_id] = checked(result, classes)
                    step.advance()

    error = _broken_off(label, ask)
    if error:
        raise error
    told = [unusable(result) for found in runs for result in found.values()]
    if all(told):
        message, times = Counter(told).most_common(1)[0] if told else ("no answer", 0)
        raise RunnerError(
            f"none of {len(images)} images was answered; of {len(told)} failures {times} say: {message}",
            where=label,
            expected="a side that answers before load is put on it",
            remedy="mend the side; its own log may say more",
        )
    return runs[0], runs[1]


def _drive(so_far: SoFar, reader: OpenCvReader, progress: Progress, stepped: Callable[[], None]) -> None:
    """Put the load on, observed from before the first request to after the last answer."""

    async def whole() -> None:
        targets = {side: so_far.runners[side].target() for side in ORDER}  # type: ignore[attr-defined]
        observer = so_far.observer
        async with observer:
            await run_steps(
                so_far.run,
                so_far.plan,
                targets,
                so_far.images,
                reader,
                observers=[observer],
                progress=progress,
                stepped=stepped,
            )

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
