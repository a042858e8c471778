"""COCO bounding box evaluation of one side: AP, AR and the matches that the bootstrap resamples.

The definition is that of pycocotools' `COCOeval` with `iouType="bbox"` and its default parameters, which
defines the metric in practice; values agree with it to 1e-12. Time and memory are linear in the number of
detections, apart from the overlaps within one image and class.

One deviation: pycocotools takes an annotation with id 0 for unmatched. Ids play no part here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from parity.accuracy.kernels import average_precision, match_detections
from parity.accuracy.ordering import bucketed, by_score_descending, positions_in
from parity.detections import BOX_COLUMNS
from parity.errors import EvidenceError

if TYPE_CHECKING:
    from parity.dataset import GroundTruth

Scalar = TypeVar("Scalar", bound=np.generic)

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_THRESHOLDS = np.linspace(0.0, 1.0, 101)
AREA_RANGES = np.array([[0, 1e5**2], [0, 32**2], [32**2, 96**2], [96**2, 1e5**2]], np.float64)
AREA_NAMES = ("all", "small", "medium", "large")
MAX_DETECTIONS = (1, 10, 100)
_BITS_SET = np.array([bits.bit_count() for bits in range(1 << len(IOU_THRESHOLDS))])
METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100")


@dataclass(frozen=True, kw_only=True)
class IndexedTruth:
    """Ground truth of the images and classes evaluated, by class, then image, then the order it came in.

    image_ids, category_ids: ascending, unique. starts: int64 (classes + 1,), where each class begins.
    images: int32 (n,), positions in `image_ids`. boxes: float64 (n, 4), `x, y, width, height`.
    areas: float64 (n,). crowd: bool (n,). counted: int64 (4, classes), boxes of each area range that are
    not crowd regions, ranges as in AREA_NAMES.
    """

    image_ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    images: NDArray[np.int32]
    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    counted: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Matches:
    """What became of one side's detections, for all areas and at most 100 detections an image and class.

    By class, from `starts`, int64 (classes + 1,); within a class by falling score, then image, then row.
    Detections cut off or ignored at every threshold are left out, for they change nothing.
    rows: int64 (n,), rows of the detection table. images: int32 (n,), positions in `image_ids`.
    scores: float32 (n,). matched, ignored: uint16 (n,), bit t for IOU_THRESHOLDS[t]: true positive, or
    given to a crowd region.
    """

    starts: NDArray[np.int64]
    rows: NDArray[np.int64]
    images: NDArray[np.int32]
    scores: NDArray[np.float32]
    matched: NDArray[np.uint16]
    ignored: NDArray[np.uint16]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One side's COCO summary.

    values: fractions from 0 to 1 by the names in METRICS; None has its reason in `undefined`.
    class_ap: AP@[.50:.95] by class, in the order of `truth.category_ids`; None where the class has no
    ground truth that counts. class_boxes: int64 (classes,), the number of boxes that do.
    """

    truth: IndexedTruth
    values: dict[str, float | None]
    undefined: dict[str, str]
    class_ap: tuple[float | None, ...]
    class_boxes: NDArray[np.int64]
    matches: Matches


def index_truth(truth: GroundTruth, *, image_ids: Iterable[int], category_ids: Iterable[int]) -> IndexedTruth:
    """Arrange the ground truth of some images and classes; repeated ids count once, as in pycocotools.

    Raises EvidenceError when a box or an area is not finite.
    """
    images = np.unique(np.fromiter(image_ids, np.int64))
    categories = np.unique(np.fromiter(category_ids, np.int64))
    if not (np.isfinite(truth.boxes).all() and np.isfinite(truth.areas).all()):
        raise EvidenceError(
            "ground truth with boxes or areas that are not finite", remedy="correct the annotations"
        )
    image_at = positions_in(images, truth.image_ids)
    class_at = positions_in(categories, truth.category_ids)
    order = np.flatnonzero((image_at >= 0) & (class_at >= 0))
    order, _ = bucketed(order, image_at, len(images))
    order, starts = bucketed(order, class_at, len(categories))
    areas, crowd = truth.areas[order], truth.crowd[order].astype(np.bool_)
    counted = [np.bincount(class_at[order[row]], minlength=len(categories)) for row in counting(areas, crowd)]
    return IndexedTruth(
        image_ids=images,
        category_ids=categories,
        starts=starts,
        images=image_at[order],
        boxes=np.ascontiguousarray(truth.boxes[order], np.float64),
        areas=areas,
        crowd=crowd,
        counted=np.stack(counted).astype(np.int64),
    )


