"""The tables that runners fill and that everything after them reads.

A **detection table** has one row a detection, boxes as corners in pixels of the original image, float32
exactly as the model gave them. An **images table** beside it has one row for every image of the run with
a status, so that "no detections" and "never ran" cannot be confused. Both are Arrow, stored as Parquet.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from parity.errors import EvidenceError, join_problems

BOX_COLUMNS = ("x1", "y1", "x2", "y2")
_DETECTION_FIELDS: list[pa.Field[Any]] = [
    pa.field("image_id", pa.int64(), nullable=False),
    pa.field("category_id", pa.int64(), nullable=False),
    *(pa.field(name, pa.float32(), nullable=False) for name in ("score", *BOX_COLUMNS)),
]
DETECTIONS_SCHEMA = pa.schema(_DETECTION_FIELDS)
_IMAGE_FIELDS: list[pa.Field[Any]] = [
    pa.field("image_id", pa.int64(), nullable=False),
    pa.field("file_name", pa.string(), nullable=False),
    pa.field("width", pa.int32(), nullable=False),
    pa.field("height", pa.int32(), nullable=False),
    pa.field("status", pa.string(), nullable=False),
    pa.field("message", pa.string(), nullable=False),
    pa.field("nonfinite", pa.int64(), nullable=False),
]
IMAGES_SCHEMA = pa.schema(_IMAGE_FIELDS)


class Status(str, Enum):
    """What became of one image on one side. Only OK counts as answered."""

    OK = "ok"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    UNSUPPORTED = "unsupported"
    TOO_LARGE = "too_large"
    WRONG_SIZE = "wrong_size"
    CHANGED = "changed"
    FAILED = "failed"
    NOT_ATTEMPTED = "not_attempted"


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What one side answered: its detection table and its images table.

    Rows are in canonical order (image, then score downwards, then category and box), so that nothing
    after this depends on the order in which answers arrived.
    """

    detections: pa.Table
    images: pa.Table

    @property
    def attempted(self) -> frozenset[int]:
        """Ids of all images of the run."""
        return frozenset(self.images["image_id"].to_numpy().tolist())

    @property
    def answered(self) -> frozenset[int]:
        """Ids of the images with status OK."""
        ok = np.array(self.images["status"].to_pylist(), object) == Status.OK.value
        return frozenset(self.images["image_id"].to_numpy()[ok].tolist())

    def boxes(self) -> NDArray[np.float32]:
        """Corners `x1 y1 x2 y2` in pixels, shape (n, 4)."""
        if self.detections.num_rows == 0:
            return np.zeros((0, 4), np.float32)
        return np.stack([self.detections[name].to_numpy() for name in BOX_COLUMNS], axis=1)

    def column(self, name: str) -> NDArray[Any]:
        """One column of the detection table as NumPy, shape (n,)."""
        return np.asarray(self.detections[name].to_numpy())

    def restricted_to(self, image_ids: frozenset[int]) -> Predictions:
        """The same answers for some of the images only."""
        wanted = pa.array(sorted(image_ids), pa.int64())
        keep = [pa.compute.is_in(t["image_id"], value_set=wanted) for t in (self.detections, self.images)]
        return Predictions(detections=self.detections.filter(keep[0]), images=self.images.filter(keep[1]))


def build(detections: dict[str, Any], images: dict[str, Any]) -> Predictions:
    """Make tables from columns, in canonical order and validated.

    Raises EvidenceError when a column is missing, a value does not fit, an image appears twice, or a
    detection belongs to an image that did not answer.
    """
    try:
        table = pa.table(detections, schema=DETECTIONS_SCHEMA)
        image_table = pa.table(images, schema=IMAGES_SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowTypeError, KeyError, TypeError) as error:
        raise EvidenceError(f"columns that do not form a detection table: {error}") from error
    return validated(canonical(table, image_table), where="predictions")


def canonical(detections: pa.Table, images: pa.Table) -> Predictions:
    """Sort both tables; ties are broken by category and box, never by arrival."""
    order: list[tuple[str, Literal["ascending", "descending"]]] = [
        ("image_id", "ascending"),
        ("score", "descending"),
        ("category_id", "ascending"),
    ]
    order += [(name, "ascending") for name in BOX_COLUMNS]
    return Predictions(
        detections=detections.sort_by(order).combine_chunks(),
        images=images.sort_by("image_id").combine_chunks(),
    )


def validated(predictions: Predictions, *, where: str) -> Predictions:
    """The same predictions, or EvidenceError naming everything that is wrong with them."""
    problems: list[str] = []
    for name, table, schema in (
        ("detection table", predictions.detections, DETECTIONS_SCHEMA),
        ("images table", predictions.images, IMAGES_SCHEMA),
    ):
        if not table.schema.equals(schema):
            problems.append(f"the {name} has columns {table.schema.names}, expected {schema.names}")
        elif any(table[column].null_count for column in schema.names):
            problems.append(f"the {name} has empty cells")
    if not problems:
        problems += _content_problems(predictions)
    if problems:
        raise EvidenceError(
            join_problems(problems), where=where, remedy="run `parity run` again; these tables cannot be used"
        )
    return predictions


def _content_problems(predictions: Predictions) -> list[str]:
    problems = []
    ids = predictions.images["image_id"].to_numpy()
    if len(np.unique(ids)) != len(ids):
        problems.append("the images table names an image twice")
    unknown = {str(s) for s in predictions.images["status"].to_pylist()} - {s.value for s in Status}
    if unknown:
        problems.append(f"unknown status {sorted(unknown)} in the images table")
    strangers = set(predictions.column("image_id").tolist()) - predictions.answered
    if strangers:
        problems.append(f"{len(strangers)} images have detections but no status ok, first {min(strangers)}")
    numbers = np.concatenate([predictions.boxes(), predictions.column("score")[:, None]], axis=1)
    if not np.isfinite(numbers).all():
        problems.append(f"{int((~np.isfinite(numbers)).any(axis=1).sum())} detections are not finite")
    return problems


def write(predictions: Predictions, folder: Path, side: str) -> None:
    """Store `<side>.detections.parquet` and `<side>.images.parquet`, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (("detections", predictions.detections), ("images", predictions.images)):
        target = folder / f"{side}.{name}.parquet"
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            pq.write_table(table, partial, write_page_checksum=True)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


def read(folder: Path, side: str) -> Predictions:
    """Load what `write` stored. Raises EvidenceError when a file is missing, truncated or no such table."""
    tables = []
    for name in ("detections", "images"):
        path = folder / f"{side}.{name}.parquet"
        try:
            tables.append(pq.read_table(path, page_checksum_verification=True))
        except FileNotFoundError as error:
            raise EvidenceError("no such file", where=str(path), remedy="run `parity run` first") from error
        except (pa.ArrowInvalid, OSError) as error:
            raise EvidenceError(
                f"not a readable Parquet file ({error})", where=str(path), remedy="run `parity run` again"
            ) from error
    return validated(Predictions(detections=tables[0], images=tables[1]), where=str(folder / side))
