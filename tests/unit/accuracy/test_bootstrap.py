"""Resamples against data sets in which the drawn images are really copied."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from parity.accuracy.bootstrap import BootstrapSamples, paired_bootstrap
from parity.accuracy.coco import Detections, Evaluation, evaluate, index_truth
from parity.errors import UsageError
from tests.coco_oracle import (
    Case,
    pycocotools_class_ap,
    pycocotools_evaluation,
    pycocotools_values,
    random_case,
    table_of,
)


def sides(case: Case, candidate: np.ndarray) -> tuple[Evaluation, Evaluation]:
    truth = index_truth(case.ground_truth(), image_ids=case.image_ids, category_ids=case.category_ids)
    return evaluate(truth, Detections.of_table(case.table())), evaluate(
        truth, Detections.of_table(table_of(candidate))
    )


def shaken(case: Case, seed: int = 1) -> np.ndarray:
    """The case's detections with other boxes and, for some, other scores."""
    rng = np.random.default_rng(seed)
    rows: np.ndarray = case.detections.copy()
    rows[:, 3:] += rng.integers(-2, 3, (len(rows), 4))
    rows[:, 2] = np.where(rng.random(len(rows)) < 0.3, rng.integers(0, 5, len(rows)) / 5, rows[:, 2])
    return rows


def draws(seed: int, units: int, resamples: int) -> list[np.ndarray]:
    """The weights that the seed stands for."""
    generator = np.random.default_rng(seed)
    return [np.bincount(generator.integers(0, units, units), minlength=units) for _ in range(resamples)]


def assert_like_copies(case: Case, samples: BootstrapSamples, weights: list[np.ndarray]) -> None:
    """Compare the reference side of every resample with pycocotools on the copied data set."""
    for r, weight in enumerate(weights):
        theirs = pycocotools_evaluation(case.drawn(weight))
        expected = [pycocotools_values(theirs)[name] for name in ("AP", "AP50", "AP75")]
        expected += pycocotools_class_ap(theirs)
        ours = [*samples.reference[r], *samples.class_reference[r]]
        as_nan = [np.nan if value is None else value for value in expected]
        np.testing.assert_allclose(ours, as_nan, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("seed", "levels"), [(0, 0), (1, 0), (2, 6), (3, 2), (4, 2), (5, 1), (6, 1), (7, 3)])
def test_resamples_equal_pycocotools_on_really_copied_images(seed: int, levels: int) -> None:
    case = random_case(seed, images=2 + seed, detections=25, score_levels=levels)
    samples = paired_bootstrap(*sides(case, shaken(case)), resamples=4, seed=seed)
    weights = draws(seed, len(case.image_ids), 4)
    assert_like_copies(case, samples, weights)
    swapped = paired_bootstrap(*sides(case, shaken(case))[::-1], resamples=4, seed=seed)
    assert_like_copies(replace(case, detections=shaken(case)), swapped, weights)


def tied_case(scores: tuple[float, float]) -> Case:
    """Two images with a miss above a hit in the same class."""
    truth = [[image, 1, 10, 10, 40, 40, 1600, 0] for image in (1, 2)]
    rows = []
    for image in (1, 2):
        rows += [[image, 1, scores[0], 200, 200, 240, 240], [image, 1, scores[1], 10, 10, 50, 50]]
    return Case(
        image_ids=(1, 2), category_ids=(1,), truth=np.array(truth, float), detections=np.array(rows, float)
    )


def test_copies_of_a_miss_tied_with_a_hit_below_it_equal_the_copied_images() -> None:
    tied, apart = tied_case((0.5, 0.5)), tied_case((0.75, 0.5))
    weights = draws(0, 2, 30)
    assert any(2 in w for w in weights)
    results = []
    for case in (tied, apart):
        samples = paired_bootstrap(*sides(case, case.detections), resamples=30, seed=0)
        assert_like_copies(case, samples, weights)
        results.append(samples.reference)
    twice = [r for r, w in enumerate(weights) if 2 in w]
    # d1 d2 d1 d2 and d1 d1 d2 d2 have the same envelope when d1 misses; see the next test for the other case.
    assert results[0][twice] == pytest.approx(results[1][twice])


def test_interleaving_changes_ap_where_a_hit_precedes_a_miss() -> None:
    hit_first = tied_case((0.5, 0.5))
    rows = hit_first.detections[[1, 0, 3, 2]]
    tied = replace(hit_first, detections=rows)
    apart = replace(tied, detections=rows + np.tile([[0] * 7, [0, 0, -0.25, 0, 0, 0, 0]], (2, 1)))
    weights = draws(0, 2, 30)
    values = []
    for case in (tied, apart):
        samples = paired_bootstrap(*sides(case, case.detections), resamples=30, seed=0)
        assert_like_copies(case, samples, weights)
        values.append(samples.reference[:, 0])
    twice = [r for r, w in enumerate(weights) if 2 in w]
    assert (values[0][twice] < values[1][twice] - 0.05).all()


