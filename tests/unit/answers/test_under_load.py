"""Kept answers against the quiet run's: differences are named, and nothing is left out silently."""

from __future__ import annotations

from typing import Any

import pytest

from parity.answers import LEAST, Cut, under_load
from parity.detections import Status
from parity.runners import ImageResult
from parity.serving.evidence import UnderLoad
from tests.answer_samples import Row, answer

CUT = Cut(score_floor=0.001, max_detections=300)
BOX: Row = (0, 0.8, 10, 10, 50, 50)
MOVED: Row = (0, 0.8, 10, 10, 50, 53)
QUIET = {image_id: answer(image_id, BOX) for image_id in (1, 2, 3)}
NAMES = {image_id: f"{image_id}.jpg" for image_id in range(1, 300)}


def of(*sampled: ImageResult, **changes: Any) -> UnderLoad:
    options = {"quiet": QUIET, "again": QUIET, **changes}
    return under_load("candidate", sampled, options["quiet"], options["again"], NAMES, cut=CUT)


def test_equal_answers() -> None:
    found = of(*QUIET.values(), answer(1, BOX))
    assert (found.sampled, found.compared, found.images, found.detections) == (4, 4, 3, 4)
    assert (found.differing, found.failed, found.uncompared, found.reason) == (0, 0, [], "")
    assert (found.noise_score, found.noise_pixels) == (LEAST.score, LEAST.pixels)
    assert found.side == "candidate"


def test_differences_are_counted_and_their_images_named_once() -> None:
    found = of(answer(2, MOVED), answer(1, BOX), answer(2, MOVED), answer(2, BOX))
    assert (found.differing, found.differing_images) == (2, ["2.jpg"])
    assert found.largest is not None
    assert (found.largest.where, found.largest.box_pixels) == ("2.jpg", 3.0)


def test_the_noise_of_the_quiet_run_is_no_difference() -> None:
    noisy = {**QUIET, 2: answer(2, MOVED)}
    assert of(answer(2, MOVED), again=noisy).differing == 0
    assert of(answer(2, MOVED), again={}).differing == 1, "without a repeat the least noise counts"


def test_a_failed_answer_is_counted_and_one_that_came_later_is_compared() -> None:
    lost = ImageResult(image_id=1, status=Status.FAILED, message="unavailable")
    found = of(lost, answer(1, BOX))
    assert (found.sampled, found.failed, found.compared, found.uncompared) == (2, 1, 1, [])


@pytest.mark.parametrize(
    ("sampled", "quiet", "words"),
    [
        (ImageResult(image_id=1, status=Status.FAILED, message="unavailable"), QUIET, "unavailable"),
        (answer(1, BOX, nonfinite=2), QUIET, "not finite"),
        (answer(4, BOX), QUIET, "the quiet run has no answer (none)"),
        (
            answer(1, BOX),
            {1: answer(1, status=Status.UNREADABLE)},
            "the quiet run has no answer (unreadable)",
        ),
    ],
)
def test_an_image_of_which_nothing_can_be_compared_is_named(
    sampled: ImageResult, quiet: dict[int, ImageResult], words: str
) -> None:
    found = of(sampled, quiet=quiet, again={})
    assert found.uncompared == [NAMES[sampled.image_id]]
    assert words in found.reason
    assert (found.compared, found.images, found.largest) == (0, 0, None)


@pytest.mark.parametrize("rows", [(), ((0, 0.0015, 10, 10, 50, 50),)])
def test_answers_with_nothing_to_lose_are_counted_as_such(rows: tuple[Row, ...]) -> None:
    nothing = {image_id: answer(image_id, *rows) for image_id in (1, 2)}
    found = of(*nothing.values(), quiet=nothing, again=nothing)
    assert (found.compared, found.differing, found.detections) == (2, 0, 0)


def test_no_answer_was_kept() -> None:
    found = of()
    assert found.reason == "no answer of the load run was kept"
    assert found.largest is None


def test_names_are_bounded() -> None:
    quiet = {image_id: answer(image_id, BOX) for image_id in range(1, 201)}
    found = of(*(answer(image_id, MOVED) for image_id in quiet), quiet=quiet, again=quiet)
    assert (found.differing, len(found.differing_images)) == (200, 100)
    assert len(of(*quiet.values(), quiet={}, again={}).uncompared) == 100
