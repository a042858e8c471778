"""Reads COCO annotations alone, without their pictures: what results that were made elsewhere are held to.

The rules for ids and numbers are those of `coco.py`. What only matters to somebody who opens the pictures
is let through: boxes that leave their image, images without a size or a file name.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import msgspec
import numpy as np
from numpy.typing import NDArray

from parity.config import hint
from parity.dataset.coco import (
    Problems,
    is_int,
    parse_json,
    read_categories,
    read_ground_truth,
    require_lists,
)
from parity.dataset.model import GroundTruth
from parity.errors import EvidenceError, UsageError

LARGEST_FILE = 4 << 30
"""Bytes. A JSON file is decoded whole, in several times its size of memory."""


@dataclass(frozen=True, kw_only=True)
class AnnotatedImage:
    """One image as the annotations describe it.

    file_name: the id as text when the file gives none. width, height: in pixels, None when the file gives
    none or 0.
    """

    image_id: int
    file_name: str
    width: int | None
    height: int | None


@dataclass(frozen=True, kw_only=True)
class Annotations:
    """One COCO annotation file.

    sha256: of the file. images: sorted by id. categories: category id to name, sorted by id.
    ground_truth: without rows when the file annotates nothing. groups: int64, one label from 0 for each
    image in the order of `images`; None when no group was asked for.
    """

    path: Path
    sha256: str
    images: tuple[AnnotatedImage, ...]
    categories: dict[int, str]
    ground_truth: GroundTruth
    groups: NDArray[np.int64] | None


class _Annotation(TypedDict, total=False):
    """The fields that are read; segmentations, most of a file, are skipped while decoding."""

    id: Any
    image_id: Any
    category_id: Any
    bbox: Any
    area: Any
    iscrowd: Any


class _Document(TypedDict, total=False):
    images: list[dict[str, Any]]
    annotations: list[_Annotation]
    categories: list[dict[str, Any]]


_DECODER = msgspec.json.Decoder(_Document)


def read_annotations(path: Path, group: str | None = None) -> Annotations:
    """Read the images, categories and ground truth of a COCO file; no picture is opened.

    group: a field of the images' entries, such as `video_id`; images of equal value share a label.
    Raises EvidenceError that names every problem of the file, and UsageError when `group` is not a field
    of every image with an integer or a string.
    """
    data = read_bytes(path)
    document = _decode(path, data)
    problems = Problems(path, remedy="correct the annotation file; nothing was compared")
    require_lists(document, problems, may_be_empty=("annotations",))
    problems.raise_if_any()
    categories = read_categories(document["categories"], problems)
    for name in categories.values():
        if not _is_text(name):
            problems.add(f"category name {name!r:.60} is not valid Unicode")
    images = _images(document["images"], problems)
    known = dict.fromkeys(image.image_id for image in images)
    truth = read_ground_truth(document["annotations"], known, categories, problems)
    problems.raise_if_any()
    return Annotations(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        images=tuple(sorted(images, key=lambda image: image.image_id)),
        categories=dict(sorted(categories.items())),
        ground_truth=truth,
        groups=None if group is None else _groups(document["images"], group, path),
    )


def read_bytes(path: Path) -> bytes:
    """A whole file. Raises EvidenceError when it is missing, no file, empty, unreadable, or too large."""
    where = str(path)
    try:
        if path.is_dir():
            raise EvidenceError("a folder, not a file", where=where)
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            size = status.st_size
            # Pipes and devices have no size; there the limit is on what is read.
            most = -1 if stat.S_ISREG(status.st_mode) else LARGEST_FILE + 1
            data = b"" if size > LARGEST_FILE else file.read(most)
    except FileNotFoundError as error:
        raise EvidenceError("no such file", where=where) from error
    except OSError as error:
        raise EvidenceError(f"cannot be read: {error.strerror}", where=where) from error
    except (ValueError, MemoryError) as error:
        raise EvidenceError("cannot be read: it fits no path or no memory", where=where) from error
    if max(size, len(data)) > LARGEST_FILE:
        raise EvidenceError(
            f"{max(size, len(data)):,} bytes",
            where=where,
            expected=f"at most {LARGEST_FILE:,} bytes (4 GiB)",
            remedy="compare the images in parts, or store the detections as Parquet",
        )
    if not data.strip():
        raise EvidenceError("the file is empty", where=where, remedy="write the file again")
    return data


def _decode(path: Path, data: bytes) -> Any:
    try:
        return _DECODER.decode(data)
    except (ValueError, RecursionError):
        # The standard library takes more (NaN, a byte order mark), so that the checks can name the row.
        document = parse_json(path, data)
    except MemoryError as error:
        raise EvidenceError(f"{len(data):,} bytes that memory cannot hold", where=str(path)) from error
    if isinstance(document, list):
        raise EvidenceError(
            f"a list of {len(document):,} elements, which looks like detection results",
            where=str(path),
            expected="COCO annotations: an object with `images`, `annotations` and `categories`",
            remedy="give the annotation file here; the files may be swapped",
        )
    return document


def _images(rows: list[dict[str, Any]], problems: Problems) -> list[AnnotatedImage]:
    images: list[AnnotatedImage] = []
    for i, row in enumerate(rows):
        number: Any = row.get("id")
        name = row.get("file_name")
        if not is_int(number):
            problems.add(f"images[{i}] needs an integer `id`")
            continue
        if name is not None and not (isinstance(name, str) and name and _is_text(name)):
            problems.add(f"images[{i}] (id {number}) has the file_name {name!r:.60}")
            continue
        width, height = (row.get(side) or None for side in ("width", "height"))
        if not all(side is None or (is_int(side) and 0 < side < 2**31) for side in (width, height)):
            problems.add(f"images[{i}] (id {number}) has size {width!r:.40} x {height!r:.40}")
            continue
        name = str(number) if name is None else name
        images.append(AnnotatedImage(image_id=number, file_name=name, width=width, height=height))
    for number, count in Counter(row.get("id") for row in rows if is_int(row.get("id"))).items():
        if count > 1:
            problems.add(f"{count} images have the id {number}")
    return images


def _is_text(name: str) -> bool:
    """Whether a string can be written out; JSON's escapes allow half surrogate pairs."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _groups(rows: list[dict[str, Any]], field: str, path: Path) -> NDArray[np.int64]:
    ordered = sorted(rows, key=lambda row: int(row["id"]))
    values = [row.get(field) for row in ordered]
    missing = [row["id"] for row, value in zip(ordered, values, strict=True) if value is None]
    if missing:
        fields = _fields_of_all(ordered, but=field)
        raise UsageError(
            f"{len(missing)} of {len(rows)} images have no field {field!r}, first the image {missing[0]}"
            + (hint(field, fields) if fields else ""),
            where=str(path),
            expected="a field of every image, with an integer or a string that its group shares",
        )
    odd = [row["id"] for row, value in zip(ordered, values, strict=True) if not _is_label(value)]
    if odd:
        raise UsageError(
            f"{len(odd)} of {len(rows)} images have neither an integer nor a string as {field!r}, "
            f"first the image {odd[0]}",
            where=str(path),
        )
    labels: dict[Any, int] = {}
    return np.array([labels.setdefault(value, len(labels)) for value in values], np.int64)


def _is_label(value: Any) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _fields_of_all(rows: list[dict[str, Any]], *, but: str) -> list[str]:
    """The fields that could be a group: in every image, with an integer or a string."""
    names = [name for name in rows[0] if name not in ("id", but)]
    return [name for name in names if all(_is_label(row.get(name)) for row in rows)]
