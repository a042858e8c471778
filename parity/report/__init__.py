"""The report: one document, and the files that are made from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from parity.report.document import Report
from parity.report.html import write_html
from parity.report.schema import write_json
from parity.report.tables import (
    DIFFERENCES_COLUMNS,
    IMAGES_COLUMNS,
    tables_of,
    write_criteria,
    write_differences,
    write_images,
    write_latency,
)

__all__ = ["write_report"]


def write_report(
    report: Report, images: Sequence[pd.DataFrame], differences: Sequence[pd.DataFrame], folder: Path
) -> None:
    """Write the CSV files that the report has rows for, report.json and index.html, the page last."""
    write_criteria(report, folder / "criteria.csv")
    names = tables_of(report)
    if "images.csv" in names:
        write_images(_joined(images, IMAGES_COLUMNS), folder / "images.csv")
        write_differences(_joined(differences, DIFFERENCES_COLUMNS), folder / "differences.csv")
    if "latency.csv" in names:
        write_latency(report, folder / "latency.csv")
    write_json(report, folder / "report.json")
    write_html(report, folder)


def _joined(frames: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(columns))
