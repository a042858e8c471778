"""Any batch: every image's answer in any company, held to its answer alone."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from parity.answers.company import Rows, batches, concurrent, sizes
from parity.answers.difference import Difference, compare, unusable
from parity.answers.noise import LEAST, Cut, Noise
from parity.answers.repeats import largest, noise_floor
from parity.dataset import ImageProblem, ImageRecord
from parity.errors import ParityError, RunnerError, first_line
from parity.progress import Progress, Silent, Step
from parity.runners import ImageResult
from parity.runners.network import NetworkRunner
from parity.runners.preprocess import Placement
from parity.serving.evidence import BatchInvariance

MOST_WORKERS = 32
FAILURES_IN_A_ROW = 5
"""After so many requests without an answer the path counts as broken, and the others are not sent."""

MOST_NAMED = 100
NAMED_BESIDE = 3


@dataclass(frozen=True, kw_only=True)
class Input:
    """One image, ready to be sent: tensor float32 (3, H, W), and how its boxes get back."""

    image: ImageRecord
    tensor: NDArray[np.float32]
    placement: Placement


@dataclass(frozen=True, kw_only=True)
class Check:
    """An answer in some company. place: of its input. where: for people."""

    place: int
    found: ImageResult
    where: str


@dataclass(kw_only=True)
class Seen:
    """What was gathered. alone: two quiet answers by place. formed: executions by batch size, if told."""

    alone: tuple[dict[int, ImageResult], dict[int, ImageResult]] = field(default_factory=lambda: ({}, {}))
    checks: list[Check] = field(default_factory=list)
    concurrent: int = 0
    formed: dict[int, int] | None = None


def any_batch(
    runner: NetworkRunner,
    images: Sequence[ImageRecord],
    *,
    max_batch: int,
    seed: int = 0,
    least: Noise = LEAST,
    formed: Callable[[], Mapping[int, int]] | None = None,
    progress: Progress | None = None,
) -> BatchInvariance:
    """Compare answers in any company (`parity.answers.company`) with those alone, over an entered runner.

    max_batch: most images of a request, the served model's max_batch_size. formed: executions so far by batch
    size, as the server counts them; asked before and after the concurrent requests. Noise is what two runs
    over the images alone differ by, at least `least`. A path that fails raises nothing: what failed is
    counted and told.
    """
    inputs, problems = _inputs(runner, images)
    path = _Path(runner)
    together = batches(len(inputs), max_batch, seed)
    at_once = concurrent(len(inputs), max_batch, seed)
    total = 2 * len(inputs) + len(together) + len(at_once)
    seen = Seen()
    with (progress or Silent()).step("the same images in any batch", total) as step:
        _ask_alone(path, inputs, seen, step)
        _ask_together(path, inputs, together, seen, step)
        before = Counter(formed()) if formed else None
        _ask_at_once(path, inputs, at_once, min(MOST_WORKERS, max(2, 2 * max_batch)), seen, step)
        if formed and before is not None:
            seen.formed = dict(sorted((Counter(formed()) - before).items()))
    cut = Cut(score_floor=runner.context.score_floor, max_detections=runner.context.max_detections)
    return _judged(inputs, seen, path, cut, least, max_batch, problems)


class _Path:
    """A runner that is asked for batches, its failures counted. May be used from several threads."""

    def __init__(self, runner: NetworkRunner) -> None:
        self.runner = runner
        self.failed = 0
        self.problem = ""
        self._in_a_row = 0
        self._lock = threading.Lock()

    def broken(self) -> bool:
        """Whether it failed so often that nothing more is sent."""
        return self._in_a_row >= FAILURES_IN_A_ROW

    def ask(self, inputs: Sequence[Input]) -> list[ImageResult]:
        """One answer an input, or none at all."""
        if self.broken():
            return []
        answers = self._try(inputs)
        if not answers and self.broken() and len(inputs) > 1:
            self._try(inputs[:1])  # which may be answered all the same, and then only batches are refused
        return answers

    def _try(self, inputs: Sequence[Input]) -> list[ImageResult]:
        try:
            output = self.runner.infer(np.stack([each.tensor for each in inputs]))
            if len(output) != len(inputs):
                raise RunnerError(f"{len(output)} answers to a batch of {len(inputs)}")
            answers = [self._answer(each, row) for each, row in zip(inputs, output, strict=True)]
        except ParityError as error:
            return self._lost(len(inputs), error.found)
        except Exception as error:  # noqa: BLE001  # a runner may be anybody's code; what it answered counts
            return self._lost(len(inputs), first_line(error))
        with self._lock:
            self._in_a_row = 0
        return answers

    def _answer(self, sent: Input, output: NDArray[np.float32]) -> ImageResult:
        decoded = self.runner.interpret(output, sent.placement)
        return ImageResult(
            image_id=sent.image.image_id,
            boxes=decoded.boxes,
            scores=decoded.scores,
            classes=decoded.classes,
            nonfinite=decoded.nonfinite,
        )

    def _lost(self, size: int, why: str) -> list[ImageResult]:
        with self._lock:
            self.failed += 1
            self._in_a_row += 1
            self.problem = self.problem or f"a batch of {size}: {why}"
        return []


def _inputs(runner: NetworkRunner, images: Sequence[ImageRecord]) -> tuple[list[Input], list[str]]:
    """The images that can be read, ready to be sent, and what is wrong with the others."""
    inputs, problems = [], []
    for image in images:
        try:
            tensor, placement = runner.prepare(runner.context.reader.read(image))
        except ImageProblem as problem:
            problems.append(f"{image.file_name}: {problem.message}")
        else:
            inputs.append(Input(image=image, tensor=tensor, placement=placement))
    return inputs, problems


def _ask_alone(path: _Path, inputs: Sequence[Input], seen: Seen, step: Step) -> None:
    for quiet in seen.alone:
        for place, each in enumerate(inputs):
            for result in path.ask([each]):
                quiet[place] = result
            step.advance()


def _ask_together(
    path: _Path, inputs: Sequence[Input], together: Sequence[Rows], seen: Seen, step: Step
) -> None:
    for rows in together:
        for row, result in enumerate(path.ask([inputs[place] for place in rows])):
            where = _described(inputs, rows, row)
            seen.checks.append(Check(place=rows[row], found=result, where=where))
        step.advance()


def _ask_at_once(
    path: _Path, inputs: Sequence[Input], places: Sequence[int], workers: int, seen: Seen, step: Step
) -> None:
    with ThreadPoolExecutor(workers, thread_name_prefix="parity-any-batch") as pool:
        answers = pool.map(lambda place: path.ask([inputs[place]]), places)
        for place, results in zip(places, answers, strict=True):
            where = f"{inputs[place].image.file_name}, sent alone with {workers} requests under way"
            seen.checks += [Check(place=place, found=result, where=where) for result in results]
            seen.concurrent += len(results)
            step.advance()


def _described(inputs: Sequence[Input], rows: Rows, row: int) -> str:
    name = inputs[rows[row]].image.file_name
    if len(rows) == 1:
        return f"{name}, alone again"
    others = list(dict.fromkeys(inputs[place].image.file_name for place in rows if place != rows[row]))
    more = len(others) - NAMED_BESIDE
    told = ", ".join(others[:NAMED_BESIDE]) + (f" and {more} more" if more > 0 else "")
    return f"{name}, row {row} in a batch of {len(rows)}, beside {told or 'copies of itself'}"


def _judged(
    inputs: Sequence[Input],
    seen: Seen,
    path: _Path,
    cut: Cut,
    least: Noise,
    max_batch: int,
    problems: list[str],
) -> BatchInvariance:
    first, second = seen.alone
    noise = noise_floor(first, second, cut, least)
    usable = {place for place, result in first.items() if not unusable(result)}
    problems = problems + [
        f"{each.image.file_name}: alone it has no answer"
        + (f" to compare with ({unusable(first[place])})" if place in first else "")
        for place, each in enumerate(inputs)
        if place not in usable
    ]
    checks = [check for check in seen.checks if check.place in usable]
    damaged = [check for check in checks if unusable(check.found)]
    sound = [check for check in checks if not unusable(check.found)]
    differences = compare([(first[check.place], check.found) for check in sound], cut, noise)
    found: list[tuple[Difference, str]] = [
        (difference, check.where) for difference, check in zip(differences, sound, strict=True)
    ]
    differing = damaged + [c for c, d in zip(sound, differences, strict=True) if d.differs]
    names = dict.fromkeys(inputs[check.place].image.file_name for check in differing)
    problems += [f"{check.where}: {unusable(check.found)}" for check in damaged[:1]]
    problems += [f"{path.failed} requests without an answer, first {path.problem}"] if path.failed else []
    problems += ["the path broke, and the other requests were not sent"] if path.broken() else []
    return BatchInvariance(
        images=len(usable),
        max_batch=max_batch,
        sizes=sizes(max_batch),
        checks=len(checks),
        concurrent=seen.concurrent,
        formed=seen.formed,
        differing=len(differing),
        failed=path.failed,
        largest=largest(found, noise),
        differing_images=list(names)[:MOST_NAMED],
        noise_score=noise.score,
        noise_pixels=noise.pixels,
        reason="; ".join(problems[:MOST_NAMED]),
    )
