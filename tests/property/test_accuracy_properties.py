"""What must hold of AP and its bootstrap whatever the detections are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.accuracy.bootstrap import paired_bootstrap
from parity.accuracy.coco import Detections, evaluate, index_truth
from parity.statistics import equivalence, images_that_would_decide, paired_estimate
from tests.coco_oracle import (
    Case,
    pycocotools_class_ap,
    pycocotools_evaluation,
    pycocotools_values,
    table_of,
)

SETTINGS = settings(deadline=None, max_examples=150, derandomize=True)
SLOW = settings(deadline=None, max_examples=60, derandomize=True)
COORDINATE = st.sampled_from([0.0, 5.0, 10.0, 10.5, 32.0, 42.0, 96.0, 106.0, 200.0])
FINITE = st.floats(-1, 1, allow_nan=False)


@st.composite
def cases(draw: Any, images: int = 4, classes: int = 2, most: int = 14) -> Case:
    """Boxes on a coarse grid, so that ties, identical and zero-area boxes are common."""
    image = st.integers(1, draw(st.integers(1, images)))
    corners = st.tuples(COORDINATE, COORDINATE, COORDINATE, COORDINATE).map(
        lambda c: [min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3])]
    )
    category = st.integers(1, classes)
    score = st.sampled_from([0.0, 0.25, 0.5, 0.5, 0.9])
    truth = []
    for i, c, (x1, y1, x2, y2), share, crowd in draw(
        st.lists(
            st.tuples(image, category, corners, st.sampled_from([1.0, 0.6]), st.sampled_from([0, 0, 0, 1])),
            max_size=8,
        )
    ):
        truth.append([i, c, x1, y1, x2 - x1, y2 - y1, (x2 - x1) * (y2 - y1) * share, crowd])
    found = [
        [i, c, s, *b]
        for i, c, s, b in draw(st.lists(st.tuples(image, category, score, corners), max_size=most))
    ]
    return Case(
        image_ids=tuple(range(1, images + 1)),
        category_ids=tuple(range(1, classes + 1)),
        truth=np.array(truth, float).reshape(-1, 8),
        detections=np.array(found, float).reshape(-1, 7),
    )


def evaluated(case: Case, detections: np.ndarray | None = None) -> Any:
    truth = index_truth(case.ground_truth(), image_ids=case.image_ids, category_ids=case.category_ids)
    table = case.table() if detections is None else table_of(detections)
    return evaluate(truth, Detections.of_table(table))


@SETTINGS
@given(cases())
def test_evaluation_equals_pycocotools(case: Case) -> None:
    ours, theirs = evaluated(case), pycocotools_evaluation(case)
    assert ours.values == pytest.approx(pycocotools_values(theirs), abs=1e-12)
    assert list(ours.class_ap) == pytest.approx(pycocotools_class_ap(theirs), abs=1e-12)


@SLOW
@given(cases(images=3, classes=1), st.integers(0, 1000))
def test_resamples_equal_pycocotools_on_copied_images(case: Case, seed: int) -> None:
    side = evaluated(case)
    samples = paired_bootstrap(side, side, resamples=3, seed=seed, threads=1)
    generator = np.random.default_rng(seed)
    for r in range(3):
        weights = np.bincount(generator.integers(0, 3, 3), minlength=3)
        expected = pycocotools_values(pycocotools_evaluation(case.drawn(weights)))
        as_nan = [np.nan if (value := expected[name]) is None else value for name in ("AP", "AP50", "AP75")]
        np.testing.assert_allclose(samples.reference[r], as_nan, rtol=0, atol=1e-12)


@SETTINGS
@given(cases(), st.permutations([1, 2, 3, 4]))
def test_order_of_images_plays_no_part(case: Case, order: list[int]) -> None:
    rows = np.concatenate([np.zeros((0, 7)), *(case.detections[case.detections[:, 0] == i] for i in order)])
    assert evaluated(case, rows).values == evaluated(case).values
    # Ground truth may come in any order of images; within one, equal overlaps go to the last box.
    mixed = np.concatenate([np.zeros((0, 8)), *(case.truth[case.truth[:, 0] == i] for i in order)])
    ids = mixed[:, 0].astype(np.int64)
    truth_in_order = replace(
        case.ground_truth(),
        image_ids=ids,
        category_ids=mixed[:, 1].astype(np.int64),
        boxes=mixed[:, 2:6].copy(),
        areas=mixed[:, 6].copy(),
        crowd=mixed[:, 7].astype(bool),
    )
    index = index_truth(truth_in_order, image_ids=case.image_ids, category_ids=case.category_ids)
    assert evaluate(index, Detections.of_table(case.table())).values == evaluated(case).values


@SETTINGS
@given(cases())
def test_detections_of_another_class_or_image_change_nothing(case: Case) -> None:
    strangers = case.detections.copy()
    strangers[:, 1] += 50
    elsewhere = case.detections.copy()
    elsewhere[:, 0] += 50
    assert (
        evaluated(case, np.concatenate([case.detections, strangers, elsewhere])).values
        == evaluated(case).values
    )


@SETTINGS
@given(cases(images=4), st.integers(0, 5))
def test_self_comparison_is_perfect_and_swapping_mirrors(case: Case, seed: int) -> None:
    truth = index_truth(case.ground_truth(), image_ids=case.image_ids, category_ids=case.category_ids)
    one = evaluate(truth, Detections.of_table(case.table()))
    shifted = case.detections + np.array([0, 0, 0, 3, 0, 3, 0])
    other = evaluate(truth, Detections.of_table(table_of(shifted)))
    alone = paired_bootstrap(one, one, resamples=60, seed=seed, threads=1)
    estimate = paired_estimate(one.values["AP"], one.values["AP"], *alone.metric("AP"), n=alone.units)
    assert estimate.value in (0, None)
    assert estimate.interval in ((0, 0), None)
    forth = paired_bootstrap(one, other, resamples=60, seed=seed, threads=1)
    back = paired_bootstrap(other, one, resamples=60, seed=seed, threads=1)
    first = paired_estimate(one.values["AP"], other.values["AP"], *forth.metric("AP"), n=4)
    second = paired_estimate(other.values["AP"], one.values["AP"], *back.metric("AP"), n=4)
    if first.value is not None and second.value is not None:
        assert first.value == -second.value
    if first.interval is not None and second.interval is not None:
        assert first.interval == (-second.interval[1], -second.interval[0])
    assert (first.interval is None) == (second.interval is None)


@SETTINGS
@given(FINITE, FINITE, FINITE, st.floats(1e-3, 1), st.integers(1, 10_000))
def test_the_decision_is_symmetric_and_planning_agrees_with_it(
    value: float, low: float, high: float, limit: float, n: int
) -> None:
    interval = (min(low, high), max(low, high))
    outcome = equivalence(value, interval, limit)
    assert outcome == equivalence(-value, (-interval[1], -interval[0]), limit)
    if outcome == "PASS":
        assert abs(value) < limit
        assert max(map(abs, interval)) < limit
    needed = images_that_would_decide(n, interval, value, limit)
    assert needed is None or (needed == n) == (outcome != "INCONCLUSIVE")
    assert needed is None or needed >= n
