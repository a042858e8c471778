"""The draws, and resamples whose events fill several blocks and chunks, against really copied images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from parity.accuracy import lanes
from parity.accuracy.bootstrap import bootstrap_ap, paired_bootstrap
from parity.accuracy.coco import Detections, Evaluation, evaluate, index_truth
from parity.accuracy.draws import CHUNK, image_weights
from parity.accuracy.resampling import find_events
from parity.errors import UsageError
from tests.coco_oracle import Case, pycocotools_evaluation, pycocotools_values, random_case

BLOCK = 64


def evaluated(case: Case) -> Evaluation:
    truth = index_truth(case.ground_truth(), image_ids=case.image_ids, category_ids=case.category_ids)
    return evaluate(truth, Detections.of_table(case.table()))


def crowded(seed: int, levels: int, crowds: float = 0.15) -> Case:
    """One class with several hundred detections; the fewer levels of score, the longer the runs of ties."""
    return random_case(
        seed, images=9, classes=1, boxes=30, detections=90, score_levels=levels, crowds=crowds, size=600
    )


@pytest.mark.parametrize(
    ("seed", "levels"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (5, 3), (6, 40), (7, 9)]
)
def test_events_of_several_blocks_equal_pycocotools_on_copied_images(seed: int, levels: int) -> None:
    case = crowded(seed, levels)
    side = evaluated(case)
    events = find_events([side.matches])
    assert len(events.images) > BLOCK
    assert (events.mixed.any() and events.ignored.any()) or levels == 0
    samples = bootstrap_ap(side, resamples=3, seed=seed)
    (weights,) = image_weights(9, None, 3, seed)
    assert weights.max() >= 2
    for values, weight in zip(samples, weights, strict=True):
        theirs = pycocotools_values(pycocotools_evaluation(case.drawn(weight)))
        expected = [theirs[name] for name in ("AP", "AP50", "AP75")]
        np.testing.assert_allclose(values, np.array(expected, float), rtol=0, atol=1e-12)


def test_runs_of_ties_do_lie_across_the_border_of_a_block() -> None:
    # So that the test above would see it if one were cut there.
    places = [find_events([evaluated(crowded(seed, 1)).matches]).place for seed in (2, 3)]
    places += [find_events([evaluated(crowded(4, 2)).matches]).place]
    assert any(place[-BLOCK] > 0 for place in places)


def test_every_lane_and_chunk_has_its_own_draw() -> None:
    resamples = 2 * CHUNK + 3
    case = crowded(8, 5)
    samples = bootstrap_ap(evaluated(case), resamples=resamples, seed=4, threads=2)
    weights = np.concatenate(list(image_weights(9, None, resamples, 4)))
    assert weights.shape == (resamples, 9)
    for r in (0, 1, CHUNK - 1, CHUNK, 2 * CHUNK - 1, 2 * CHUNK, resamples - 1):
        theirs = pycocotools_values(pycocotools_evaluation(case.drawn(weights[r])))
        assert samples[r, 0] == pytest.approx(theirs["AP"], rel=0, abs=1e-12)


def test_one_side_gets_the_values_it_has_in_a_pair() -> None:
    case = random_case(5, images=7, score_levels=3)
    reference = evaluated(case)
    moved = replace(case, detections=case.detections + np.array([0, 0, 0, 2, 0, 2, 0]))
    candidate = evaluate(reference.truth, Detections.of_table(moved.table()))
    groups = np.array([1, 1, 2, 2, 3, 4, 5])
    pair = paired_bootstrap(reference, candidate, resamples=70, seed=3, groups=groups)
    for side, values in ((reference, pair.reference), (candidate, pair.candidate)):
        alone = bootstrap_ap(side, resamples=70, seed=3, groups=groups)
        assert alone.shape == (70, 3)
        np.testing.assert_array_equal(alone, values)


def test_steps_add_up_to_the_resamples() -> None:
    class Counting:
        done = 0

        def advance(self, count: int = 1) -> None:
            self.done += count

    step = Counting()
    bootstrap_ap(evaluated(random_case(1, images=3)), resamples=CHUNK + 5, step=step)
    assert step.done == CHUNK + 5


@pytest.mark.parametrize("groups", [None, np.array([4, 4, 0, 2, 2, 2]), np.array([5, 4, 3, 2, 1, 0])])
def test_weights_are_those_of_the_seed(groups: np.ndarray | None) -> None:
    labels = np.arange(6) if groups is None else np.unique(groups, return_inverse=True)[1]
    units = labels.max() + 1
    generator = np.random.default_rng(9)
    expected = [
        np.bincount(generator.integers(0, units, units), minlength=units)[labels] for _ in range(CHUNK + 2)
    ]
    chunks = list(image_weights(6, groups, CHUNK + 2, 9))
    assert [len(chunk) for chunk in chunks] == [CHUNK, 2]
    assert chunks[0].dtype == np.int64
    np.testing.assert_array_equal(np.concatenate(chunks), expected)


def test_weights_count_the_boxes_that_the_bootstrap_counts() -> None:
    case = random_case(4, images=8, crowds=0)
    side = evaluated(case)
    samples = paired_bootstrap(side, side, resamples=90, seed=1)
    boxes = np.zeros((8, len(case.category_ids)), np.int64)
    order = sorted(case.image_ids)
    for row in case.truth:
        boxes[order.index(int(row[0])), int(row[1]) - 1] += 1
    weights = np.concatenate(list(image_weights(8, None, 90, 1)))
    np.testing.assert_array_equal(weights @ boxes, samples.boxes)


def test_no_images_have_no_weights() -> None:
    (weights,) = image_weights(0, None, 3, 0)
    assert weights.shape == (3, 0)


def test_draws_that_do_not_fit_are_refused_at_once() -> None:
    with pytest.raises(UsageError, match="0 resamples"):
        image_weights(3, None, 0, 0)
    with pytest.raises(UsageError, match="groups for 2 images"):
        image_weights(3, np.zeros(2, np.int64), 1, 0)
    with pytest.raises(UsageError, match="0 resamples"):
        bootstrap_ap(evaluated(random_case(1)), resamples=0)


def test_lanes_are_as_many_as_the_draws_of_a_chunk() -> None:
    assert lanes.LANES == CHUNK
