"""Many images under way at once, and the end of a run whose server is broken."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from parity.dataset import ImageRecord
from parity.detections import Status
from parity.errors import RunnerError
from parity.runners.base import ImageResult
from parity.runners.in_flight import CONSECUTIVE_FAILURES, Watched, answer_in_flight


def images(count: int) -> list[ImageRecord]:
    return [
        ImageRecord(image_id=i, file_name=f"{i}", path=Path("x"), width=9, height=9) for i in range(count)
    ]


def ok(image: ImageRecord) -> ImageResult:
    return ImageResult(image_id=image.image_id)


def failed(image: ImageRecord) -> ImageResult:
    return ImageResult(image_id=image.image_id, status=Status.FAILED, message="no luck")


def server(*, live: bool = True, log: str = "") -> Watched:
    return Watched(what="the service", where="http://x", live=lambda: live, log_tail=lambda: log)


@pytest.mark.parametrize("count", [0, 1, 3, 50])
def test_every_image_is_answered_once(count: int) -> None:
    found = answer_in_flight(images(count), ok, most=4, server=server())
    assert sorted(result.image_id for result in found) == list(range(count))


def test_so_many_are_under_way_and_no_more() -> None:
    together = threading.Barrier(3)
    taken: list[int] = []

    def source() -> Iterator[ImageRecord]:
        for image in images(9):
            taken.append(image.image_id)
            yield image

    def answer(image: ImageRecord) -> ImageResult:
        together.wait(20)  # which only three at a time can pass
        return ok(image)

    results = answer_in_flight(source(), answer, most=3, server=server())
    next(results)
    assert len(taken) == 3, "images are taken only as threads get free"
    assert len(list(results)) == 8


def test_single_failures_of_a_live_server_do_not_end_the_run() -> None:
    def answer(image: ImageRecord) -> ImageResult:
        return failed(image) if image.image_id % CONSECUTIVE_FAILURES else ok(image)

    results = list(answer_in_flight(images(40), answer, most=1, server=server()))
    assert sum(result.status is Status.FAILED for result in results) == 32


def test_failures_that_are_the_images_own_end_nothing() -> None:
    """Nor do they hide the server's: those are in a row, whatever comes between."""

    def answer(image: ImageRecord) -> ImageResult:
        return failed(image) if image.image_id else ok(image)

    watched = replace(server(), excused=lambda result: result.image_id < 30)
    assert len(list(answer_in_flight(images(30), answer, most=1, server=watched))) == 30
    with pytest.raises(RunnerError, match="5 requests failed in a row"):
        list(answer_in_flight(images(60), answer, most=1, server=watched))


def test_many_failures_in_a_row_end_it_with_what_there_is() -> None:
    results: list[ImageResult] = []
    with pytest.raises(RunnerError, match="5 requests failed in a row: no luck") as caught:
        results.extend(answer_in_flight(images(40), failed, most=1, server=server(log="its last words")))
    assert "http://x" in str(caught.value) and "its last words" in str(caught.value)


def test_a_server_that_is_gone_ends_it_at_the_first_failure() -> None:
    results = answer_in_flight(images(40), failed, most=1, server=server(live=False))
    assert next(results).image_id == 0
    with pytest.raises(RunnerError, match=r"the service stopped answering \(no luck\)"):
        next(results)


def test_whoever_stops_listening_stops_the_work() -> None:
    begun: list[int] = []

    def answer(image: ImageRecord) -> ImageResult:
        begun.append(image.image_id)
        return ok(image)

    results = answer_in_flight(images(1000), answer, most=2, server=server())
    next(results)
    results.close()  # type: ignore[attr-defined]  # it is a generator
    assert len(begun) <= 6
