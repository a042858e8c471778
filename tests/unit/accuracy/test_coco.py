"""Our COCO evaluation against pycocotools and hotcoco, and on cases worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from parity.accuracy.coco import METRICS, Detections, Evaluation, evaluate, index_truth
from parity.errors import EvidenceError
from tests.coco_oracle import (
    Case,
    hotcoco_values,
    pycocotools_class_ap,
    pycocotools_evaluation,
    pycocotools_values,
    random_case,
)


def evaluated(case: Case, image_ids: tuple[int, ...] | None = None) -> Evaluation:
    truth = index_truth(
        case.ground_truth(), image_ids=image_ids or case.image_ids, category_ids=case.category_ids
    )
    return evaluate(truth, Detections.of_table(case.table()))


def assert_like_pycocotools(case: Case, image_ids: tuple[int, ...] | None = None) -> Evaluation:
    ours = evaluated(case, image_ids)
    theirs = pycocotools_evaluation(case, image_ids=image_ids)
    assert ours.values == pytest.approx(pycocotools_values(theirs), abs=1e-12, nan_ok=False)
    expected = pycocotools_class_ap(theirs)
    assert [ap is None for ap in ours.class_ap] == [ap is None for ap in expected]
    assert [ap or 0 for ap in ours.class_ap] == pytest.approx([ap or 0 for ap in expected], abs=1e-12)
    assert set(ours.undefined) == {name for name, value in ours.values.items() if value is None}
    return ours


def case_of(
    truth: Sequence[Sequence[float]], detections: Sequence[Sequence[float]], images: int = 1, classes: int = 1
) -> Case:
    return Case(
        image_ids=tuple(range(1, images + 1)),
        category_ids=tuple(range(1, classes + 1)),
        truth=np.array(truth, float).reshape(-1, 8),
        detections=np.array(detections, float).reshape(-1, 7),
    )


BOX = [10, 10, 40, 40, 1600, 0]
ON_BOX = [10, 10, 50, 50]


@pytest.mark.parametrize("seed", range(12))
def test_random_cases_equal_pycocotools(seed: int) -> None:
    assert_like_pycocotools(random_case(seed, images=1 + seed, score_levels=(0, 2, 6)[seed % 3]))


def test_more_detections_than_the_maximum_of_one_image_and_class() -> None:
    case = random_case(5, images=3, classes=1, boxes=9, detections=400, score_levels=9)
    assert np.unique(case.detections[:, 0], return_counts=True)[1].max() > 100
    with_all = assert_like_pycocotools(case)
    assert len(with_all.matches.rows) < len(case.detections)


def test_at_most_one_and_ten_detections_matter_to_ar1_and_ar10() -> None:
    values = assert_like_pycocotools(random_case(8, images=5, classes=1, boxes=20, detections=60)).values
    assert values["AR1"] < values["AR10"] < values["AR100"]  # type: ignore[operator]


def test_only_the_images_asked_for_count() -> None:
    case = random_case(3, images=6)
    some = case.image_ids[:3]
    assert assert_like_pycocotools(case, some).values != evaluated(case).values


def test_hotcoco_agrees() -> None:
    case = random_case(21, images=30, boxes=8, detections=40, degenerate=False, crowds=0.05)
    assert evaluated(case).values == pytest.approx(hotcoco_values(case), abs=1e-12)


def test_a_perfect_side_has_ap_one_less_an_epsilon() -> None:
    values = evaluated(case_of([[1, 1, *BOX]], [[1, 1, 0.9, *ON_BOX]])).values
    assert values["AP"] == pytest.approx(1, abs=1e-12)
    assert values["APs"] is None
    assert values["APm"] == values["AP"]


def test_iou_on_the_threshold_matches() -> None:
    half = [10, 10, 50, 30]
    evaluation = assert_like_pycocotools(case_of([[1, 1, *BOX]], [[1, 1, 0.9, *half]]))
    assert evaluation.values["AP50"] == pytest.approx(1)
    assert evaluation.matches.matched.tolist() == [1]
    under = assert_like_pycocotools(case_of([[1, 1, *BOX]], [[1, 1, 0.9, 10, 10, 50, 29.999]]))
    assert under.values["AP50"] == 0


@pytest.mark.parametrize("area", [1024, 1023.999, 1024.001, 9216, 9215.999, 9216.001, 1e10, 1e10 + 1e4, 0])
def test_ends_of_the_area_ranges_are_those_of_pycocotools(area: float) -> None:
    side = 2.0 ** np.round(np.log2(np.sqrt(max(area, 1))))
    assert_like_pycocotools(
        case_of(
            [[1, 1, 10, 10, side, side, area, 0], [2, 1, 10, 10, 96, 96, 9216, 0]],
            [[1, 1, 0.9, 10, 10, 42, 42], [2, 1, 0.8, 10, 10, 106, 106], [2, 1, 0.85, 300, 300, 396, 396]],
            images=2,
        )
    )


def test_detections_on_a_crowd_region_count_neither_way() -> None:
    crowd = [1, 1, 100, 100, 200, 200, 40000, 1]
    inside = [[1, 1, 0.95, 110, 110, 150, 150], [1, 1, 0.94, 160, 160, 190, 190]]
    with_crowd = assert_like_pycocotools(case_of([[1, 1, *BOX], crowd], [*inside, [1, 1, 0.9, *ON_BOX]]))
    without = assert_like_pycocotools(case_of([[1, 1, *BOX]], [*inside, [1, 1, 0.9, *ON_BOX]]))
    assert with_crowd.values["AP"] == pytest.approx(1)
    assert without.values["AP"] == pytest.approx(1 / 3)
    assert with_crowd.class_boxes.tolist() == [1]


def test_a_box_that_counts_is_preferred_to_a_crowd_region_that_overlaps_better() -> None:
    crowd = [1, 1, 0, 0, 300, 300, 90000, 1]
    evaluation = assert_like_pycocotools(case_of([crowd, [1, 1, *BOX]], [[1, 1, 0.9, 10, 10, 50, 46]]))
    assert evaluation.values["AP75"] == pytest.approx(1)  # IoU 0.9 with the box, wholly inside the region
    assert evaluation.matches.matched.tolist() == [0b0111111111]
    assert evaluation.matches.ignored.tolist() == [0b1000000000]


def test_class_without_ground_truth_is_undefined_and_no_part_of_the_mean() -> None:
    evaluation = assert_like_pycocotools(
        case_of([[1, 1, *BOX]], [[1, 1, 0.9, *ON_BOX], [1, 2, 0.9, *ON_BOX]], classes=3)
    )
    assert evaluation.class_ap[1:] == (None, None)
    assert evaluation.values["AP"] == evaluation.class_ap[0]


def test_class_without_detections_is_zero_and_part_of_the_mean() -> None:
    evaluation = assert_like_pycocotools(
        case_of([[1, 1, *BOX], [1, 2, *BOX]], [[1, 1, 0.9, *ON_BOX]], classes=2)
    )
    assert evaluation.class_ap[1] == 0
    assert evaluation.values["AP"] == pytest.approx(0.5)


def test_false_positives_on_an_image_without_ground_truth_count() -> None:
    detections = [[1, 1, 0.8, *ON_BOX], [2, 1, 0.9, *ON_BOX]]
    assert assert_like_pycocotools(case_of([[1, 1, *BOX]], detections, images=2)).values["AP"] == 0.5


def test_equal_scores_rank_by_image_then_by_row() -> None:
    truth = [[1, 1, *BOX], [2, 1, *BOX]]
    miss = [300, 300, 310, 310]
    first = assert_like_pycocotools(
        case_of(truth, [[2, 1, 0.5, *miss], [1, 1, 0.5, *ON_BOX], [2, 1, 0.5, *ON_BOX]], images=2)
    )
    last = assert_like_pycocotools(
        case_of(truth, [[2, 1, 0.5, *ON_BOX], [1, 1, 0.5, *ON_BOX], [2, 1, 0.5, *miss]], images=2)
    )
    assert first.values["AP"] < last.values["AP"]  # type: ignore[operator]


def test_the_last_of_equally_overlapping_boxes_is_taken() -> None:
    # The second detection can only have the first box; the first one could have either.
    truth = [[1, 1, 0, 0, 20, 20, 400, 0], [1, 1, 20, 0, 20, 20, 400, 0]]
    case = case_of(truth, [[1, 1, 0.9, 0, 0, 40, 20], [1, 1, 0.8, 0, 0, 20, 20]])
    assert assert_like_pycocotools(case).values["AP50"] == pytest.approx(1)


def test_scores_below_zero_and_negative_zero_keep_their_order() -> None:
    truth = [[1, 1, *BOX], [2, 1, *BOX]]
    miss = [300, 300, 310, 310]
    for scores in ([-0.0, 0.0, -1e-3, -0.5], [0.0, -0.0, -0.5, 2.5]):
        rows = [
            [1, 1, scores[0], *miss], [1, 1, scores[1], *ON_BOX],
            [2, 1, scores[2], *ON_BOX], [2, 1, scores[3], *miss],
        ]  # fmt: skip
        assert_like_pycocotools(case_of(truth, rows, images=2))


def test_row_order_of_images_plays_no_part() -> None:
    case = random_case(11, images=6)
    order = np.argsort(-case.detections[:, 0], kind="stable")
    assert evaluated(replace(case, detections=case.detections[order])).values == evaluated(case).values


@pytest.mark.parametrize("empty", ["truth", "detections", "both"])
def test_nothing_on_one_side(empty: str) -> None:
    case = random_case(2, images=3)
    truth = np.zeros((0, 8)) if empty != "detections" else case.truth
    detections = np.zeros((0, 7)) if empty != "truth" else case.detections
    evaluation = assert_like_pycocotools(replace(case, truth=truth, detections=detections))
    if empty == "detections":
        assert evaluation.values["AP"] == 0
    else:
        assert all(value is None for value in evaluation.values.values())
        assert "no ground truth" in evaluation.undefined["AP"]
        assert list(evaluation.undefined) == list(METRICS)


def test_no_images_and_no_classes_are_undefined() -> None:
    case = random_case(2, images=3)
    for images, classes in (((), case.category_ids), (case.image_ids, ())):
        truth = index_truth(case.ground_truth(), image_ids=images, category_ids=classes)
        assert evaluate(truth, Detections.of_table(case.table())).values["AP"] is None


@pytest.mark.parametrize("column", [2, 3, 6])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_detections_that_are_not_finite_are_refused(column: int, value: float) -> None:
    case = random_case(2, images=3)
    case.detections[0, column] = value
    with pytest.raises(EvidenceError, match="not finite"):
        evaluated(case)


def test_ground_truth_that_is_not_finite_is_refused() -> None:
    case = random_case(2, images=3)
    case.truth[0, 3] = np.nan
    with pytest.raises(EvidenceError, match="not finite"):
        evaluated(case)


def test_matches_are_in_rank_order_and_name_their_rows() -> None:
    case = random_case(4, images=5)
    evaluation = evaluated(case)
    matches = evaluation.matches
    assert matches.starts[-1] == len(matches.rows)
    for k, category in enumerate(evaluation.truth.category_ids):
        rows = matches.rows[matches.starts[k] : matches.starts[k + 1]]
        assert (case.detections[rows, 1] == category).all()
        assert (np.diff(case.detections[rows, 2]) <= 0).all()
    assert not (matches.matched & matches.ignored).any()
