"""Any batch: every image's answer in any company, held to its answer alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from parity.answers.asking import Asked, Input, inputs_of
from parity.answers.company import Rows, batches, concurrent, places
from parity.answers.difference import Difference, compare, unusable
from parity.answers.noise import LEAST, Cut, Noise
from parity.answers.repeats import largest, noise_floor, telling
from parity.dataset import ImageRecord
from parity.errors import ParityError
from parity.progress import Progress, Silent, Step
from parity.runners import ImageResult
from parity.runners.network import NetworkRunner
from parity.serving.evidence import BatchInvariance

MOST_WORKERS = 32
REST_POLLS = 4
REST_POLL_S = 0.1
REST_MOST_S = 5.0
"""Counters rest when so many readings in a row are equal; after REST_MOST_S the last one has to do."""

MOST_NAMED = 100
NAMED_BESIDE = 3
PROBLEMS_TOLD = 5


@dataclass(frozen=True, kw_only=True)
class Check:
    """An answer in some company. number: of its input. where: for people.

    size: of the batch that was sent, 0 for requests sent at the same time. row: in that batch. beside:
    whether other images were in it, or it can hold no other.
    """

    number: int
    found: ImageResult
    where: str
    size: int = 0
    row: int = 0
    beside: bool = False


@dataclass(kw_only=True)
class Seen:
    """What was gathered. alone: two quiet answers by number. formed: executions by batch size, if told."""

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
    inputs, unread = inputs_of(runner, images)
    path = Asked(runner)
    cut = Cut(score_floor=runner.context.score_floor, max_detections=runner.context.max_detections)
    at_once = concurrent(len(inputs), max_batch, seed)
    total = 2 * len(inputs) + len(batches(len(inputs), max_batch, seed)) + len(at_once)
    seen = Seen()
    with (progress or Silent()).step("the same images in any batch", total) as step:
        _ask_alone(path, inputs, seen, step)
        anchor = _most_to_lose(seen.alone[0], cut, least)
        _ask_together(path, inputs, batches(len(inputs), max_batch, seed, anchor), seen, step)
        before = _counted(formed)
        _ask_at_once(path, inputs, at_once, min(MOST_WORKERS, max(2, 2 * max_batch)), seen, step)
        after = _counted(formed)
    if before is not None and after is not None:
        seen.formed = dict(sorted((after - before).items()))
    return _judged(inputs, seen, path, cut, least, max_batch, unread)


def _counted(formed: Callable[[], Mapping[int, int]] | None) -> Counter[int] | None:
    """What the server says of its batches when its counters rest; None where it does not tell.

    Triton counts a batch only after it has answered it, so the last one may be missing at first.
    """
    if formed is None:
        return None
    try:
        seen = [Counter(formed())]
        deadline = time.monotonic() + REST_MOST_S
        while seen[-REST_POLLS:] != seen[-1:] * REST_POLLS and time.monotonic() < deadline:
            time.sleep(REST_POLL_S)
            seen.append(Counter(formed()))
        return seen[-1]
    except ParityError:
        return None


def _ask_alone(path: Asked, inputs: Sequence[Input], seen: Seen, step: Step) -> None:
    for quiet in seen.alone:
        for number, each in enumerate(inputs):
            for result in path.ask([each]):
                quiet[number] = result
            step.advance()


def _most_to_lose(alone: Mapping[int, ImageResult], cut: Cut, noise: Noise) -> int:
    """The input whose answer has most detections: where batches do anything, it shows there."""
    lost = {number: telling([found], cut, noise) for number, found in alone.items() if not unusable(found)}
    return max(lost, key=lambda number: lost[number], default=0)


def _ask_together(
    path: Asked, inputs: Sequence[Input], together: Sequence[Rows], seen: Seen, step: Step
) -> None:
    for rows in together:
        for row, result in enumerate(path.ask([inputs[number] for number in rows])):
            check = Check(
                number=rows[row],
                found=result,
                where=_described(inputs, rows, row),
                size=len(rows),
                row=row,
                beside=len(rows) == 1 or len(set(rows)) > 1,
            )
            seen.checks.append(check)
        step.advance()


def _ask_at_once(
    path: Asked, inputs: Sequence[Input], numbers: Sequence[int], workers: int, seen: Seen, step: Step
) -> None:
    with ThreadPoolExecutor(workers, thread_name_prefix="parity-any-batch") as pool:
        answers = pool.map(lambda number: path.ask([inputs[number]]), numbers)
        for number, results in zip(numbers, answers, strict=True):
            where = f"{inputs[number].image.file_name}, sent alone with {workers} requests under way"
            seen.checks += [Check(number=number, found=result, where=where) for result in results]
            seen.concurrent += len(results)
            step.advance()


def _described(inputs: Sequence[Input], rows: Rows, row: int) -> str:
    name = inputs[rows[row]].image.file_name
    if len(rows) == 1:
        return f"{name}, alone again"
    others = list(dict.fromkeys(inputs[other].image.file_name for other in rows if other != rows[row]))
    more = len(others) - NAMED_BESIDE
    told = ", ".join(others[:NAMED_BESIDE]) + (f" and {more} more" if more > 0 else "")
    return f"{name}, row {row} in a batch of {len(rows)}, beside {told or 'copies of itself'}"


def _judged(
    inputs: Sequence[Input],
    seen: Seen,
    path: Asked,
    cut: Cut,
    least: Noise,
    max_batch: int,
    unread: list[str],
) -> BatchInvariance:
    first, second = seen.alone
    noise = noise_floor(first, second, cut, least)
    usable = {number: result for number, result in first.items() if not unusable(result)}
    checks = [check for check in seen.checks if check.number in usable]
    damaged = [check for check in checks if unusable(check.found)]
    sound = [check for check in checks if not unusable(check.found)]
    differences = compare([(usable[check.number], check.found) for check in sound], cut, noise)
    found: list[tuple[Difference, str]] = [
        (difference, check.where) for difference, check in zip(differences, sound, strict=True)
    ]
    differing = damaged + [c for c, d in zip(sound, differences, strict=True) if d.differs]
    names = dict.fromkeys(inputs[check.number].image.file_name for check in differing)
    return BatchInvariance(
        images=len(usable),
        max_batch=max_batch,
        sizes=sorted({check.size for check in checks if check.size}),
        checks=len(checks),
        detections=telling(usable.values(), cut, noise),
        places=len(places(max_batch)),
        places_seen=_places_seen(checks, usable, cut, noise, max_batch),
        concurrent=seen.concurrent,
        formed=seen.formed,
        differing=len(differing),
        failed=path.failed,
        largest=largest(found, noise),
        differing_images=list(names)[:MOST_NAMED],
        noise_score=noise.score,
        noise_pixels=noise.pixels,
        reason=_reason(path, damaged, _never_alone(inputs, first), unread),
    )


def _places_seen(
    checks: Sequence[Check], alone: Mapping[int, ImageResult], cut: Cut, noise: Noise, max_batch: int
) -> int:
    """How many places that image was in which was in most, of those that have something to lose."""
    wanted = places(max_batch)
    found: dict[int, set[tuple[int, int]]] = {}
    for check in checks:
        place = (check.size, check.row)
        if check.beside and place in wanted:
            found.setdefault(check.number, set()).add(place)
    counts = [len(seen) for number, seen in found.items() if telling([alone[number]], cut, noise)]
    return max(counts, default=0)


def _never_alone(inputs: Sequence[Input], first: Mapping[int, ImageResult]) -> list[str]:
    """The images of which there is nothing to compare with, and why."""
    return [
        f"{each.image.file_name}: alone it has no answer"
        + (f" to compare with ({unusable(first[number])})" if number in first else "")
        for number, each in enumerate(inputs)
        if number not in first or unusable(first[number])
    ]


def _reason(path: Asked, damaged: Sequence[Check], never_alone: list[str], unread: list[str]) -> str:
    """What keeps the test from showing all that it should, the worst first."""
    told = ["the path broke, and the other requests were not sent"] if path.broken() else []
    told += [f"{path.failed} requests without an answer, first {path.problem}"] if path.failed else []
    told += [f"{check.where}: {unusable(check.found)}" for check in damaged[:1]]
    told += [*never_alone, *unread]
    more = len(told) - PROBLEMS_TOLD
    return "; ".join(told[:PROBLEMS_TOLD]) + (f"; and {more} more" if more > 0 else "")
