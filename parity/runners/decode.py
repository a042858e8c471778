"""From a network's output to boxes in pixels of the original image. Pure functions.

Reference implementation: Ultralytics 8.4.190, `utils/nms.py`, `utils/ops.py` (scale_boxes) and
`models/rtdetr/predict.py`, all in float32 and in the same order of operations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parity.config import Head
from parity.runners.preprocess import Placement

MOST_NMS_CANDIDATES = 30_000
CLASS_OFFSET = np.float32(7680)
"""Pixels by which NMS moves the boxes of each class apart, so that only boxes of one class compete."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """Detections of one image, by descending importance as the head ordered them.

    boxes: float32 (n, 4), corners in pixels of the original image. scores: float32 (n,). classes: int64
    (n,). nonfinite: raw detections that had a NaN or infinite number, left out before any threshold.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]
    nonfinite: int


def decode(
    output: NDArray[np.float32],
    head: Head,
    placement: Placement,
    *,
    score_floor: float,
    max_detections: int,
    nms_iou: float = 0.7,
) -> Decoded:
    """Decode one image's output.

    output: `nms-free` (queries, 6) corners in input pixels, score, class; `one-to-many` (4 + classes,
    anchors) centre, size in input pixels and class scores; `rtdetr` (queries, 6) centre, size as
    fractions of the input, score, class. nms_iou: of the one-to-many head, 0 to 1.
    Detections with a score not above score_floor are dropped.
    """
    raw = output.T if head == "one-to-many" else output
    finite = np.isfinite(raw).all(axis=1)
    raw = raw[finite]
    if head == "one-to-many":
        rows = _suppress(raw, score_floor, max_detections, nms_iou)
    else:
        rows = raw[raw[:, 4] > np.float32(score_floor)][:max_detections]
    boxes = _unstretch(rows[:, :4], placement) if head == "rtdetr" else _unletterbox(rows[:, :4], placement)
    return Decoded(
        boxes=boxes,
        scores=np.ascontiguousarray(rows[:, 4]),
        classes=rows[:, 5].astype(np.int64),
        nonfinite=int(np.count_nonzero(~finite)),
    )


def corners(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Centre and size, shape (n, 4), to corners."""
    half = boxes[:, 2:] / np.float32(2)
    return np.asarray(np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1), np.float32)


def _unletterbox(boxes: NDArray[np.float32], p: Placement) -> NDArray[np.float32]:
    """Input pixels to original pixels, each axis by its own rounded gain, clipped to the image."""
    gain = np.array([p.resized[0] / p.width, p.resized[1] / p.height] * 2, np.float32)
    moved = (boxes - np.array([p.left, p.top] * 2, np.float32)) / gain
    return np.asarray(np.clip(moved, np.float32(0), np.array([p.width, p.height] * 2, np.float32)))


def _unstretch(boxes: NDArray[np.float32], p: Placement) -> NDArray[np.float32]:
    """Fractions to original pixels; not clipped, as RT-DETR's predictor does not clip either."""
    return corners(boxes) * np.array([p.width, p.height] * 2, np.float32)


def _suppress(
    raw: NDArray[np.float32], score_floor: float, max_detections: int, nms_iou: float
) -> NDArray[np.float32]:
    """Best class of each anchor, then NMS within each class; rows `x1 y1 x2 y2 score class`."""
    scores = raw[:, 4:].max(axis=1)
    keep = scores > np.float32(score_floor)
    raw, scores = raw[keep], scores[keep]
    classes = raw[:, 4:].argmax(axis=1)
    order = np.argsort(-scores, kind="stable")[:MOST_NMS_CANDIDATES]
    boxes = corners(raw[order, :4])
    rows = np.concatenate([boxes, scores[order, None], classes[order, None]], axis=1, dtype=np.float32)
    return rows[nms(boxes + rows[:, 5:6] * CLASS_OFFSET, nms_iou, max_detections)]


def nms(boxes: NDArray[np.float32], iou: float, most: int) -> NDArray[np.int64]:
    """Greedy non-maximum suppression of boxes in descending order of score; indices that are kept.

    A box is dropped when its IoU with a kept one is greater than `iou` (torchvision's rule).
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    rest = np.arange(len(boxes))
    kept: list[int] = []
    while rest.size and len(kept) < most:
        best, rest = int(rest[0]), rest[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        overlap = np.prod(np.clip(high - low, 0, None), axis=1)
        union = areas[best] + areas[rest] - overlap
        # Two boxes without area have the union 0; torchvision keeps them, as 0/0 is not above any limit.
        rest = rest[~(overlap > np.float32(iou) * union)]
    return np.array(kept, np.int64)
