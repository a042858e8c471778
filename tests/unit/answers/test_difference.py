"""How far answers lie apart: scores, corners, detections at the cut, and what is no answer."""

from __future__ import annotations

import math

import numpy as np
import pytest

from parity.answers import Cut, Difference, Noise, compare, noise_floor, unusable
from parity.detections import Status
from tests.answer_samples import Row, answer

CUT = Cut(score_floor=0.001, max_detections=300)
NOISE = Noise(score=0.01, pixels=0.5)
BOX: Row = (0, 0.8, 10, 10, 50, 50)


def one(expected: list[Row], found: list[Row], cut: Cut = CUT, noise: Noise = NOISE) -> Difference:
    (difference,) = compare([(answer(1, *expected), answer(1, *found))], cut, noise)
    return difference


def test_an_answer_is_no_different_from_itself() -> None:
    assert one([BOX], [BOX]) == Difference(lowest_iou=1.0)
    assert one([], []) == Difference()
    assert compare([], CUT, NOISE) == []


def test_the_order_of_detections_is_no_difference() -> None:
    rows: list[Row] = [BOX, (1, 0.7, 60, 60, 90, 90), (0, 0.6, 100, 100, 120, 120)]
    found = one(rows, rows[::-1])
    assert (found.score, found.box_pixels, found.loose, found.differs) == (0, 0, 0, False)


def test_scores_and_corners_are_measured() -> None:
    found = one([BOX], [(0, 0.795, 10, 10, 50, 50.25)])
    assert found.score == pytest.approx(0.005, abs=1e-6)
    assert found.box_pixels == 0.25
    assert found.lowest_iou == pytest.approx(1600 / 1610)
    assert not found.differs


@pytest.mark.parametrize(
    ("row", "differs"),
    [
        ((0, 0.8, 10, 10, 50, 50.5), False),
        ((0, 0.8, 10, 10, 50, 50.75), True),
        ((0, 0.8125, 10, 10, 50, 50), True),
        ((0, 0.7875, 10, 10, 50, 50), True),
    ],
)
def test_only_more_than_noise_differs(row: Row, differs: bool) -> None:
    assert one([BOX], [row], noise=Noise(score=0.0124, pixels=0.5)).differs is differs
    exact = Noise(score=float(np.float64(np.float32(0.8125)) - np.float64(np.float32(0.8))), pixels=0.75)
    assert not one([BOX], [row], noise=exact).differs, "exactly on the noise is noise"


@pytest.mark.parametrize("swap", [False, True])
def test_a_detection_that_is_missing_differs_by_what_its_score_is_over_the_cut(swap: bool) -> None:
    more, less = [BOX, (0, 0.3, 100, 100, 150, 150)], [BOX]
    found = one(less, more) if swap else one(more, less)
    assert found.score == pytest.approx(0.299, abs=1e-6)
    assert (found.loose, found.differs) == (1, True)


def test_what_comes_and_goes_at_the_floor_is_noise() -> None:
    found = one([BOX, (0, 0.0105, 100, 100, 150, 150)], [BOX])
    assert found.score == pytest.approx(0.0095, abs=1e-6)
    assert (found.loose, found.differs) == (0, False)


def test_what_falls_out_of_a_full_answer_is_measured_from_its_last() -> None:
    """Of two that may be kept, the last one changes: 0.500 goes and 0.505 comes."""
    expected: list[Row] = [BOX, (0, 0.5, 100, 100, 150, 150)]
    found: list[Row] = [BOX, (0, 0.505, 200, 200, 250, 250)]
    full = Cut(score_floor=0.001, max_detections=2)
    assert one(expected, found, cut=full).score == pytest.approx(0.0, abs=0.0051)
    assert not one(expected, found, cut=full).differs
    assert one(expected, found).differs, "with room for more, neither had to go"


def test_an_answer_that_is_not_full_is_cut_at_the_floor() -> None:
    assert CUT.of(answer(1, BOX)) == 0.001
    assert Cut(score_floor=0.001, max_detections=1).of(answer(1, BOX)) == pytest.approx(0.8)
    assert Cut(score_floor=0.001, max_detections=1).of(answer(1)) == 0.001


def test_another_class_is_another_detection() -> None:
    found = one([BOX], [(1, 0.8, 10, 10, 50, 50)])
    assert (found.loose, found.differs) == (2, True)
    assert found.lowest_iou is None


def test_a_box_that_went_far_is_another_detection() -> None:
    assert one([BOX], [(0, 0.8, 40, 40, 80, 80)]).loose == 2


def test_boxes_without_area_find_each_other_by_their_corners() -> None:
    """At the edge of a picture, clipped boxes have no area, and so no overlap with anything."""
    flat: Row = (0, 0.4, 0, 10, 0, 50)
    near: Row = (0, 0.4, 0, 10.25, 0, 50)
    found = one([BOX, flat], [BOX, near])
    assert found.box_pixels == 0.25
    assert (found.loose, found.differs) == (0, False)
    assert one([BOX, flat], [BOX, (0, 0.4, 0, 12, 0, 50)]).differs
    assert one([BOX, flat], [BOX, (1, 0.4, 0, 10, 0, 50)]).differs


def test_many_are_compared_at_once_and_each_for_itself() -> None:
    moved: Row = (0, 0.8, 10, 10, 50, 53)
    pairs = [(answer(7, BOX), answer(7, row)) for row in (BOX, moved, BOX)]
    assert [difference.differs for difference in compare(pairs, CUT, NOISE)] == [False, True, False]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": Status.FAILED, "message": "unavailable"}, "unavailable"),
        ({"status": Status.UNREADABLE}, "unreadable"),
        ({"nonfinite": 1}, "not finite"),
        ({"scores": np.array([math.nan], np.float32)}, "not finite"),
        ({"boxes": np.full((1, 4), math.inf, np.float32)}, "not finite"),
        ({"classes": np.zeros(2, np.int64)}, "(2,) classes"),
        ({"boxes": np.zeros((1, 3), np.float32)}, "(1, 3) boxes"),
    ],
)
def test_what_is_no_answer_is_never_equal(changes: dict[str, object], words: str) -> None:
    broken = answer(1, BOX, **changes)
    assert words in unusable(broken)
    with pytest.raises(ValueError, match="cannot be compared"):
        compare([(broken, broken)], CUT, NOISE)


def test_the_noise_floor_is_the_largest_difference_of_two_quiet_runs() -> None:
    first = {1: answer(1, BOX), 2: answer(2, BOX), 3: answer(3, BOX)}
    second = {
        1: answer(1, (0, 0.805, 10, 10, 50, 50)),
        2: answer(2, (0, 0.8, 10, 10, 50, 51)),
        4: answer(4, BOX),
    }
    noise = noise_floor(first, second, CUT)
    assert noise.score == pytest.approx(0.005, abs=1e-6)
    assert noise.pixels == 1.0


def test_the_noise_floor_is_never_under_the_least() -> None:
    least = Noise(score=0.25, pixels=4.0)
    same = {1: answer(1, BOX)}
    assert noise_floor(same, same, CUT, least) == least
    assert noise_floor(same, {}, CUT, least) == least
    assert noise_floor(same, {1: answer(1, BOX, nonfinite=1)}, CUT, least) == least
