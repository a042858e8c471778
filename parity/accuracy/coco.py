"""COCO bounding box evaluation of one side: AP, AR and the matches that the bootstrap resamples.

The definition is that of pycocotools' `COCOeval` with `iouType="bbox"` and its default parameters, which
defines the metric in practice; values agree with it to 1e-12. Time and memory are linear in the number of
detections, apart from the overlaps within one image and class.

One deviation: pycocotools takes an annotation with id 0 for unmatched. Ids play no part here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parity.accuracy.inputs import AREA_NAMES, AREA_RANGES, Detections, IndexedTruth, counting, index_truth
from parity.accuracy.kernels import average_precision, match_detections
from parity.accuracy.ordering import bucketed, by_score_descending, positions_in
from parity.errors import EvidenceError, UsageError

__all__ = [
    "MAX_DETECTIONS",
    "METRICS",
    "Detections",
    "Evaluation",
    "IndexedTruth",
    "Matches",
    "counting",
    "evaluate",
    "index_truth",
]

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_THRESHOLDS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = 100
_BITS_SET = np.array([bits.bit_count() for bits in range(1 << len(IOU_THRESHOLDS))])
METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100")


@dataclass(frozen=True, kw_only=True)
class Matches:
    """What became of one side's detections, for all areas and at most `max_detections` an image and class.

    By class, from `starts`, int64 (classes + 1,); within a class by falling score, then image, then row.
    Detections cut off or ignored at every threshold are left out, for they change nothing.
    rows: int64 (n,), rows of the detections. images: int32 (n,), positions in `image_ids`.
    scores: float64 (n,). matched, ignored: uint16 (n,), bit t for IOU_THRESHOLDS[t]: true positive, or
    given to a crowd region.
    """

    starts: NDArray[np.int64]
    rows: NDArray[np.int64]
    images: NDArray[np.int32]
    scores: NDArray[np.float64]
    matched: NDArray[np.uint16]
    ignored: NDArray[np.uint16]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One side's COCO summary.

    values: fractions from 0 to 1 by the names in METRICS; None has its reason in `undefined`.
    class_ap: AP@[.50:.95] by class, in the order of `truth.category_ids`; None where the class has no
    ground truth that counts. class_boxes: int64 (classes,), the number of boxes that do. tied: detections
    whose place behind another of their image and class was decided by the order given, for equal scores.
    """

    truth: IndexedTruth
    values: dict[str, float | None]
    undefined: dict[str, str]
    class_ap: tuple[float | None, ...]
    class_boxes: NDArray[np.int64]
    tied: int
    matches: Matches