def counting(areas: NDArray[np.float64], crowd: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which boxes count in each area range, bool (4, n): both ends included, crowd regions never."""
    return (areas >= AREA_RANGES[:, :1]) & (areas <= AREA_RANGES[:, 1:]) & ~crowd


def evaluate(truth: IndexedTruth, detections: pa.Table) -> Evaluation:
    """Evaluate one side's detection table; detections of other images or classes play no part.

    Equal scores within an image keep the table's order, so pass the canonical one. Corners become
    `x1, y1, x2 - x1, y2 - y1` in float64, as in a COCO results file of the table.
    Raises EvidenceError when a score or a box is not finite.
    """
    corners = np.stack([_column(detections, name, np.float32) for name in BOX_COLUMNS], axis=1)
    # Adding 0 makes -0 into 0: they are equal, and the sort below goes by the bits.
    scores = _column(detections, "score", np.float32) + np.float32(0)
    if not (np.isfinite(corners).all() and np.isfinite(scores).all()):
        raise EvidenceError(
            "detections with scores or boxes that are not finite",
            expected="a validated detection table",
            remedy="run `parity run` again; these tables cannot be used",
        )
    image_at = positions_in(truth.image_ids, _column(detections, "image_id", np.int64))
    class_at = positions_in(truth.category_ids, _column(detections, "category_id", np.int64))
    images, classes = len(truth.image_ids), len(truth.category_ids)
    order = np.flatnonzero((image_at >= 0) & (class_at >= 0))
    order, _ = bucketed(order, image_at, images)
    order = by_score_descending(order, scores.view(np.uint32))
    ranked, starts = bucketed(order, class_at, classes)
    ranks = np.empty(len(scores), np.int64)
    ranks[ranked] = np.arange(len(ranked))
    by_image, _ = bucketed(order, image_at, images)
    by_cell, _ = bucketed(by_image, class_at, classes)
    matched, ignored, places = match_detections(
        starts, by_cell, ranks, image_at, corners,
        truth.starts, truth.images, truth.boxes, truth.areas, truth.crowd,
        AREA_RANGES, IOU_THRESHOLDS, MAX_DETECTIONS[-1],
    )  # fmt: skip
    class_of_rank = class_at[ranked]
    precision = np.stack(
        [
            average_precision(starts, matched[a], ignored[a], truth.counted[a], RECALL_THRESHOLDS)
            for a in range(len(AREA_RANGES))
        ]
    )
    recall = _average_recall(matched[0], places, class_of_rank, truth.counted[0])
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
        matches=Matches(
            starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            rows=kept_rows,
            images=image_at[kept_rows],
            scores=scores[kept_rows],
            matched=matched[0, keep],
            ignored=ignored[0, keep],
        ),
    )


def _column(table: pa.Table, name: str, dtype: type[Scalar]) -> NDArray[Scalar]:
    # A copy, because Numba would compile everything again for the read-only views that Arrow gives.
    return np.array(table[name].to_numpy(), dtype)


def _average_recall(
    matched: NDArray[np.uint16],
    places: NDArray[np.int32],
    class_of_rank: NDArray[np.int32],
    boxes: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Recall averaged over the IoU thresholds, by number of detections allowed and class, (3, classes)."""
    hits = _BITS_SET[matched]
    per_class = [
        np.bincount(class_of_rank, weights=np.where(places < most, hits, 0), minlength=len(boxes))
        for most in MAX_DETECTIONS
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
