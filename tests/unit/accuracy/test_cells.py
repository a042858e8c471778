"""The matching of detections to ground truth, cell by cell: by hand, and decision by decision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from parity.accuracy.cells import EVERY_THRESHOLD, THRESHOLD_COUNT, Cells, Truth, match_cells
from parity.accuracy.coco import Detections, index_truth
from parity.accuracy.inputs import AREA_RANGES
from parity.accuracy.per_class import IOU_THRESHOLDS
from tests.coco_oracle import pycocotools_evaluation, random_case

ALLOWED = (1, 10, 100)
Result = tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.int64], int]


def cells(images: NDArray[np.int32], scores: NDArray[np.float64], boxes: NDArray[np.float64]) -> Cells:
    """Detections of one class as the loop takes them; equal scores by image, then as they come."""
    ranked = np.lexsort((np.arange(len(scores)), images, -scores))
    ranks = np.empty(len(scores), np.int64)
    ranks[ranked] = np.arange(len(scores))
    found, counts = np.unique(images, return_counts=True)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Cells(np.lexsort((ranks, images)), starts, found.astype(np.int32), boxes, scores, ranks)


def matched(
    truth: Sequence[Sequence[float]],
    detections: Sequence[Sequence[float]],
    allowed: tuple[int, int, int] = ALLOWED,
) -> Result:
    """truth: rows of image, x, y, w, h, crowd. detections: rows of image, score, x, y, w, h."""
    rows = np.array(truth, np.float64).reshape(-1, 6)
    boxes = rows[:, 1:5].copy()
    known = Truth(rows[:, 0].astype(np.int32), boxes, boxes[:, 2] * boxes[:, 3], rows[:, 5] > 0)
    found = np.array(detections, np.float64).reshape(-1, 6)
    made = cells(found[:, 0].astype(np.int32), found[:, 1].copy(), found[:, 2:].copy())
    return match_cells(made, known, AREA_RANGES, IOU_THRESHOLDS, allowed)


def bits(mask: int) -> int:
    """How many thresholds a fate holds at."""
    return int(mask).bit_count()


@pytest.mark.parametrize(
    ("shift", "thresholds"),
    [(0, 10), (1, 7), (2, 4), (3, 1), (4, 0)],  # IoU 1, 9/11, 8/12, 7/13, 6/14
)
def test_a_detection_matches_at_the_thresholds_that_its_overlap_reaches(shift: int, thresholds: int) -> None:
    hits, ignored, counts, tied = matched([[0, 0, 0, 10, 10, 0]], [[0, 0.9, shift, 0, 10, 10]])
    assert hits[0, 0] == (1 << thresholds) - 1
    assert ignored[0, 0] == 0
    assert counts.tolist() == [thresholds] * 3
    assert tied == 0


def test_the_best_score_takes_the_box_and_the_next_has_none() -> None:
    hits, ignored, counts, _ = matched(
        [[0, 0, 0, 10, 10, 0]], [[0, 0.5, 0, 0, 10, 10], [0, 0.9, 0, 0, 10, 10]]
    )
    assert [bits(each) for each in hits[0]] == [10, 0]
    assert not ignored[0].any()
    assert counts.tolist() == [10, 10, 10]


def test_a_crowd_region_is_no_hit_and_can_be_given_away_any_number_of_times() -> None:
    hits, ignored, counts, _ = matched(
        [[0, 0, 0, 100, 100, 1]], [[0, 0.9, 0, 0, 10, 10], [0, 0.8, 20, 0, 10, 10], [0, 0.7, 99, 0, 10, 10]]
    )
    assert not hits.any()
    # The third lies in the region with a tenth of itself.
    assert ignored[0].tolist() == [EVERY_THRESHOLD, EVERY_THRESHOLD, 0]
    assert counts.tolist() == [0, 0, 0]


def test_sizes_out_of_a_range_are_ignored_there() -> None:
    """A box of 40 x 40 is medium: for the small and the large it counts neither way."""
    hits, ignored, _, _ = matched([[0, 0, 0, 40, 40, 0]], [[0, 0.9, 0, 0, 40, 40], [0, 0.8, 200, 0, 10, 10]])
    assert [bits(each) for each in hits[:, 0]] == [10, 0, 10, 0]
    assert [bits(each) for each in ignored[:, 0]] == [0, 10, 0, 10]
    assert [bits(each) for each in ignored[:, 1]] == [0, 0, 10, 10]


def test_more_than_are_allowed_are_ignored() -> None:
    detections = [[0, 0.9 - i / 10, 20 * i, 0, 10, 10] for i in range(4)]
    truth = [[0, 20 * i, 0, 10, 10, 0] for i in range(4)]
    hits, ignored, counts, _ = matched(truth, detections, (1, 2, 3))
    assert [bits(each) for each in hits[0]] == [10, 10, 10, 0]
    assert [bits(each) for each in ignored[0]] == [0, 0, 0, 10]
    assert counts.tolist() == [10, 20, 30]


def test_equal_scores_of_one_image_are_counted() -> None:
    rows = [[0, 0.5, 0, 0, 9, 9], [0, 0.5, 0, 0, 8, 8], [0, 0.5, 0, 0, 7, 7], [1, 0.5, 0, 0, 9, 9]]
    assert matched([], rows)[3] == 2


def test_nothing_is_nothing() -> None:
    hits, ignored, counts, tied = matched([[0, 0, 0, 10, 10, 0]], [])
    assert hits.shape == ignored.shape == (4, 0)
    assert (counts.tolist(), tied) == ([0, 0, 0], 0)
    hits, ignored, counts, _ = matched([], [[0, 0.9, 0, 0, 10, 10]])
    assert not hits.any()
    assert [bits(each) for each in ignored[:, 0]] == [0, 0, 10, 10]
    assert matched([], [])[0].shape == (4, 0)


@pytest.mark.parametrize("seed", range(6))
def test_every_decision_is_pycocotools_own(seed: int) -> None:
    """Matches and ignored of every image, area range and threshold, with crowds and ties."""
    case = random_case(seed, images=5, classes=1, boxes=6, detections=20, score_levels=(0, 3)[seed % 2])
    theirs = pycocotools_evaluation(case)
    truth = index_truth(case.ground_truth(), image_ids=case.image_ids, category_ids=[1])
    found = Detections.of_table(case.table())
    images = np.searchsorted(truth.image_ids, found.image_ids).astype(np.int32)
    made = cells(images, found.scores, found.boxes)
    known = Truth(truth.images, truth.boxes, truth.areas, truth.crowd)
    hits, ignored, counts, _ = match_cells(made, known, AREA_RANGES, IOU_THRESHOLDS, ALLOWED)
    expected_counts = np.zeros(3, np.int64)
    for area in range(4):
        for position, image in enumerate(truth.image_ids):
            told = theirs.evalImgs[area * len(truth.image_ids) + position]
            rows = made.order[images[made.order] == position]
            if told is None:
                assert len(rows) == 0
                continue
            assert told["image_id"] == image
            own = [unpacked(each[area, made.ranks[rows]]) for each in (hits, ignored)]
            np.testing.assert_array_equal(own[0], (told["dtMatches"] > 0) & ~told["dtIgnore"].astype(bool))
            np.testing.assert_array_equal(own[1], told["dtIgnore"].astype(bool))
            if area == 0:
                expected_counts += [int(own[0][:, :most].sum()) for most in ALLOWED]
    assert counts.tolist() == expected_counts.tolist()


def unpacked(masks: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Thresholds by detections, as pycocotools has them."""
    return (masks[None, :] >> np.arange(THRESHOLD_COUNT, dtype=np.uint16)[:, None] & 1).astype(bool)