def evaluate(
    truth: IndexedTruth, detections: Detections, *, max_detections: int = MAX_DETECTIONS
) -> Evaluation:
    """Evaluate one side; detections of other images or classes play no part.

    Equal scores of one image and class keep the order given, as in pycocotools. max_detections: COCO's last
    `maxDets`; AP and AR100 use that many of the best detections an image and class.
    Raises EvidenceError when a score or a box is not finite, UsageError for fewer than one detection.
    """
    if max_detections < 1:
        raise UsageError(f"{max_detections} detections an image", expected="at least 1")
    # Adding 0 makes -0 into 0: they are equal, and the sort below goes by the bits.
    scores = detections.scores + 0.0
    if not (np.isfinite(detections.boxes).all() and np.isfinite(scores).all()):
        raise EvidenceError(
            "detections with scores or boxes that are not finite",
            expected="a validated detection table",
            remedy="run `parity run` again; these tables cannot be used",
        )
    image_at = positions_in(truth.image_ids, detections.image_ids)
    class_at = positions_in(truth.category_ids, detections.category_ids)
    images, classes = len(truth.image_ids), len(truth.category_ids)
    order = np.flatnonzero((image_at >= 0) & (class_at >= 0))
    order, by_image_starts = bucketed(order, image_at, images)
    # The kernel's scratch space grows with it, so a generous limit must not cost memory.
    most = min(max_detections, int(np.diff(by_image_starts).max(initial=1)))
    order = by_score_descending(order, scores.view(np.uint64))
    ranked, starts = bucketed(order, class_at, classes)
    ranks = np.empty(len(scores), np.int64)
    ranks[ranked] = np.arange(len(ranked))
    by_image, _ = bucketed(order, image_at, images)
    by_cell, _ = bucketed(by_image, class_at, classes)
    matched, ignored, places = match_detections(
        starts, by_cell, ranks, image_at, detections.boxes,
        truth.starts, truth.images, truth.boxes, truth.areas, truth.crowd,
        AREA_RANGES, IOU_THRESHOLDS, most,
    )  # fmt: skip
    class_of_rank = class_at[ranked]
    precision = np.stack(
        [
            average_precision(starts, matched[a], ignored[a], truth.counted[a], RECALL_THRESHOLDS)
            for a in range(len(AREA_RANGES))
        ]
    )
    allowed = tuple(min(most, max_detections) for most in (1, 10, max_detections))
    recall = _average_recall(matched[0], places, class_of_rank, truth.counted[0], allowed)
    values, undefined = _summary(precision, recall, truth.counted)
    keep = np.flatnonzero(ignored[0] != (1 << len(IOU_THRESHOLDS)) - 1)
    kept_rows = ranked[keep]
    sizes = np.bincount(class_of_rank[keep], minlength=classes)
    return Evaluation(
        truth=truth,
        values=values,
        undefined=undefined,
        class_ap=tuple(
            float(precision[0, k].mean()) if truth.counted[0, k] else None for k in range(classes)
        ),
        class_boxes=truth.counted[0],
        tied=_tied(by_cell, image_at, class_at, scores),
        matches=Matches(
            starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            rows=kept_rows,
            images=image_at[kept_rows],
            scores=scores[kept_rows],
            matched=matched[0, keep],
            ignored=ignored[0, keep],
        ),
    )


def _tied(
    by_cell: NDArray[np.int64],
    image_at: NDArray[np.int32],
    class_at: NDArray[np.int32],
    scores: NDArray[np.float64],
) -> int:
    """How many rows, by class, image and score, have all three of the row before them."""
    same = [column[by_cell[1:]] == column[by_cell[:-1]] for column in (scores, image_at, class_at)]
    return int(np.logical_and.reduce(same).sum())


def _average_recall(
    matched: NDArray[np.uint16],
    places: NDArray[np.int32],
    class_of_rank: NDArray[np.int32],
    boxes: NDArray[np.int64],
    allowed: tuple[int, ...],
) -> NDArray[np.float64]:
    """Recall averaged over the IoU thresholds, by number of detections allowed and class, (3, classes)."""
    hits = _BITS_SET[matched]
    per_class = [
        np.bincount(class_of_rank, weights=np.where(places < most, hits, 0), minlength=len(boxes))
        for most in allowed
    ]
    return np.stack(per_class) / len(IOU_THRESHOLDS) / np.maximum(boxes, 1)


def _summary(
    precision: NDArray[np.float64], recall: NDArray[np.float64], counted: NDArray[np.int64]
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Means over the classes that have ground truth in the area range concerned."""
    half, three_quarters = 0, 5
    columns = [(0, precision[0].mean(axis=1))]
    columns += [(0, precision[0, :, t]) for t in (half, three_quarters)]
    columns += [(a, precision[a].mean(axis=1)) for a in (1, 2, 3)]
    columns += [(0, row) for row in recall]
    values: dict[str, float | None] = {}
    undefined: dict[str, str] = {}
    for name, (area, column) in zip(METRICS, columns, strict=True):
        defined = counted[area] > 0
        values[name] = float(column[defined].mean()) if defined.any() else None
        if not defined.any():
            kind = "" if area == 0 else f"{AREA_NAMES[area]} "
            undefined[name] = f"no {kind}ground truth boxes, crowd regions aside, in the images evaluated"
    return values, undefined
