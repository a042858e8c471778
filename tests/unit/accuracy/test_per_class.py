"""One class: its order, its cells, and what it hands on, against pycocotools."""

from __future__ import annotations

import numpy as np
import pytest

from parity.accuracy.coco import Detections, index_truth
from parity.accuracy.inputs import IndexedTruth
from parity.accuracy.interpolation import EVERY_THRESHOLD
from parity.accuracy.per_class import ClassEvaluation, evaluate_class
from tests.coco_oracle import Case, pycocotools_evaluation, random_case


def truth_of(case: Case) -> IndexedTruth:
    return index_truth(case.ground_truth(), image_ids=case.image_ids, category_ids=case.category_ids)


def evaluated(case: Case, k: int, found: Detections | None = None, most: int = 100) -> ClassEvaluation:
    truth = truth_of(case)
    found = found or Detections.of_table(case.table())
    found = found.kept(found.category_ids == truth.category_ids[k])
    images = np.searchsorted(truth.image_ids, found.image_ids).astype(np.int32)
    return evaluate_class(truth, k, images, found.scores, found.boxes, most)


@pytest.mark.parametrize("seed", range(6))
def test_precision_and_recall_are_pycocotools_own(seed: int) -> None:
    case = random_case(seed, images=8, classes=2, boxes=6, detections=25)
    theirs = pycocotools_evaluation(case).eval
    counted = truth_of(case).counted
    for k in range(len(case.category_ids)):
        found = evaluated(case, k)
        for area in range(4):
            if counted[area, k]:
                expected = theirs["precision"][:, :, k, area, 2].mean(axis=1)
                assert found.precision[area] == pytest.approx(expected, abs=1e-12)
        if counted[0, k]:
            assert found.recall == pytest.approx(theirs["recall"][:, k, 0, :].mean(axis=0), abs=1e-12)


def test_images_may_come_in_any_order() -> None:
    """Only the order within an image decides, between equal scores; it is kept."""
    case = random_case(3, images=8, classes=1, boxes=6, detections=25, score_levels=3)
    found = Detections.of_table(case.table())
    order = np.concatenate([np.flatnonzero(found.image_ids == i) for i in reversed(case.image_ids)])
    shuffled = Detections(
        image_ids=found.image_ids[order],
        category_ids=found.category_ids[order],
        scores=found.scores[order],
        boxes=found.boxes[order],
    )
    one, other = evaluated(case, 0, found), evaluated(case, 0, shuffled)
    np.testing.assert_array_equal(one.precision, other.precision)
    np.testing.assert_array_equal(one.recall, other.recall)
    of_class = np.flatnonzero(found.category_ids == 1)
    moved = order[np.isin(order, of_class)]
    np.testing.assert_array_equal(of_class[one.kept], moved[other.kept])
    np.testing.assert_array_equal(one.matched, other.matched)
    assert one.tied == other.tied > 0


def test_what_is_kept_falls_by_score_and_is_never_ignored_everywhere() -> None:
    case = random_case(7, images=6, classes=1, boxes=6, detections=40, crowds=0.4)
    scores = Detections.of_table(case.table()).kept(case.detections[:, 1] == 1).scores
    found = evaluated(case, 0, most=5)
    assert 0 < len(found.kept) < len(scores)
    assert (np.diff(scores[found.kept]) <= 0).all()
    assert (found.ignored != EVERY_THRESHOLD).all()
    assert ((found.matched & found.ignored) == 0).all()
    assert len(found.kept) == len(found.matched) == len(found.ignored)


def test_a_class_that_nobody_finds_or_that_does_not_occur() -> None:
    case = random_case(1, images=4, classes=1, boxes=6, detections=10)
    nothing = Detections.of_table(case.table()).kept(np.zeros(len(case.detections), bool))
    for k in range(len(case.category_ids)):
        found = evaluated(case, k, nothing)
        assert found.precision.shape == (4, 10)
        assert not found.precision.any()
        assert not found.recall.any()
        assert (len(found.kept), found.tied) == (0, 0)
