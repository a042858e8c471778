"""Reads the tables that `parity run` stored, as one side of a comparison."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from parity import detections
from parity.dataset.annotations import Annotations
from parity.errors import EvidenceError, first_line
from parity.provenance import sha256_of_file
from parity.results.findings import Findings, check_categories, check_numbers
from parity.results.identity import check_images
from parity.results.model import Results

DETECTIONS = ".detections.parquet"
IMAGES = ".images.parquet"
_EXPECTED = f"<role>{DETECTIONS} with <role>{IMAGES} beside it, as `parity run` stores them"


def is_table(path: Path) -> bool:
    """Whether a path is for `read`: a folder, or a file with the suffix of Parquet."""
    try:
        return path.suffix == ".parquet" or path.is_dir()
    except OSError:  # a name that the file system cannot hold, a folder that is closed to us
        return False


def read(path: Path, annotations: Annotations) -> Results:
    """Read a detection table and its images table, in the order of the file.

    path: `<role>.detections.parquet`, or a folder that holds one such pair. Corners become
    `x1, y1, x2 - x1, y2 - y1` in float64. Raises EvidenceError when a table is missing or damaged, or
    does not fit the annotations.
    """
    try:
        folder, role = _locate(path)
        file = folder / f"{role}{DETECTIONS}"
        for needed in (file, folder / f"{role}{IMAGES}"):
            if not needed.is_file():
                raise EvidenceError("no such file", where=str(needed), expected=_EXPECTED)
    except OSError as error:
        raise EvidenceError(f"cannot be read: {error.strerror}", where=str(path)) from error
    try:
        predictions = detections.read(folder, role)
        corners = predictions.boxes().astype(np.float64)
    except (pa.ArrowException, ValueError, TypeError, LookupError, ArithmeticError, MemoryError) as error:
        raise EvidenceError(
            f"not a readable Parquet file ({first_line(error)})", where=str(file), expected=_EXPECTED
        ) from error
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    scores = predictions.column("score").astype(np.float64)
    image_ids, category_ids = predictions.column("image_id"), predictions.column("category_id")
    findings = Findings(file)
    tried = predictions.images["image_id"].to_numpy()
    check_images(findings, tried, annotations, "rows of the images table")
    check_images(findings, image_ids, annotations, "detections")
    check_categories(findings, category_ids, annotations)
    check_numbers(findings, scores, boxes)
    findings.raise_if_any()
    return Results(
        path=file,
        sha256=sha256_of_file(file),
        kind="parity-tables",
        image_ids=image_ids,
        category_ids=category_ids,
        scores=scores,
        boxes=boxes,
        predictions=predictions,
    )


def _locate(path: Path) -> tuple[Path, str]:
    """The folder and the role of the one pair of tables that a path means."""
    if not path.is_dir():
        if path.name.endswith(DETECTIONS) and path.name != DETECTIONS:
            return path.parent, path.name.removesuffix(DETECTIONS)
        found = "no such file"
        if path.exists():
            images = path.name.endswith(IMAGES)
            found = "an images table" if images else "not the name of a detection table"
        raise EvidenceError(found, where=str(path), expected=_EXPECTED, remedy=f"name <role>{DETECTIONS}")
    roles = sorted(
        file.name.removesuffix(DETECTIONS)
        for file in path.iterdir()
        if file.name.endswith(DETECTIONS) and not file.name.startswith(".")
    )
    if len(roles) != 1:
        held = f"{len(roles)} detection tables ({', '.join(roles)})" if roles else "no detection table"
        raise EvidenceError(
            f"a folder with {held}",
            where=str(path),
            expected=_EXPECTED,
            remedy="name the file of the detection table itself" if roles else "",
        )
    return path, roles[0]
