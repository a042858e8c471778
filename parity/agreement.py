"""What a matching says about two sides: which detections agree, and how far the others drift.

Counted are detections whose score reaches the matching's `score` on their own side. A pair counts when
either of its boxes does, so that a score that falls from just over to just under is a rescoring, if it is
large enough, and not a missing box. Every counted detection is in a pair, missing or extra, never in two of
them: `matched + missing + extra` is the number compared, of which `agreeing` agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from parity.errors import UsageError
from parity.matching import Matching

_FIELDS: list[pa.Field[Any]] = [
    pa.field("image_id", pa.int64(), nullable=False),
    pa.field("category_id", pa.int64(), nullable=False),
    pa.field("kind", pa.string(), nullable=False),
    *(
        pa.field(f"{side}_{name}", pa.float32())
        for side in ("reference", "candidate")
        for name in ("score", "x1", "y1", "x2", "y2")
    ),
    pa.field("iou", pa.float64()),
    pa.field("drift_pixels", pa.float64()),
]
DIFFERENCES_SCHEMA = pa.schema(_FIELDS)


@dataclass(frozen=True, kw_only=True)
class Classified:
    """The counted pairs of a matching and the counted detections without partner.

    reference_rows, candidate_rows: int64 (m,), rows of the tables. iou: float64 (m,). drift_pixels: float64
    (m,), the largest shift of the four corner coordinates. score_change: float64 (m,), candidate minus
    reference. moved, rescored: bool (m,); a pair can be both. missing_rows, extra_rows: int64, rows of the
    reference and of the candidate table.
    """

    matching: Matching
    moved_iou: float
    rescored_by: float
    reference_rows: NDArray[np.int64]
    candidate_rows: NDArray[np.int64]
    iou: NDArray[np.float64]
    drift_pixels: NDArray[np.float64]
    score_change: NDArray[np.float64]
    moved: NDArray[np.bool_]
    rescored: NDArray[np.bool_]
    missing_rows: NDArray[np.int64]
    extra_rows: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class AgreementSummary:
    """The fields of the report's `Agreement`, and why drift and `lowest_iou` are None, if they are.

    box_drift_pixels, score_drift: p50, p95, p99 and max over the counted pairs, of the largest corner shift
    and of the absolute score change.
    """

    score: float
    iou: float
    moved_iou: float
    rescored_by: float
    reference_detections: int
    candidate_detections: int
    matched: int
    missing: int
    extra: int
    moved: int
    rescored: int
    agreeing: int
    box_drift_pixels: dict[str, float] | None
    score_drift: dict[str, float] | None
    lowest_iou: float | None
    reason: str

    @property
    def compared(self) -> int:
        """Pairs and single detections that were counted; `agreeing` is a part of it."""
        return self.matched + self.missing + self.extra


def classify(matching: Matching, *, moved_iou: float = 0.95, rescored_by: float = 0.02) -> Classified:
    """Sort the detections that count into pairs, missing and extra ones.

    A pair has moved when its IoU is under `moved_iou`, and is rescored when its scores differ by more than
    `rescored_by`; exactly on either limit it agrees. Scores are float32, so 0.50 and 0.48 differ by
    0.0200000107 and not by 0.02. Raises UsageError for limits outside 0..1.
    """
    if not (0 <= moved_iou <= 1 and 0 <= rescored_by <= 1):
        raise UsageError(f"moved_iou {moved_iou}, rescored_by {rescored_by}", expected="numbers from 0 to 1")
    reference, candidate = matching.reference, matching.candidate
    threshold = np.float32(matching.score)
    high_reference = reference.compared & (reference.scores >= threshold)
    high_candidate = candidate.compared & (candidate.scores >= threshold)
    counts = high_reference[matching.reference_rows] | high_candidate[matching.candidate_rows]
    first, second = matching.reference_rows[counts], matching.candidate_rows[counts]
    iou = matching.iou[counts]
    shifts = candidate.boxes[second].astype(np.float64) - reference.boxes[first].astype(np.float64)
    change = candidate.scores[second].astype(np.float64) - reference.scores[first].astype(np.float64)
    high_reference[matching.reference_rows] = False
    high_candidate[matching.candidate_rows] = False
    return Classified(
        matching=matching,
        moved_iou=moved_iou,
        rescored_by=rescored_by,
        reference_rows=first,
        candidate_rows=second,
        iou=iou,
        drift_pixels=np.abs(shifts).max(axis=1, initial=0.0),
        score_change=change,
        moved=iou < moved_iou,
        rescored=np.abs(change) > rescored_by,
        missing_rows=np.flatnonzero(high_reference),
        extra_rows=np.flatnonzero(high_candidate),
    )


def summarise(classified: Classified) -> AgreementSummary:
    """Count what `classify` found."""
    matching, matched = classified.matching, len(classified.iou)
    threshold = np.float32(matching.score)
    reached = [
        int((side.compared & (side.scores >= threshold)).sum())
        for side in (matching.reference, matching.candidate)
    ]
    return AgreementSummary(
        score=matching.score,
        iou=matching.iou_threshold,
        moved_iou=classified.moved_iou,
        rescored_by=classified.rescored_by,
        reference_detections=reached[0],
        candidate_detections=reached[1],
        matched=matched,
        missing=len(classified.missing_rows),
        extra=len(classified.extra_rows),
        moved=int(classified.moved.sum()),
        rescored=int(classified.rescored.sum()),
        agreeing=int((~classified.moved & ~classified.rescored).sum()),
        box_drift_pixels=_percentiles(classified.drift_pixels) if matched else None,
        score_drift=_percentiles(np.abs(classified.score_change)) if matched else None,
        lowest_iou=float(classified.iou.min()) if matched else None,
        reason="" if matched else f"no detection with a score of {matching.score:g} or more has a partner",
    )


def differences(classified: Classified) -> pa.Table:
    """One row for each way in which a detection differs, by DIFFERENCES_SCHEMA; sorted by image, then by row.

    A pair that moved and was rescored has two rows, so that the rows of a kind are as many as the summary
    counts. Cells of the side that has no box are null, and so are `iou` and `drift_pixels` without a pair.
    """
    matching = classified.matching
    parts = []
    for kind, chosen in (("moved", classified.moved), ("rescored", classified.rescored)):
        where = np.flatnonzero(chosen)
        parts.append((kind, classified.reference_rows[where], classified.candidate_rows[where], where))
    nothing = np.full(max(len(classified.missing_rows), len(classified.extra_rows)), -1, np.int64)
    for kind, missing, extra in (
        ("missing", classified.missing_rows, nothing[: len(classified.missing_rows)]),
        ("extra", nothing[: len(classified.extra_rows)], classified.extra_rows),
    ):
        parts.append((kind, missing, extra, nothing[: len(missing)]))
    kinds = np.concatenate([np.full(len(part[1]), part[0], object) for part in parts])
    first, second, pair = (np.concatenate([part[i] for part in parts]) for i in (1, 2, 3))
    columns: dict[str, pa.Array[Any]] = {"kind": pa.array(kinds, pa.string())}
    for name in ("image_ids", "category_ids"):
        column = np.zeros(len(kinds), np.int64)
        for side, rows in ((matching.reference, first), (matching.candidate, second)):
            column[rows >= 0] = getattr(side, name)[rows[rows >= 0]]
        columns[name.removesuffix("s")] = pa.array(column)
    for label, side, rows in (
        ("reference", matching.reference, first),
        ("candidate", matching.candidate, second),
    ):
        columns[f"{label}_score"] = _taken(side.scores, rows)
        for i, name in enumerate(("x1", "y1", "x2", "y2")):
            columns[f"{label}_{name}"] = _taken(side.boxes[:, i], rows)
    columns["iou"] = _taken(classified.iou, pair)
    columns["drift_pixels"] = _taken(classified.drift_pixels, pair)
    table = pa.table({name: columns[name] for name in DIFFERENCES_SCHEMA.names}, schema=DIFFERENCES_SCHEMA)
    order = np.lexsort((second, first, table["image_id"].to_numpy()))
    return table.take(order)


def _percentiles(values: NDArray[np.float64]) -> dict[str, float]:
    """Percentiles that are values which occurred, the higher neighbour, so that none is understated."""
    levels = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}
    return {name: float(np.percentile(values, level, method="higher")) for name, level in levels.items()}


def _taken(values: NDArray[np.floating], rows: NDArray[np.int64]) -> pa.Array[Any]:
    """Values at rows, null at row -1."""
    result = np.zeros(len(rows), values.dtype)
    result[rows >= 0] = values[rows[rows >= 0]]
    return pa.array(result, mask=rows < 0)
