"""Reads COCO annotations (`instances_*.json`) and checks them before anything runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from parity.dataset.model import GroundTruth, ImageRecord
from parity.errors import EvidenceError

MOST_PROBLEMS_SHOWN = 20
LARGEST_NUMBER = 1e300
BOX_TOLERANCE = 1.0
"""Pixels by which a box may leave its image: published COCO files round that far."""


class Problems:
    """Collects what is wrong, so that all of it is reported at once."""

    def __init__(self, where: Path, remedy: str = "mend the data set; nothing was run") -> None:
        self.where = where
        self.remedy = remedy
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        """Note one problem."""
        self.lines.append(line)

    def raise_if_any(self) -> None:
        """Raise EvidenceError with the first of the problems and their number."""
        if not self.lines:
            return
        shown = "\n".join(f"  - {line}" for line in self.lines[:MOST_PROBLEMS_SHOWN])
        more = len(self.lines) - MOST_PROBLEMS_SHOWN
        rest = f"\n  - and {more} more" if more > 0 else ""
        raise EvidenceError(
            f"{len(self.lines)} problem{'s' if len(self.lines) > 1 else ''}\n{shown}{rest}",
            where=str(self.where),
            remedy=self.remedy,
        )


def safe_path(root: Path, name: str) -> Path | None:
    """`root / name` resolved, or None when that is outside `root`, through links too, or no path."""
    if not name or "\0" in name:
        return None
    try:
        path = (root / name).resolve()
        path.is_file()  # names that the file system cannot hold fail here
    except (OSError, ValueError, RuntimeError):
        return None
    return path if path.is_relative_to(root) else None


def read(path: Path, images: Path) -> tuple[tuple[ImageRecord, ...], dict[int, str], GroundTruth]:
    """Images, categories and ground truth of a COCO file whose pictures are under `images`.

    Raises EvidenceError that names every problem: not JSON, lists missing or empty, duplicate ids, files
    that are missing or outside the folder, boxes outside their image, unknown images or categories.
    """
    document = _parse(path)
    problems = Problems(path)
    categories = read_categories(document["categories"], problems)
    records = _images(document["images"], images.resolve(), problems)
    truth = read_ground_truth(document["annotations"], {r.image_id: r for r in records}, categories, problems)
    problems.raise_if_any()
    return tuple(sorted(records, key=lambda r: r.image_id)), dict(sorted(categories.items())), truth


def _parse(path: Path) -> dict[str, list[Any]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EvidenceError(f"cannot be read: {error.strerror}", where=str(path)) from error
    document = parse_json(path, data)
    problems = Problems(path)
    require_lists(document, problems)
    problems.raise_if_any()
    result: dict[str, list[Any]] = document
    return result


def parse_json(path: Path, data: bytes) -> Any:
    """What the bytes of `path` hold. Raises EvidenceError when they are not JSON."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise EvidenceError(
            f"not JSON: {error}", where=str(path), expected="a COCO instances file"
        ) from error


def require_lists(document: Any, problems: Problems, *, may_be_empty: tuple[str, ...] = ()) -> None:
    """Note every one of COCO's three lists that is missing, is no list of objects, or is empty."""
    for key in ("images", "annotations", "categories"):
        value = document.get(key) if isinstance(document, dict) else None
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            problems.add(f"`{key}` is not a list of objects")
        elif not value and key not in may_be_empty:
            problems.add(f"`{key}` is empty; without it there is no ground truth")


def is_int(value: Any) -> bool:
    """An integer of 64 bits; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def read_categories(rows: list[Any], problems: Problems) -> dict[int, str]:
    """Category ids with their names, in the file's order; notes ids and names that are wrong or repeated."""
    found: dict[int, str] = {}
    for i, row in enumerate(rows):
        number, name = row.get("id"), row.get("name")
        if not is_int(number) or not isinstance(name, str) or not name:
            problems.add(f"categories[{i}] needs an integer `id` and a `name`")
        elif number in found:
            problems.add(f"categories[{i}] repeats id {number}")
        elif name in found.values():
            problems.add(f"categories[{i}] repeats name {name!r}")
        else:
            found[number] = name
    return found


