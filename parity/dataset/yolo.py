"""Reads YOLO-format data sets: `data.yaml`, a folder of images and a folder of label files."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from parity.dataset.coco import Problems, safe_path
from parity.dataset.images import read_header
from parity.dataset.model import GroundTruth, ImageProblem, ImageRecord
from parity.errors import EvidenceError

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
LABEL_TOLERANCE = 0.01
"""How far, in shares of the image, a label may leave it before it counts as wrong."""


def read(path: Path, split: str) -> tuple[Path, tuple[ImageRecord, ...], dict[int, str], GroundTruth, str]:
    """Folder, images, categories, ground truth and the digest of all labels of one split.

    Category ids are the class indices plus one; image ids count from one in the order of file names. An
    image without a label file has no objects. Raises EvidenceError that names every problem.
    """
    document = _parse(path)
    problems = Problems(path)
    categories = _categories(document.get("names"), problems)
    root = _root(path, document)
    files = _image_files(document, split, root, problems)
    records: list[ImageRecord] = []
    rows: list[tuple[int, int, list[float]]] = []
    digest = hashlib.sha256(path.read_bytes())
    for file in files:
        image_id = len(records) + 1
        try:
            header = read_header(file.read_bytes())
            width, height = header.width, header.height
        except ImageProblem:
            width, height = 1, 1  # the run will give this image its status; here it only needs a row
        name = file.relative_to(root).as_posix()
        records.append(ImageRecord(image_id=image_id, file_name=name, path=file, width=width, height=height))
        label = _label_path(file, root)
        if label.is_file():
            text = label.read_bytes()
            digest.update(name.encode() + b"\0" + text)
            for category, box in _labels(text, label, width, height, len(categories), problems):
                rows.append((image_id, category, box))
    if records and not rows:
        problems.add(
            f"no label file of the split {split!r} holds a box; without them there is no ground truth"
        )
    problems.raise_if_any()
    boxes = np.array([row[2] for row in rows], np.float64).reshape(-1, 4)
    truth = GroundTruth(
        image_ids=np.array([row[0] for row in rows], np.int64),
        category_ids=np.array([row[1] for row in rows], np.int64),
        boxes=boxes,
        areas=boxes[:, 2] * boxes[:, 3],
        crowd=np.zeros(len(rows), np.bool_),
    )
    return root, tuple(records), categories, truth, digest.hexdigest()


def _parse(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EvidenceError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise EvidenceError(f"not YAML: {error}", where=str(path)) from error
    if not isinstance(document, dict):
        raise EvidenceError(
            "not a mapping", where=str(path), expected="a YOLO data.yaml with `names` and splits"
        )
    return document


def _root(path: Path, document: dict[str, Any]) -> Path:
    """The folder that `path` names, as Ultralytics reads it; every file must lie inside it."""
    try:
        root = (path.parent / str(document.get("path", "."))).resolve()
        found = root.is_dir()
    except (OSError, ValueError, RuntimeError):
        found = False
    if not found:
        raise EvidenceError(f"`path` is {document.get('path')!r}, which is no folder", where=str(path))
    return root


def _categories(names: Any, problems: Problems) -> dict[int, str]:
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names or set(names) != set(range(len(names))):
        problems.add("`names` must list the classes, numbered from 0 without gaps")
        return {}
    if len({str(name) for name in names.values()}) != len(names):
        problems.add("`names` holds a class twice")
    return {index + 1: str(names[index]) for index in range(len(names))}


def _image_files(document: dict[str, Any], split: str, root: Path, problems: Problems) -> list[Path]:
    entries = document.get(split)
    if entries is None:
        splits = [key for key in ("train", "val", "test") if key in document]
        problems.add(f"no split {split!r}; the file has {', '.join(splits) or 'none'}")
        return []
    found: set[Path] = set()
    for entry in entries if isinstance(entries, list) else [entries]:
        place = safe_path(root, str(entry))
        if place is None:
            problems.add(f"{split}: {entry!r} leaves the folder {root}")
        elif place.exists():
            for name in _listed(place, root):
                _keep(name, root, found, problems)
        else:
            problems.add(f"{split}: {entry!r} is neither a folder nor a list of images in {root}")
    if not found and not problems.lines:
        problems.add(f"the split {split!r} has no images")
    return sorted(found)


def _listed(place: Path, root: Path) -> list[str]:
    """Names of the images in a folder, or of those that a text file lists, relative to `root`."""
    if place.is_dir():
        return [f.relative_to(root).as_posix() for f in place.rglob("*") if f.suffix.lower() in SUFFIXES]
    lines = place.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip()]


def _keep(name: str, root: Path, found: set[Path], problems: Problems) -> None:
    file = safe_path(root, name)
    if file is None:
        problems.add(f"the image {name!r} leaves the folder {root}")
    elif not file.is_file():
        problems.add(f"the image {name!r} is not a file in {root}")
    else:
        found.add(file)


def _label_path(image: Path, root: Path) -> Path:
    """The label file of an image: the last folder called `images` becomes `labels` (Ultralytics' rule)."""
    parts = list(image.relative_to(root).with_suffix(".txt").parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return root.joinpath(*parts)


def _labels(
    text: bytes, label: Path, width: int, height: int, classes: int, problems: Problems
) -> list[tuple[int, list[float]]]:
    """Category and `x, y, width, height` in pixels of each row; polygons become the box around them."""
    rows = []
    for i, line in enumerate(text.decode("utf-8", "replace").splitlines(), start=1):
        cells = line.split()
        if not cells:
            continue
        try:
            numbers = [float(cell) for cell in cells]
        except ValueError:
            numbers = []
        if (
            len(numbers) < 5
            or (len(numbers) > 5 and len(numbers) % 2 == 0)
            or not all(map(math.isfinite, numbers))
        ):
            problems.add(f"{label} line {i}: expected `class cx cy width height` or a polygon")
            continue
        if numbers[0] not in range(classes):
            problems.add(f"{label} line {i}: class {cells[0]} of {classes} classes")
            continue
        if len(numbers) == 5:
            _, cx, cy, w, h = numbers
            x1, y1, x2, y2 = cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
        else:
            x1, y1, x2, y2 = min(numbers[1::2]), min(numbers[2::2]), max(numbers[1::2]), max(numbers[2::2])
        if x2 < x1 or y2 < y1 or min(x1, y1) < -LABEL_TOLERANCE or max(x2, y2) > 1 + LABEL_TOLERANCE:
            problems.add(f"{label} line {i}: the box leaves its image")
            continue
        rows.append((int(numbers[0]) + 1, [x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height]))
    return rows
