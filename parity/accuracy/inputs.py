"""What an evaluation takes: ground truth arranged for it, and detections as 64-bit numbers.

A results file holds decimal numbers, which pycocotools reads as float64; rounding them to float32 would move
AP by more than the 1e-12 that this package promises. So the evaluation has a form of its own, which detection
tables widen into without loss.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from typing_extensions import Self

from parity.accuracy.ordering import bucketed, positions_in
from parity.detections import BOX_COLUMNS
from parity.errors import EvidenceError

if TYPE_CHECKING:
    from parity.dataset import GroundTruth

AREA_RANGES = np.array([[0, 1e5**2], [0, 32**2], [32**2, 96**2], [96**2, 1e5**2]], np.float64)
AREA_NAMES = ("all", "small", "medium", "large")


@dataclass(frozen=True, kw_only=True)
class Detections:
    """One side's detections, in an order that decides between equal scores of one image and class.

    image_ids, category_ids: int64 (n,). scores: float64 (n,). boxes: float64 (n, 4), `x, y, width, height`
    in pixels, as in a COCO results file.
    """

    image_ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    scores: NDArray[np.float64]
    boxes: NDArray[np.float64]

    @classmethod
    def of_table(cls, table: pa.Table) -> Self:
        """A detection table; corners become `x1, y1, x2 - x1, y2 - y1` in float64."""
        # Copies, because Numba would compile everything again for the read-only views that Arrow gives.
        corners = [np.array(table[name].to_numpy(), np.float64) for name in BOX_COLUMNS]
        return cls(
            image_ids=np.array(table["image_id"].to_numpy(), np.int64),
            category_ids=np.array(table["category_id"].to_numpy(), np.int64),
            scores=np.array(table["score"].to_numpy(), np.float64),
            boxes=np.stack([*corners[:2], corners[2] - corners[0], corners[3] - corners[1]], axis=1),
        )

    def kept(self, keep: NDArray[np.bool_]) -> Self:
        """Some of the detections, bool (n,), in the same order."""
        return type(self)(
            image_ids=self.image_ids[keep],
            category_ids=self.category_ids[keep],
            scores=self.scores[keep],
            boxes=self.boxes[keep],
        )


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
