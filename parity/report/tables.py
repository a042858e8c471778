"""The CSV files of a run, for pandas and spreadsheets; docs/report.md describes every column.

UTF-8 without byte order mark, comma separated, one header line, one record a line. An empty cell means
undefined or not applicable. Text that a spreadsheet would take for a formula gets a leading apostrophe;
numbers are written as numbers, -0.5 included.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from parity.errors import EvidenceError
from parity.files import write_whole
from parity.report.document import Report
from parity.report.serving import LATENCY_COLUMNS, latency_rows
from parity.report.text import one_line, redacted

CRITERIA_COLUMNS = (
    "model",
    "criterion",
    "outcome",
    "observed",
    "limit",
    "unit",
    "interval_low",
    "interval_high",
    "n",
    "message",
)
"""One row a model and criterion. `observed`, `limit` and the interval are in `unit`; `n` counts images or
detections; `outcome` is PASS, FAIL or INCONCLUSIVE."""

IMAGES_COLUMNS = (
    "model",
    "image_id",
    "file_name",
    "reference_status",
    "candidate_status",
    "reference_message",
    "candidate_message",
    "reference_detections",
    "candidate_detections",
    "matched",
    "missing",
    "extra",
    "moved",
    "rescored",
    "lowest_iou",
)
"""One row a model and image. Statuses are those of `parity.detections.Status`; counts are detections at or
over the agreement's score; `moved` and `rescored` are parts of `matched`; `lowest_iou` is the least IoU of
the image's matched pairs, 0 to 1. Counts are empty where a side did not answer."""

DIFFERENCES_COLUMNS = (
    "model",
    "image_id",
    "file_name",
    "category_id",
    "category",
    "kind",
    "reference_score",
    "reference_x1",
    "reference_y1",
    "reference_x2",
    "reference_y2",
    "candidate_score",
    "candidate_x1",
    "candidate_y1",
    "candidate_x2",
    "candidate_y2",
    "iou",
    "drift_pixels",
)
"""One row a differing detection. `kind` is missing, extra, moved or rescored; scores are 0 to 1; corners are
in pixels of the original image; a pair that both moved and was
rescored has two rows; `iou` (0 to 1) and `drift_pixels` (greatest corner coordinate difference)
belong to matched pairs; the side that has no such detection is empty."""

# After white space too, and the full-width forms, which some spreadsheets take for the plain ones.
_FORMULA = re.compile("^\\s*[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20]")


@lru_cache(maxsize=1024)  # the same few words come in every row
def safe_cell(text: str) -> str:
    """A text cell on one line that no spreadsheet takes for a formula, and without secrets."""
    shown = one_line(redacted(text))
    return f"'{shown}" if _FORMULA.match(text) or text.startswith("\n") else shown


def tables_of(report: Report) -> tuple[str, ...]:
    """The CSV files that belong to a report: those of detections, of serving, or both."""
    names = ["criteria.csv"] if report.pairs else []
    if any(pair.agreement is not None for pair in report.pairs):
        names += ["images.csv", "differences.csv"]
    if any(pair.serving is not None for pair in report.pairs):
        names.append("latency.csv")
    return tuple(names)


def criteria_csv(report: Report) -> str:
    """The text of criteria.csv."""
    rows = [
        (
            pair.model,
            criterion.name,
            criterion.outcome.value,
            criterion.observed,
            criterion.limit,
            criterion.unit,
            *(criterion.interval or (None, None)),
            criterion.n,
            criterion.message,
        )
        for pair in report.pairs
        for criterion in pair.criteria
    ]
    return _csv(CRITERIA_COLUMNS, rows)


def write_criteria(report: Report, path: Path) -> None:
    """Write criteria.csv."""
    write_whole(path, criteria_csv(report))


def write_latency(report: Report, path: Path) -> None:
    """Write latency.csv."""
    rows = [
        row for pair in report.pairs if pair.serving for row in latency_rows(pair.model, pair.serving.steps)
    ]
    write_whole(path, _csv(LATENCY_COLUMNS, rows))


def write_images(images: pd.DataFrame, path: Path) -> None:
    """Write images.csv from a frame with the columns IMAGES_COLUMNS, in the frame's row order."""
    _write_frame(images, IMAGES_COLUMNS, path)


def write_differences(differences: pd.DataFrame, path: Path) -> None:
    """Write differences.csv from a frame with the columns DIFFERENCES_COLUMNS, in the frame's row order."""
    _write_frame(differences, DIFFERENCES_COLUMNS, path)


def _write_frame(frame: pd.DataFrame, columns: Sequence[str], path: Path) -> None:
    missing = [name for name in columns if name not in frame.columns]
    unknown = [str(name) for name in frame.columns if name not in columns]
    if missing or unknown:
        raise EvidenceError(
            f"a table lacks the columns {missing} and has the unknown columns {unknown}",
            where=str(path),
            expected=", ".join(columns),
        )
    # Column by column and as NumPy scalars, so that a float32 keeps its own shortest digits.
    cells = [list(frame[name].array) for name in columns]
    write_whole(path, _csv(columns, zip(*cells, strict=True)))


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return buffer.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return safe_cell(value)
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, float | np.floating):
        if math.isinf(value):
            raise EvidenceError("an infinite number in a table of the report")
        return "" if math.isnan(value) else str(value)
    return safe_cell(str(value))
