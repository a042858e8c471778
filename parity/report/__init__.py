"""The report: one document, and the files that are made from it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from parity.report.document import Report
from parity.report.html import write_html
from parity.report.schema import write_json
from parity.report.tables import (
    DIFFERENCES_COLUMNS,
    IMAGES_COLUMNS,
    write_criteria,
    write_differences,
    write_images,
)

__all__ = ["remove_report", "write_report"]


FILES = ("index.html", "report.json", "criteria.csv", "images.csv", "differences.csv")
FOLDERS = ("evidence", "images")


def remove_report(folder: Path) -> None:
    """Remove what an earlier report left in a folder, so that nothing of it can pass for the new one's.

    Nothing happens where there is no report.json: such a folder is not ours.
    """
    if not (folder / "report.json").is_file():
        return
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    for name in FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)


def write_report(
    report: Report, images: Sequence[pd.DataFrame], differences: Sequence[pd.DataFrame], folder: Path
) -> None:
    """Write the CSV files, report.json and index.html into `folder`, the page last."""
    write_criteria(report, folder / "criteria.csv")
    write_images(_joined(images, IMAGES_COLUMNS), folder / "images.csv")
    write_differences(_joined(differences, DIFFERENCES_COLUMNS), folder / "differences.csv")
    write_json(report, folder / "report.json")
    write_html(report, folder)


def _joined(frames: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(columns))
