"""What must hold of the matching whatever the boxes are, and a slow matcher that follows the stated rule."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.agreement import classify, differences, summarise
from parity.matching import match
from tests.coco_oracle import table_of

SETTINGS = settings(deadline=None, max_examples=100, derandomize=True)
COORDINATE = st.sampled_from([0.0, 1.0, 10.0, 12.0, 30.0, 33.0, 40.0])
SCORE = st.sampled_from([0.1, 0.2, 0.25, 0.26, 0.5, 0.9])
ROWS = st.lists(
    st.tuples(st.integers(1, 2), st.integers(1, 2), SCORE, COORDINATE, COORDINATE, COORDINATE, COORDINATE),
    max_size=14,
).map(lambda rows: np.array(rows, float).reshape(-1, 7).astype(np.float32).astype(float))


def slow_iou(a: np.ndarray, b: np.ndarray) -> float:
    if (a == b).all():
        return 1.0
    w, h = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if w <= 0 or h <= 0:
        return 0.0
    union = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - w * h
    return float(w * h / union) if union > 0 else 0.0


def slow_match(reference: np.ndarray, candidate: np.ndarray, score: float) -> list[tuple[Any, ...]]:
    """All pairs sorted by the rule, then taken greedily; the values of the pairs, not their rows."""
    possible = []
    for i, a in enumerate(reference):
        for j, b in enumerate(candidate):
            overlap = slow_iou(a[3:], b[3:])
            if (a[:2] == b[:2]).all() and overlap >= 0.5:
                reaching = int(a[2] >= score) + int(b[2] >= score)
                possible.append((-reaching, -overlap, -a[2], -b[2], *a[3:], *b[3:], i, j))
    taken, used_a, used_b = [], set(), set()
    for key in sorted(possible):
        i, j = key[-2:]
        if i not in used_a and j not in used_b:
            used_a.add(i)
            used_b.add(j)
            taken.append((*reference[i], *candidate[j]))
    return sorted(taken)


def values(reference: np.ndarray, candidate: np.ndarray, score: float = 0.25) -> list[tuple[Any, ...]]:
    matching = match(table_of(reference), table_of(candidate), image_ids=[1, 2], score=score)
    assert len(set(matching.reference_rows)) == len(set(matching.candidate_rows)) == len(matching.iou)
    return sorted(
        (*reference[i], *candidate[j])
        for i, j in zip(matching.reference_rows, matching.candidate_rows, strict=True)
    )


@SETTINGS
@given(ROWS, ROWS)
def test_follows_the_stated_rule(reference: np.ndarray, candidate: np.ndarray) -> None:
    assert values(reference, candidate) == slow_match(reference, candidate, 0.25)


@SETTINGS
@given(ROWS, st.floats(0, 1))
def test_a_table_matches_itself_without_remainder(rows: np.ndarray, score: float) -> None:
    matching = match(table_of(rows), table_of(rows), image_ids=[1, 2], score=score)
    classified = classify(matching)
    result = summarise(classified)
    assert len(matching.iou) == len(rows)
    assert (matching.iou == 1).all()
    assert (classified.drift_pixels == 0).all()
    assert (classified.score_change == 0).all()
    assert result.agreeing == result.compared == result.reference_detections == result.candidate_detections
    assert differences(classified).num_rows == 0


@SETTINGS
@given(ROWS, ROWS, st.randoms(use_true_random=False))
def test_order_of_rows_plays_no_part(reference: np.ndarray, candidate: np.ndarray, random: Any) -> None:
    orders = [random.sample(range(len(rows)), len(rows)) for rows in (reference, candidate)]
    mixed = [rows[order] for rows, order in zip((reference, candidate), orders, strict=True)]
    assert values(*mixed) == values(reference, candidate)


@SETTINGS
@given(ROWS, ROWS)
def test_counts_add_up(reference: np.ndarray, candidate: np.ndarray) -> None:
    classified = classify(match(table_of(reference), table_of(candidate), image_ids=[1, 2]))
    result = summarise(classified)
    paired_high = [
        int((rows[chosen, 2] >= 0.25).sum())
        for rows, chosen in ((reference, classified.reference_rows), (candidate, classified.candidate_rows))
    ]
    assert result.reference_detections == paired_high[0] + result.missing
    assert result.candidate_detections == paired_high[1] + result.extra
    assert result.agreeing <= result.matched <= result.agreeing + result.moved + result.rescored
    assert differences(classified).num_rows == result.moved + result.rescored + result.missing + result.extra


@SETTINGS
@given(ROWS, ROWS)
def test_no_counting_detection_is_missing_beside_a_free_partner(
    reference: np.ndarray, candidate: np.ndarray
) -> None:
    matching = match(table_of(reference), table_of(candidate), image_ids=[1, 2])
    classified = classify(matching)
    free = sorted(set(range(len(candidate))) - set(matching.candidate_rows.tolist()))
    low_pairs = [
        j
        for i, j in zip(matching.reference_rows, matching.candidate_rows, strict=True)
        if reference[i, 2] < 0.25 and candidate[j, 2] < 0.25
    ]
    for row in classified.missing_rows:
        for j in [*free, *low_pairs]:
            same = (reference[row, :2] == candidate[j, :2]).all()
            assert not (same and slow_iou(reference[row, 3:], candidate[j, 3:]) >= 0.5)
