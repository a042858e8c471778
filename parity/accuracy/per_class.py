"""The evaluation of one class: sorted, matched, and turned into precision and recall.

Everything is done class by class, because half a million detections of all classes together do not fit in
the processor's caches, and sorting them then takes twice the time for each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parity.accuracy.cells import Cells, Truth, match_cells
from parity.accuracy.inputs import AREA_RANGES, IndexedTruth
from parity.accuracy.interpolation import EVERY_THRESHOLD, average_precision
from parity.accuracy.ordering import bucketed, by_score_descending

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_THRESHOLDS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, kw_only=True)
class ClassEvaluation:
    """One class of one side.

    precision: float64 (4, 10), mean over the recall thresholds by area range and IoU threshold.
    recall: float64 (3,), mean over the IoU thresholds by number of detections allowed. Both mean nothing
    where no ground truth counts. tied: detections with the score of the one before them in their image.
    kept: int64, indices of the detections that are not ignored at every threshold, by falling score, then
    image, then the order given; matched, ignored: uint16 (kept,), their fates for area "all".
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    tied: int
    kept: NDArray[np.int64]
    matched: NDArray[np.uint16]
    ignored: NDArray[np.uint16]


def evaluate_class(
    truth: IndexedTruth,
    k: int,
    images: NDArray[np.int32],
    scores: NDArray[np.float64],
    boxes: NDArray[np.float64],
    max_detections: int,
) -> ClassEvaluation:
    """Evaluate the detections of class k: positions of their images, int32 (n,), scores and boxes (n, 4)."""
    by_image = _by_image(images)
    if by_image is not None:
        images, scores, boxes = images[by_image], scores[by_image], boxes.take(by_image, axis=0)
    ranked = by_score_descending(np.arange(len(scores)), scores.view(np.uint64))
    part = slice(truth.starts[k], truth.starts[k + 1])
    allowed = (min(1, max_detections), min(10, max_detections), max_detections)
    matched, ignored, found, tied = match_cells(
        _cells(images, scores, boxes, ranked),
        Truth(truth.images[part], truth.boxes[part], truth.areas[part], truth.crowd[part]),
        AREA_RANGES,
        IOU_THRESHOLDS,
        allowed,
    )
    counted = truth.counted[:, k]
    keep = np.flatnonzero(ignored[0] != EVERY_THRESHOLD)
    kept = ranked[keep]
    return ClassEvaluation(
        precision=np.stack(
            [
                average_precision(matched[a], ignored[a], int(counted[a]), RECALL_THRESHOLDS)
                for a in range(len(AREA_RANGES))
            ]
        ),
        recall=found / len(IOU_THRESHOLDS) / max(int(counted[0]), 1),
        tied=tied,
        kept=kept if by_image is None else by_image[kept],
        matched=matched[0, keep],
        ignored=ignored[0, keep],
    )


def _by_image(images: NDArray[np.int32]) -> NDArray[np.int64] | None:
    """The stable order by image, None for detections that have it already, as in nearly every file."""
    if (images[1:] >= images[:-1]).all():
        return None
    return np.argsort(images, kind="stable")


def _cells(
    images: NDArray[np.int32],
    scores: NDArray[np.float64],
    boxes: NDArray[np.float64],
    ranked: NDArray[np.int64],
) -> Cells:
    """Arrange detections that come by image. ranked: their order by falling score."""
    n = len(images)
    begins = np.ones(n, np.bool_)
    begins[1:] = images[1:] != images[:-1]
    cell_of = np.cumsum(begins, dtype=np.int32) - np.int32(1)
    order, starts = bucketed(ranked, cell_of, int(cell_of[-1]) + 1 if n else 0)
    ranks = np.empty(n, np.int64)
    ranks[ranked] = np.arange(n)
    return Cells(order, starts, images[begins], boxes, scores, ranks)
