"""COCO bounding box evaluation of one side: AP, AR and the matches that the bootstrap resamples.

The definition is that of pycocotools' `COCOeval` with `iouType="bbox"` and its default parameters, which
defines the metric in practice; values agree with it to 1e-12. Time and memory are linear in the number of
detections, apart from the overlaps within one image and class.

One deviation: pycocotools takes an annotation with id 0 for unmatched. Ids play no part here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from parity.accuracy.inputs import AREA_NAMES, AREA_RANGES, Detections, IndexedTruth, counting, index_truth
from parity.accuracy.ordering import bucketed, positions_in
from parity.accuracy.per_class import IOU_THRESHOLDS, RECALL_THRESHOLDS, evaluate_class
from parity.errors import EvidenceError, UsageError

__all__ = [
    "IOU_THRESHOLDS",
    "MAX_DETECTIONS",
    "METRICS",
    "RECALL_THRESHOLDS",
    "Detections",
    "Evaluation",
    "IndexedTruth",
    "Matches",
    "counting",
    "evaluate",
    "index_truth",
]

N = TypeVar("N", bound=np.generic)
MAX_DETECTIONS = 100
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
    classes = len(truth.category_ids)
    rows, starts = bucketed(np.flatnonzero((image_at >= 0) & (class_at >= 0)), class_at, classes)
    of_class = [rows[i:j] for i, j in pairwise(starts)]
    found = [
        evaluate_class(
            truth, k, image_at[own], scores[own], detections.boxes.take(own, axis=0), max_detections
        )
        for k, own in enumerate(of_class)
    ]
    precision = _stacked([each.precision for each in found], (0, len(AREA_RANGES), len(IOU_THRESHOLDS)))
    recall = _stacked([each.recall for each in found], (0, 3))
    values, undefined = _summary(precision, recall, truth.counted)
    kept = _joined([own[each.kept] for own, each in zip(of_class, found, strict=True)], np.int64)
    return Evaluation(
        truth=truth,
        values=values,
        undefined=undefined,
        class_ap=tuple(
            float(precision[k, 0].mean()) if truth.counted[0, k] else None for k in range(classes)
        ),
        class_boxes=truth.counted[0],
        tied=sum(each.tied for each in found),
        matches=Matches(
            starts=np.cumsum([0, *(len(each.kept) for each in found)]).astype(np.int64),
            rows=kept,
            images=image_at[kept],
            scores=scores[kept],
            matched=_joined([each.matched for each in found], np.uint16),
            ignored=_joined([each.ignored for each in found], np.uint16),
        ),
    )


def _stacked(rows: list[NDArray[np.float64]], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """One row a class; an array of this shape where there are no classes."""
    return np.stack(rows) if rows else np.zeros(shape)


def _joined(parts: list[NDArray[N]], kind: type[N]) -> NDArray[N]:
    """One class after the other."""
    return np.concatenate([np.empty(0, kind), *parts])


def _summary(
    precision: NDArray[np.float64], recall: NDArray[np.float64], counted: NDArray[np.int64]
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Means over the classes that have ground truth in the area range concerned.

    precision: (classes, areas, IoU thresholds). recall: (classes, 3). counted: (areas, classes).
    """
    half, three_quarters = 0, 5
    columns = [(0, precision[:, 0].mean(axis=1))]
    columns += [(0, precision[:, 0, t]) for t in (half, three_quarters)]
    columns += [(a, precision[:, a].mean(axis=1)) for a in (1, 2, 3)]
    columns += [(0, column) for column in recall.T]
    values: dict[str, float | None] = {}
    undefined: dict[str, str] = {}
    for name, (area, column) in zip(METRICS, columns, strict=True):
        defined = counted[area] > 0
        values[name] = float(column[defined].mean()) if defined.any() else None
        if not defined.any():
            kind = "" if area == 0 else f"{AREA_NAMES[area]} "
            undefined[name] = f"no {kind}ground truth boxes, crowd regions aside, in the images evaluated"
    return values, undefined
