"""Simulated detections: plausible, repeatable, and different by what was asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.pairs import Scene, val2017_like
from parity.accuracy.coco import Detections, evaluate, index_truth
from parity.dataset import GroundTruth
from parity.errors import EvidenceError, UsageError
from parity.simulation import DRIFTS, Drift, drifted, jitter, simulate

SCENE = val2017_like(400, classes=5, seed=3)


def simulated(scene: Scene = SCENE, *, per_image: int = 20, seed: int = 0) -> Detections:
    return simulate(scene.truth, scene.sizes, scene.names, per_image=per_image, seed=seed)


def precision(found: Detections, scene: Scene = SCENE) -> float:
    index = index_truth(scene.truth, image_ids=scene.sizes, category_ids=scene.names)
    value = evaluate(index, found).values["AP"]
    assert value is not None
    return value


def empty_truth() -> GroundTruth:
    none = np.zeros(0, np.int64)
    return GroundTruth(
        image_ids=none, category_ids=none, boxes=np.zeros((0, 4)), areas=np.zeros(0), crowd=np.zeros(0, bool)
    )


def same(first: Detections, second: Detections) -> bool:
    return all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("image_ids", "category_ids", "scores", "boxes")
    )


def test_every_image_has_exactly_so_many_detections_sorted_by_score() -> None:
    found = simulated(per_image=7)
    ids, counts = np.unique(found.image_ids, return_counts=True)
    assert ids.tolist() == sorted(SCENE.sizes)
    assert (counts == 7).all()
    scores = found.scores.reshape(-1, 7)
    assert (np.diff(scores, axis=1) <= 0).all()
    assert ((scores > 0) & (scores < 1)).all()


def test_boxes_lie_inside_their_images_and_classes_are_known() -> None:
    found = simulated()
    sizes = np.array([SCENE.sizes[i] for i in found.image_ids.tolist()])
    assert (found.boxes >= 0).all()
    assert (found.boxes[:, :2] + found.boxes[:, 2:] <= sizes + 1e-9).all()
    assert set(found.category_ids.tolist()) <= set(SCENE.names)
    assert found.scores.dtype == found.boxes.dtype == np.float64


def test_average_precision_is_that_of_a_real_detector() -> None:
    scene = val2017_like(1500, classes=20, seed=1)
    assert 0.4 <= precision(simulated(scene, per_image=100), scene) <= 0.55


def test_the_same_seed_gives_the_same_detections_and_another_does_not() -> None:
    assert same(simulated(seed=5), simulated(seed=5))
    assert not same(simulated(seed=5), simulated(seed=6))


def test_images_without_boxes_get_false_positives_only() -> None:
    found = simulate(empty_truth(), {4: (100, 50), 2: (80, 90)}, [1, 2], per_image=3)
    assert found.image_ids.tolist() == [2, 2, 2, 4, 4, 4]


def test_no_images_give_no_detections() -> None:
    found = simulate(empty_truth(), {}, [1], per_image=3)
    assert len(found.scores) == 0
    assert found.boxes.shape == (0, 4)


@pytest.mark.parametrize(("per_image", "classes"), [(0, [1]), (3, [])])
def test_nothing_to_draw_is_an_error(per_image: int, classes: list[int]) -> None:
    with pytest.raises(UsageError):
        simulate(empty_truth(), {1: (9, 9)}, classes, per_image=per_image)


def test_annotations_of_unknown_images_or_classes_are_an_error() -> None:
    first = next(iter(SCENE.sizes))
    with pytest.raises(EvidenceError, match="not among"):
        simulate(SCENE.truth, {first: (640, 480)}, SCENE.names)
    with pytest.raises(EvidenceError, match="not among"):
        simulate(SCENE.truth, SCENE.sizes, [1])


def test_an_image_without_a_size_is_an_error() -> None:
    with pytest.raises(EvidenceError, match="image 7"):
        simulate(empty_truth(), {3: (10, 10), 7: (0, 10)}, [1])


def test_no_jitter_changes_nothing() -> None:
    found = simulated()
    assert same(found, jitter(found, box_pixels=0, score=0, drop=0, seed=1))


def test_corners_and_scores_move_by_what_was_asked_for() -> None:
    found = simulated(per_image=100)
    wide = found.kept(found.boxes[:, 2:].min(axis=1) > 10)
    moved = jitter(wide, box_pixels=0.5, score=0.1, drop=0, seed=1)
    far = moved.boxes[:, :2] + moved.boxes[:, 2:] - wide.boxes[:, :2] - wide.boxes[:, 2:]
    near = moved.boxes[:, :2] - wide.boxes[:, :2]
    for shift in (near, far):
        assert shift.std() == pytest.approx(0.5, rel=0.03)
        assert abs(shift.mean()) < 0.02
    assert abs(np.corrcoef(near[:, 0], far[:, 0])[0, 1]) < 0.03
    logits = [np.log(s.scores / (1 - s.scores)) for s in (wide, moved)]
    assert (logits[1] - logits[0]).std() == pytest.approx(0.1, rel=0.03)


def test_scores_at_the_ends_stay_probabilities_and_sides_stay_positive() -> None:
    found = simulated()
    ends = replace(found, scores=np.resize([0.0, 1.0], len(found.scores)))
    moved = jitter(ends, box_pixels=500, score=3, drop=0, seed=1)
    assert ((moved.scores >= 0) & (moved.scores <= 1)).all()
    assert (moved.boxes[:, 2:] >= 0).all()


def test_a_share_is_dropped_and_the_rest_keeps_its_order() -> None:
    found = simulated(per_image=100)
    left = jitter(found, box_pixels=0, score=0, drop=0.25, seed=1)
    assert len(left.scores) / len(found.scores) == pytest.approx(0.75, abs=0.01)
    assert (np.diff(left.image_ids) >= 0).all()
    assert len(jitter(found, box_pixels=0, score=0, drop=1, seed=1).scores) == 0


@pytest.mark.parametrize(
    "wrong",
    [{"box_pixels": -1}, {"score": -0.1}, {"drop": 1.5}, {"drop": float("nan")}, {"score": float("nan")}],
)
def test_jitter_that_is_none_is_an_error(wrong: dict[str, float]) -> None:
    given: dict[str, float] = {"box_pixels": 0, "score": 0, "drop": 0, **wrong}
    with pytest.raises(UsageError):
        jitter(simulated(), seed=1, **given)


def test_scores_that_are_no_probabilities_have_no_logit() -> None:
    found = simulated()
    with pytest.raises(EvidenceError, match="0 to 1"):
        jitter(replace(found, scores=found.scores + 1), box_pixels=0, score=0.1, drop=0, seed=1)


def test_drift_is_a_share_of_the_longer_side() -> None:
    sizes = {1: (1000, 10), 2: (10, 100)}
    found = simulate(empty_truth(), sizes, [1], per_image=4000)
    moved = drifted(found, sizes, Drift(name="tenth", box=0.1, score=0), seed=2)
    for image, expected in ((1, 100), (2, 10)):
        rows = found.image_ids == image
        shift = moved.boxes[rows, 0] - found.boxes[rows, 0]
        assert shift.std() == pytest.approx(expected, rel=0.05)


def test_the_named_drifts_grow() -> None:
    assert [drift.name for drift in DRIFTS] == ["FP32 export", "FP16 engine", "INT8 engine"]
    before = simulated(per_image=50)
    lost = [
        abs(precision(drifted(before, SCENE.sizes, drift, seed=1)) - precision(before)) for drift in DRIFTS
    ]
    assert lost[0] < 1e-4 < lost[2]
    assert lost[0] <= lost[1] < lost[2]
