"""Detections that somebody else's program stored: COCO results, Ultralytics' predictions, parity's tables."""

from __future__ import annotations

from pathlib import Path

from parity.dataset.annotations import Annotations
from parity.results import listing, tables
from parity.results.model import Kind, Results

__all__ = ["Kind", "Results", "read"]


def read(path: Path, annotations: Annotations) -> Results:
    """Read one side's detections and hold their images and categories to the annotations.

    path: a JSON list as COCO defines detection results, or as Ultralytics' `val(save_json=True)` writes it;
    parity's `<role>.detections.parquet`; or a folder with one such table and its images table.
    Raises EvidenceError that names all that is wrong with the file.
    """
    if tables.is_table(path):
        return tables.read(path, annotations)
    return listing.read(path, annotations)