def _images(rows: list[Any], root: Path, problems: Problems) -> list[ImageRecord]:
    records: list[ImageRecord] = []
    for i, row in enumerate(rows):
        number, name = row.get("id"), row.get("file_name")
        width, height = row.get("width"), row.get("height")
        if not (is_int(number) and isinstance(name, str) and is_int(width) and is_int(height)):
            problems.add(f"images[{i}] needs integers `id`, `width`, `height` and a `file_name`")
            continue
        if not (0 < width < 2**31 and 0 < height < 2**31):
            problems.add(f"images[{i}] ({name!r}) has size {width}x{height}")
            continue
        path = safe_path(root, name)
        if path is None:
            problems.add(f"images[{i}] names {name!r}, which leaves the folder {root}")
        elif not path.is_file():
            problems.add(f"images[{i}] names {name!r}, which is not a file in {root}")
        else:
            records.append(
                ImageRecord(image_id=number, file_name=name, path=path, width=width, height=height)
            )
    for path, count in Counter(record.path for record in records).items():
        if count > 1:
            problems.add(f"{count} images are the same file, {path.name!r}")
    for number, count in Counter(row.get("id") for row in rows if is_int(row.get("id"))).items():
        if count > 1:
            problems.add(f"{count} images have the id {number}")
    return records


def read_ground_truth(
    rows: list[Any],
    images: Mapping[int, ImageRecord | None],
    categories: dict[int, str],
    problems: Problems,
) -> GroundTruth:
    """The annotations' rows as arrays; notes all that are wrong.

    images: by id; a box must lie inside its image, or anywhere where the record is None. Images are only
    called unknown when no problem was noted before, because a faulty one is not among them.
    """
    kept: list[tuple[int, int, int, list[float], float, bool]] = []
    known_images_are_complete = not problems.lines
    for i, row in enumerate(rows):
        number, image_id, category = row.get("id"), row.get("image_id"), row.get("category_id")
        if not (is_int(number) and is_int(image_id) and is_int(category)):
            problems.add(f"annotations[{i}] needs integers `id`, `image_id` and `category_id`")
            continue
        fault = _row_fault(row)
        if fault:
            problems.add(f"annotations[{i}] (id {number}) {fault}")
            continue
        box, area, crowd = row["bbox"], row.get("area"), row.get("iscrowd", 0)
        area = box[2] * box[3] if area is None else area
        if category not in categories:
            problems.add(f"annotations[{i}] (id {number}) has the unknown category {category}")
        if image_id not in images:
            if known_images_are_complete:
                problems.add(f"annotations[{i}] (id {number}) belongs to the unknown image {image_id}")
            continue
        image = images[image_id]
        if image is not None and not _inside(box, image):
            problems.add(
                f"annotations[{i}] (id {number}) has the box {box}, outside {image.file_name!r} "
                f"of {image.width}x{image.height} pixels"
            )
        kept.append((image_id, number, category, box, float(area), bool(crowd)))
    repeated = [n for n, count in Counter(row[1] for row in kept).items() if count > 1]
    if repeated:
        problems.add(f"{len(repeated)} annotation ids are used twice, first {min(repeated)}")
    # Stable, so that of equal overlaps the one that pycocotools would take is taken.
    kept.sort(key=lambda row: row[0])
    return GroundTruth(
        image_ids=np.array([row[0] for row in kept], np.int64),
        category_ids=np.array([row[2] for row in kept], np.int64),
        boxes=np.array([row[3] for row in kept], np.float64).reshape(-1, 4),
        areas=np.array([row[4] for row in kept], np.float64),
        crowd=np.array([row[5] for row in kept], np.bool_),
    )


def _row_fault(row: dict[str, Any]) -> str:
    """What is wrong with an annotation's own values, "" when nothing is."""
    if not _is_box(row.get("bbox")):
        return "needs `bbox` as four finite numbers, width and height >= 0"
    area, crowd = row.get("area", 0), row.get("iscrowd", 0)
    if not is_number(area) or area < 0:
        return f"has area {area!r:.40}"
    if not isinstance(crowd, int) or crowd not in (0, 1):
        return f"has iscrowd {crowd!r:.40}, expected 0 or 1"
    return ""


def is_number(value: Any) -> bool:
    """A finite number that a float can hold; JSON's integers know no limit."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < LARGEST_NUMBER  # false for NaN too


def _is_box(box: Any) -> bool:
    if not isinstance(box, list) or len(box) != 4:
        return False
    if not all(map(is_number, box)):
        return False
    return bool(box[2] >= 0 and box[3] >= 0)


def _inside(box: list[float], image: ImageRecord) -> bool:
    x, y, w, h = box
    t = BOX_TOLERANCE
    return x >= -t and y >= -t and x + w <= image.width + t and y + h <= image.height + t
