"""Decoding equals Ultralytics' postprocessing, and every planted mistake in it shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parity.heads import expected_shape, shape_fits
from parity.runners.decode import decode, nms
from parity.runners.preprocess import letterbox_placement, place, stretch_placement

SIZE = (256, 256)
IMAGE = (240, 320)


def candidates(n: int, classes: int, seed: int = 0) -> np.ndarray:
    """A one-to-many output (4 + classes, n): boxes that overlap a lot, in input pixels."""
    rng = np.random.default_rng(seed)
    centre, size = rng.uniform(0, 256, (2, n)), rng.uniform(5, 90, (2, n))
    return np.concatenate([centre, size, rng.random((classes, n)) ** 3]).astype(np.float32)


def test_nms_free_equals_ultralytics() -> None:
    torch, nms_module, ops = _ultralytics()
    rng = np.random.default_rng(1)
    corner = rng.uniform(-20, 200, (300, 2))
    rows = np.concatenate(
        [
            corner,
            corner + rng.uniform(1, 90, (300, 2)),
            rng.random((300, 1)) ** 4,
            rng.integers(0, 8, (300, 1)),
        ],
        axis=1,
    ).astype(np.float32)
    theirs = nms_module.non_max_suppression(torch.from_numpy(rows[None].copy()), 0.001, 0.7, max_det=300)[0]
    theirs[:, :4] = ops.scale_boxes(SIZE, theirs[:, :4], IMAGE)
    ours = decode(rows, "nms-free", letterbox_placement(*IMAGE, SIZE), score_floor=0.001, max_detections=300)
    np.testing.assert_array_equal(ours.boxes, theirs[:, :4].numpy())
    np.testing.assert_array_equal(ours.scores, theirs[:, 4].numpy())
    np.testing.assert_array_equal(ours.classes, theirs[:, 5].numpy().astype(int))


@pytest.mark.parametrize("seed", range(4))
def test_one_to_many_equals_ultralytics(seed: int) -> None:
    torch, nms_module, ops = _ultralytics()
    output = candidates(700, 8, seed)
    theirs = nms_module.non_max_suppression(torch.from_numpy(output[None].copy()), 0.01, 0.7, max_det=300)[0]
    theirs[:, :4] = ops.scale_boxes(SIZE, theirs[:, :4], IMAGE)
    ours = decode(
        output, "one-to-many", letterbox_placement(*IMAGE, SIZE), score_floor=0.01, max_detections=300
    )
    assert len(ours.scores) == len(theirs) > 20
    np.testing.assert_allclose(ours.boxes, theirs[:, :4].numpy(), atol=2e-5)
    np.testing.assert_array_equal(ours.scores, theirs[:, 4].numpy())
    np.testing.assert_array_equal(ours.classes, theirs[:, 5].numpy().astype(int))


def test_rtdetr_scales_fractions_and_does_not_clip() -> None:
    output = np.array([[0.05, 0.5, 0.2, 0.5, 0.9, 3.0], [0.5, 0.5, 0.1, 0.1, 0.0005, 1.0]], np.float32)
    ours = decode(output, "rtdetr", stretch_placement(*IMAGE, SIZE), score_floor=0.001, max_detections=300)
    np.testing.assert_allclose(ours.boxes, [[-16.0, 60.0, 48.0, 180.0]], rtol=1e-6)
    assert ours.classes.tolist() == [3]


def test_letterboxed_boxes_are_clipped_to_the_image() -> None:
    output = np.array([[-50.0, -50.0, 400.0, 400.0, 0.9, 0.0]], np.float32)
    ours = decode(
        output, "nms-free", letterbox_placement(*IMAGE, SIZE), score_floor=0.001, max_detections=300
    )
    assert ours.boxes.tolist() == [[0.0, 0.0, 320.0, 240.0]]


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", range(6))
def test_non_finite_rows_are_counted_and_left_out(poison: float, column: int) -> None:
    output = np.array([[10, 10, 20, 20, 0.9, 1], [30, 30, 60, 60, 0.8, 2]], np.float32)
    output[0, column] = poison
    ours = decode(output, "nms-free", place(*IMAGE, SIZE, "letterbox"), score_floor=0.0, max_detections=300)
    assert ours.nonfinite == 1
    assert ours.classes.tolist() == [2]


def test_score_on_the_floor_is_dropped_and_the_cap_holds() -> None:
    output = np.array([[0, 0, 9, 9, 0.25, 0]] + [[0, 0, 9, 9, 0.5, 0]] * 3, np.float32)
    ours = decode(output, "nms-free", letterbox_placement(*IMAGE, SIZE), score_floor=0.25, max_detections=2)
    assert ours.scores.tolist() == [0.5, 0.5]


def test_nothing_above_the_floor_is_no_detections() -> None:
    for head, shape in (("nms-free", (300, 6)), ("rtdetr", (100, 6)), ("one-to-many", (12, 1344))):
        ours = decode(
            np.zeros(shape, np.float32),
            head,  # type: ignore[arg-type]
            letterbox_placement(*IMAGE, SIZE),
            score_floor=0.001,
            max_detections=300,
        )
        assert ours.boxes.shape == (0, 4)
        assert ours.scores.shape == ours.classes.shape == (0,)


def test_nms_keeps_boxes_at_exactly_the_threshold() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 7], [0, 0, 10, 8], [5, 5, 5, 5], [5, 5, 5, 5]], np.float32)
    assert nms(boxes, 0.7, 300).tolist() == [0, 1, 3, 4]


def test_shapes_of_heads() -> None:
    assert expected_shape("one-to-many", 8) == (12, -1)
    assert shape_fits((12, 1344), "one-to-many", 8)
    assert not shape_fits((84, 8400), "one-to-many", 8)
    assert shape_fits((300, 6), "nms-free", 8)
    assert not shape_fits((300, 12), "rtdetr", 8)
    assert not shape_fits((300,), "nms-free", 8)


def _ultralytics() -> tuple[Any, ...]:
    torch = pytest.importorskip("torch")
    return torch, pytest.importorskip("ultralytics.utils.nms"), pytest.importorskip("ultralytics.utils.ops")
