"""Matching by the stated rule, what counts as agreeing, and the table of differences."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from parity.agreement import DIFFERENCES_SCHEMA, AgreementSummary, classify, differences, summarise
from parity.errors import EvidenceError, UsageError
from parity.matching import Matching, match
from parity.report.document import Agreement
from tests.coco_oracle import random_case, table_of


def table(*rows: list[float]) -> pa.Table:
    """Rows of image, class, score, corners."""
    return table_of(np.array(rows, float).reshape(-1, 7))


def pairs(matching: Matching) -> list[tuple[int, int]]:
    return list(zip(matching.reference_rows.tolist(), matching.candidate_rows.tolist(), strict=True))


def summary(reference: pa.Table, candidate: pa.Table, images: object = (1, 2, 3)) -> AgreementSummary:
    return summarise(classify(match(reference, candidate, image_ids=images)))  # type: ignore[arg-type]


def box(shift: float = 0, size: float = 100) -> list[float]:
    return [shift, 0, shift + size, size]


def test_a_table_against_itself_agrees_completely() -> None:
    case = random_case(1, images=20, detections=40, score_levels=5)
    rows = np.concatenate([case.detections, case.detections[::3], case.detections[::7]])
    rows[::5, 5:] = rows[::5, 3:5]  # boxes without area
    rows[::11, 5:] = rows[::11, 3:5] - 5  # turned inside out
    one = table_of(rows)
    matching = match(one, one, image_ids=case.image_ids)
    assert len(matching.iou) == len(rows)
    assert (matching.iou == 1).all()
    for column in ("score", "x1", "y1", "x2", "y2", "image_id", "category_id"):
        values = one[column].to_numpy()
        np.testing.assert_array_equal(values[matching.reference_rows], values[matching.candidate_rows])
    result = summarise(classify(matching))
    assert result.agreeing == result.matched == result.reference_detections == result.compared > 100
    assert result.box_drift_pixels == result.score_drift == {"p50": 0, "p95": 0, "p99": 0, "max": 0}
    assert result.lowest_iou == 1
    assert differences(classify(matching)).num_rows == 0


def test_nearly_identical_boxes_do_not_come_before_identical_ones() -> None:
    # The first IoU rounds to 1 in float64; the rule still takes the identical pair.
    near, exact = [1e-30, 0, 1e6, 1e6], [0, 0, 1e6, 1e6]
    matching = match(
        table([1, 1, 0.9, *exact], [1, 1, 0.8, *near]),
        table([1, 1, 0.9, *near], [1, 1, 0.8, *exact]),
        image_ids=[1],
    )
    assert pairs(matching) == [(0, 1), (1, 0)]
    assert matching.iou.tolist() == [1, 1]
    apart = match(table([1, 1, 0.9, *exact]), table([1, 1, 0.9, *near]), image_ids=[1])
    assert apart.iou[0] < 1


def test_greatest_iou_first() -> None:
    reference = table([1, 1, 0.9, *box(0)], [1, 1, 0.8, *box(10)])
    candidate = table([1, 1, 0.9, *box(11)], [1, 1, 0.8, *box(30)])
    assert pairs(match(reference, candidate, image_ids=[1])) == [(0, 1), (1, 0)]


def test_iou_on_the_threshold_is_a_match_and_under_it_is_not() -> None:
    reference = table([1, 1, 0.9, 0, 0, 100, 100])
    assert match(reference, table([1, 1, 0.9, 0, 0, 100, 50]), image_ids=[1]).iou.tolist() == [0.5]
    assert pairs(match(reference, table([1, 1, 0.9, 0, 0, 100, 49.999]), image_ids=[1])) == []
    assert pairs(match(reference, table([1, 1, 0.9, 0, 0, 100, 50]), image_ids=[1], iou=0.6)) == []


def test_only_boxes_of_one_image_and_class_match() -> None:
    reference = table([1, 1, 0.9, *box()], [2, 2, 0.9, *box()])
    candidate = table([2, 1, 0.9, *box()], [1, 2, 0.9, *box()])
    result = summary(reference, candidate)
    assert (result.matched, result.missing, result.extra, result.compared) == (0, 2, 2, 4)
    assert result.box_drift_pixels is None
    assert result.score_drift is None
    assert result.lowest_iou is None
    assert "no detection" in result.reason


@pytest.mark.parametrize("swap", [False, True])
def test_ties_go_to_the_higher_score_then_the_smaller_corners(swap: bool) -> None:
    order = [1, 0] if swap else [0, 1]
    one = table([1, 1, 0.5, *box(10)])
    for rows, winner in (
        ([[1, 1, 0.7, *box(0)], [1, 1, 0.8, *box(20)]], 1),
        ([[1, 1, 0.7, *box(20)], [1, 1, 0.7, *box(0)]], 1),
    ):
        both = table(*(rows[i] for i in order))
        expected = order.index(winner)
        assert pairs(match(both, one, image_ids=[1])) == [(expected, 0)]
        assert pairs(match(one, both, image_ids=[1])) == [(0, expected)]


def test_the_reference_score_breaks_ties_before_the_candidate_score() -> None:
    reference = table([1, 1, 0.9, *box(0)], [1, 1, 0.6, *box(20)])
    candidate = table([1, 1, 0.5, *box(10)], [1, 1, 0.8, *box(-10)])
    matching = match(reference, candidate, image_ids=[1])
    assert pairs(matching)[0] == (0, 1)


def test_a_low_score_duplicate_does_not_take_the_partner_of_a_detection_that_counts() -> None:
    reference = table([1, 1, 0.9, *box(4)], [1, 1, 0.02, *box(1)])
    candidate = table([1, 1, 0.9, *box(0)])
    assert pairs(match(reference, candidate, image_ids=[1])) == [(0, 0)]
    assert summary(reference, candidate).missing == 0
    # Without rounds the duplicate, which overlaps better, would win, as it does when both count.
    assert pairs(match(reference, candidate, image_ids=[1], score=0.01)) == [(1, 0)]
    # The same the other way round.
    assert pairs(match(candidate, reference, image_ids=[1])) == [(0, 0)]
    assert summary(candidate, reference).extra == 0


def test_a_score_exactly_on_the_threshold_is_in_the_first_round() -> None:
    reference = table([1, 1, 0.25, *box(4)], [1, 1, 0.2, *box(1)])
    assert pairs(match(reference, table([1, 1, 0.25, *box(0)]), image_ids=[1])) == [(0, 0)]


def test_two_low_boxes_do_not_take_the_low_partner_of_one_that_counts() -> None:
    reference = table([1, 1, 0.3, *box(4)], [1, 1, 0.1, *box(1)])
    candidate = table([1, 1, 0.2, *box(0)])
    assert pairs(match(reference, candidate, image_ids=[1])) == [(0, 0)]


def test_a_score_that_falls_under_the_threshold_is_rescored_and_not_missing() -> None:
    result = summary(table([1, 1, 0.26, *box()]), table([1, 1, 0.2, *box()]))
    assert (result.matched, result.missing, result.extra, result.rescored, result.agreeing) == (1, 0, 0, 1, 0)
    assert (result.reference_detections, result.candidate_detections) == (1, 0)
    slight = summary(table([1, 1, 0.255, *box()]), table([1, 1, 0.245, *box()]))
    assert (slight.matched, slight.agreeing) == (1, 1)
    risen = summary(table([1, 1, 0.2, *box()]), table([1, 1, 0.26, *box()]))
    assert (risen.matched, risen.extra, risen.rescored) == (1, 0, 1)


def test_detections_under_the_threshold_on_both_sides_do_not_count() -> None:
    result = summary(table([1, 1, 0.2, *box()], [2, 1, 0.1, *box()]), table([1, 1, 0.2, *box()]))
    assert (result.compared, result.reference_detections) == (0, 0)


@pytest.mark.parametrize("score", [0.25, 0.7, 0.3])
def test_a_score_exactly_on_the_threshold_counts(score: float) -> None:
    one = table([1, 1, score, *box()], [2, 1, float(np.nextafter(np.float32(score), np.float32(0))), *box()])
    nothing = table()
    result = summarise(classify(match(one, nothing, image_ids=[1, 2], score=score)))
    assert (result.missing, result.reference_detections) == (1, 1)


def test_moved_and_rescored_begin_beyond_their_limits() -> None:
    reference = table([1, 1, 0.75, 0, 0, 100, 100])
    on = table([1, 1, 0.5, 0, 0, 100, 75])
    beyond = table([1, 1, 0.49, 0, 0, 100, 74.9])
    for candidate, expected in ((on, (0, 0, 1)), (beyond, (1, 1, 0))):
        matching = match(reference, candidate, image_ids=[1])
        result = summarise(classify(matching, moved_iou=0.75, rescored_by=0.25))
        assert (result.moved, result.rescored, result.agreeing) == expected
        assert (result.matched, result.missing, result.extra) == (1, 0, 0)


def test_drift_is_the_largest_corner_shift_and_the_absolute_score_change() -> None:
    reference = table([1, 1, 0.5, 0, 0, 100, 100], [2, 1, 0.5, 0, 0, 100, 100], [3, 1, 0.5, 0, 0, 100, 100])
    candidate = table(
        [1, 1, 0.5, 0, 0, 100, 100], [2, 1, 0.75, 1, -2, 100, 103], [3, 1, 0.375, 0, 0, 96, 100]
    )
    classified = classify(match(reference, candidate, image_ids=[1, 2, 3]))
    assert classified.drift_pixels.tolist() == [0, 3, 4]
    assert classified.score_change.tolist() == [0, 0.25, -0.125]
    result = summarise(classified)
    assert result.box_drift_pixels == {"p50": 3, "p95": 4, "p99": 4, "max": 4}
    assert result.score_drift == {"p50": 0.125, "p95": 0.25, "p99": 0.25, "max": 0.25}
    # The second pair shares 99 x 100 of 10000 and of 99 x 105, which the third, of 96 percent, exceeds.
    assert classified.iou.tolist() == pytest.approx([1, 9900 / (10000 + 99 * 105 - 9900), 0.96])
    assert result.lowest_iou == classified.iou[1]


def test_images_not_compared_play_no_part() -> None:
    reference = table([1, 1, 0.9, *box()], [2, 1, 0.9, *box()])
    candidate = table([1, 1, 0.9, *box()], [3, 1, 0.9, *box()])
    result = summary(reference, candidate, images=[1])
    assert (result.compared, result.agreeing, result.reference_detections) == (1, 1, 1)
    assert summary(reference, candidate, images=[]).compared == 0


@pytest.mark.parametrize("which", ["reference", "candidate", "both"])
def test_empty_tables(which: str) -> None:
    full, empty = table([1, 1, 0.9, *box()]), table()
    result = summary(empty if which != "candidate" else full, empty if which != "reference" else full)
    assert result.matched == result.agreeing == 0
    assert (result.missing, result.extra) == {"reference": (0, 1), "candidate": (1, 0), "both": (0, 0)}[which]


def test_summary_has_the_fields_of_the_report() -> None:
    result = summary(table([1, 1, 0.9, *box()]), table([1, 1, 0.9, *box(1)]))
    fields = {name: getattr(result, name) for name in Agreement.model_fields}
    assert Agreement(**fields).matched == 1


def test_differences_name_every_kind() -> None:
    reference = table(
        [1, 1, 0.9, *box()],
        [1, 1, 0.8, *box(500)],
        [2, 1, 0.7, *box()],
        [3, 2, 0.6, *box()],
        [3, 1, 0.5, *box()],
    )
    candidate = table([1, 1, 0.9, *box(10)], [2, 1, 0.5, *box(20)], [3, 3, 0.6, *box()], [3, 1, 0.5, *box()])
    classified = classify(match(reference, candidate, image_ids=[1, 2, 3]))
    found = differences(classified)
    assert found.schema.equals(DIFFERENCES_SCHEMA)
    rows = found.to_pylist()
    assert [(r["image_id"], r["category_id"], r["kind"]) for r in rows] == [
        (1, 1, "moved"),
        (1, 1, "missing"),
        (2, 1, "moved"),
        (2, 1, "rescored"),
        (3, 3, "extra"),
        (3, 2, "missing"),
    ]
    moved, missing, extra = rows[0], rows[1], rows[4]
    assert moved["drift_pixels"] == 10
    assert moved["iou"] == pytest.approx(90 / 110)
    assert [moved[f"candidate_{c}"] for c in ("x1", "y1", "x2", "y2")] == [10, 0, 110, 100]
    assert missing["reference_score"] == pytest.approx(0.8)
    assert [missing[name] for name in ("candidate_score", "candidate_x1", "iou", "drift_pixels")] == [
        None
    ] * 4
    assert extra["reference_x2"] is None
    assert extra["candidate_x2"] == 100
    result = summarise(classified)
    counts = {
        kind: sum(row["kind"] == kind for row in rows) for kind in ("moved", "rescored", "missing", "extra")
    }
    assert counts == {kind: getattr(result, kind) for kind in counts}


@pytest.mark.parametrize("column", [2, 3])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_detections_that_are_not_finite_are_refused(column: int, value: float) -> None:
    rows = np.array([[1, 1, 0.9, *box()]])
    rows[0, column] = value
    with pytest.raises(EvidenceError, match="not finite"):
        match(table(), table_of(rows), image_ids=[1])


def test_thresholds_out_of_range_are_refused() -> None:
    for arguments in ({"iou": 0.0}, {"iou": 1.5}, {"iou": np.nan}, {"score": -0.1}, {"score": np.nan}):
        with pytest.raises(UsageError, match="score"):
            match(table(), table(), image_ids=[1], **arguments)
    matching = match(table(), table(), image_ids=[1])
    for limits in ({"moved_iou": 1.5}, {"rescored_by": -1.0}, {"rescored_by": np.nan}):
        with pytest.raises(UsageError, match="moved_iou"):
            classify(matching, **limits)
