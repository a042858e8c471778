"""One-to-one matching of reference and candidate boxes by IoU, within each image and class.

**The rule.** Pairs of one image and class with IoU at or over the threshold are taken greedily, best first,
each box at most once, in three rounds:

1. both scores reach `score`;
2. one of them does;
3. neither does.

Within a round the best pair is that of identical boxes, then of the greatest IoU, then of the higher
reference score, then of the higher candidate score, then of the smaller reference and candidate corners
(x1, y1, x2, y2). The order of rows and images plays no part.

**Why rounds.** Detectors give near duplicates of low score. Over all boxes at once, such a duplicate that
happens to overlap better would take the partner of the detection that matters, and a sound candidate would
be reported as missing a box. So a detection that reaches `score` loses a partner that does too only to
another such detection. The second round lets it keep a partner whose score fell just under `score`. The
price: where two objects overlap by the threshold and their scores cross `score` in opposite directions, the
first round may pair one with the other, which is then reported as moved.

Identical boxes have IoU 1 even without area, and come first, so a table matches itself without remainder,
every box with one of the same corners and score.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from parity.detections import BOX_COLUMNS
from parity.errors import EvidenceError, UsageError
from parity.pairing import pair_cells


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side's detections as arrays: int64, float32 (n,) and float32 (n, 4), rows as in its table.

    compared: bool (n,), whether the row's image is one of those compared.
    """

    image_ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]
    compared: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Matching:
    """Which reference box belongs to which candidate box.

    reference_rows, candidate_rows: int64 (m,), rows of the two tables, by reference row. iou: float64 (m,),
    from `iou_threshold` to 1. score: the score from which a detection counts.
    """

    reference: Side
    candidate: Side
    reference_rows: NDArray[np.int64]
    candidate_rows: NDArray[np.int64]
    iou: NDArray[np.float64]
    score: float
    iou_threshold: float


def match(
    reference: pa.Table,
    candidate: pa.Table,
    *,
    image_ids: Iterable[int],
    score: float = 0.25,
    iou: float = 0.5,
) -> Matching:
    """Match two detection tables on some images, those that both sides answered; other images are left out.

    score: where detections begin to count, for the rounds above. iou: least overlap of a pair, 0 < iou <= 1.
    Scores are compared as float32, as they are stored, so that one of exactly `score` counts.
    Raises EvidenceError for boxes or scores that are not finite, UsageError for thresholds out of range.
    """
    if not (0 < iou <= 1 and 0 <= score <= 1):
        raise UsageError(f"score {score}, iou {iou}", expected="a score in 0..1, an IoU over 0 and up to 1")
    wanted = np.unique(np.fromiter(image_ids, np.int64))
    sides = [_side(table, wanted) for table in (reference, candidate)]
    categories = np.unique(
        np.concatenate([t["category_id"].unique().to_numpy() for t in (reference, candidate)])
    )
    orders, cells = zip(*(_by_cell(side, wanted, categories) for side in sides), strict=True)
    first, second, overlaps = pair_cells(
        orders[0], cells[0], sides[0].scores, sides[0].boxes,
        orders[1], cells[1], sides[1].scores, sides[1].boxes,
        np.float32(score), iou,
    )  # fmt: skip
    by_row = np.argsort(first, kind="stable")
    return Matching(
        reference=sides[0],
        candidate=sides[1],
        reference_rows=first[by_row],
        candidate_rows=second[by_row],
        iou=overlaps[by_row],
        score=score,
        iou_threshold=iou,
    )


def _side(table: pa.Table, wanted: NDArray[np.int64]) -> Side:
    # Copies, because Numba would compile everything again for the read-only views that Arrow gives.
    boxes = np.stack([np.array(table[name].to_numpy(), np.float32) for name in BOX_COLUMNS], axis=1)
    scores = np.array(table["score"].to_numpy(), np.float32)
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise EvidenceError("detections with scores or boxes that are not finite")
    image_ids = np.array(table["image_id"].to_numpy(), np.int64)
    return Side(
        image_ids=image_ids,
        category_ids=np.array(table["category_id"].to_numpy(), np.int64),
        scores=scores,
        boxes=boxes,
        compared=_positions(wanted, image_ids) >= 0,
    )


def _by_cell(
    side: Side, wanted: NDArray[np.int64], categories: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to compare, sorted by cell (an image and a class), and their cells, int64 (n,) each."""
    rows = np.flatnonzero(side.compared)
    cells = _positions(wanted, side.image_ids[rows]) * len(categories)
    cells += _positions(categories, side.category_ids[rows])
    order = np.argsort(cells, kind="stable")
    return rows[order], cells[order]


def _positions(sorted_ids: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index of every value in `sorted_ids`, or -1."""
    if len(sorted_ids) == 0:
        return np.full(len(values), -1, np.int64)
    at = np.searchsorted(sorted_ids, values)
    at[at == len(sorted_ids)] = 0
    return np.where(sorted_ids[at] == values, at, -1)