def test_a_class_without_drawn_boxes_is_undefined_and_left_out_of_the_mean() -> None:
    case = replace(
        tied_case((0.2, 0.5)),
        category_ids=(1, 2),
        truth=np.array([[1, 1, 10, 10, 40, 40, 1600, 0], [2, 2, 10, 10, 40, 40, 1600, 0]], float),
    )
    samples = paired_bootstrap(*sides(case, case.detections), resamples=40, seed=3)
    weights = np.array(draws(3, 2, 40))
    np.testing.assert_array_equal(samples.boxes, weights)
    np.testing.assert_array_equal(np.isnan(samples.class_reference), weights == 0)
    np.testing.assert_array_equal(samples.class_undefined, (weights == 0).sum(axis=0))
    only_first = weights[:, 1] == 0
    assert only_first.any()
    assert samples.reference[only_first, 0] == pytest.approx(1)
    assert_like_copies(case, samples, list(weights))


def test_resamples_without_any_box_are_counted() -> None:
    case = tied_case((0.2, 0.5))
    case = replace(case, truth=case.truth[:1])
    samples = paired_bootstrap(*sides(case, case.detections), resamples=60, seed=1)
    empty = np.array([w[0] == 0 for w in draws(1, 2, 60)])
    assert 0 < samples.undefined == empty.sum()
    np.testing.assert_array_equal(np.isnan(samples.reference[:, 0]), empty)
    np.testing.assert_array_equal(np.isnan(samples.candidate[:, 2]), empty)


@pytest.mark.parametrize("what", ["no images", "no truth"])
def test_without_images_or_ground_truth_every_resample_is_undefined(what: str) -> None:
    case = random_case(1, images=3)
    if what == "no truth":
        case = replace(case, truth=np.zeros((0, 8)))
    truth = index_truth(
        case.ground_truth(), image_ids=case.image_ids if what == "no truth" else (), category_ids=(1, 2)
    )
    side = evaluate(truth, Detections.of_table(case.table()))
    samples = paired_bootstrap(side, side, resamples=5)
    assert samples.undefined == 5
    assert samples.units == (3 if what == "no truth" else 0)


def test_a_side_against_itself_never_differs() -> None:
    case = random_case(9, images=9)
    reference, candidate = sides(case, case.detections)
    samples = paired_bootstrap(reference, candidate, resamples=50)
    np.testing.assert_array_equal(samples.reference, samples.candidate)
    np.testing.assert_array_equal(samples.class_reference, samples.class_candidate)
    assert samples.reference[:, 0].std() > 0


def test_sides_are_drawn_together_and_swap() -> None:
    case = random_case(9, images=9)
    reference, candidate = sides(case, shaken(case))
    one = paired_bootstrap(reference, candidate, resamples=30, seed=5)
    other = paired_bootstrap(candidate, reference, resamples=30, seed=5)
    assert (one.reference != one.candidate).any()
    np.testing.assert_array_equal(one.reference, other.candidate)
    np.testing.assert_array_equal(one.candidate, other.reference)


def test_same_seed_same_bytes_with_any_number_of_threads() -> None:
    case = random_case(10, images=12)
    both = sides(case, shaken(case))
    results = [paired_bootstrap(*both, resamples=333, seed=7, threads=threads) for threads in (1, 2, 5)]
    for name in ("reference", "candidate", "class_reference", "class_candidate", "boxes"):
        assert len({getattr(result, name).tobytes() for result in results}) == 1
    other = paired_bootstrap(*both, resamples=333, seed=8)
    assert other.reference.tobytes() != results[0].reference.tobytes()


def test_more_resamples_begin_with_the_same_ones() -> None:
    case = random_case(10, images=12)
    both = sides(case, shaken(case))
    short, long = (paired_bootstrap(*both, resamples=n, seed=7) for n in (10, 400))
    np.testing.assert_array_equal(short.reference, long.reference[:10])


def test_groups_are_drawn_whole() -> None:
    case = random_case(14, images=6, score_levels=2)
    groups = np.array([7, 7, 3, 3, 3, 9])
    samples = paired_bootstrap(*sides(case, case.detections), resamples=5, seed=2, groups=groups)
    labels = np.unique(groups, return_inverse=True)[1]
    assert samples.units == 3
    assert_like_copies(case, samples, [w[labels] for w in draws(2, 3, 5)])


def test_one_image_is_drawn_every_time() -> None:
    case = random_case(6, images=1, boxes=6)
    reference, _ = sides(case, case.detections)
    samples = paired_bootstrap(reference, reference, resamples=4)
    assert samples.units == 1
    assert samples.reference[:, 0] == pytest.approx(reference.values["AP"])


def test_metrics_and_classes_by_name() -> None:
    case = random_case(9, images=9)
    samples = paired_bootstrap(*sides(case, shaken(case)), resamples=3)
    np.testing.assert_array_equal(samples.metric("AP75")[1], samples.candidate[:, 2])
    np.testing.assert_array_equal(samples.category(2)[0], samples.class_reference[:, 1])
    with pytest.raises(KeyError, match="AP, AP50, AP75"):
        samples.metric("APs")
    with pytest.raises(KeyError, match="99"):
        samples.category(99)


def test_arguments_that_do_not_fit_are_refused() -> None:
    case = random_case(9, images=4)
    reference, candidate = sides(case, case.detections)
    with pytest.raises(UsageError, match="different ground truth"):
        paired_bootstrap(reference, sides(case, case.detections)[1])
    with pytest.raises(UsageError, match="0 resamples"):
        paired_bootstrap(reference, candidate, resamples=0)
    with pytest.raises(UsageError, match="groups for 3 images"):
        paired_bootstrap(reference, candidate, groups=np.zeros(3, np.int64))
