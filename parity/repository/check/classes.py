"""The class names of a data set, read without its images: from COCO, a manifest, or YOLO's data.yaml."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from parity.config import DatasetConfig
from parity.repository.check.files import Unreadable, inside, read_limited, read_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST_ANNOTATIONS = 1 << 30
LARGEST_TEXT = 16 << 20


class _Category(TypedDict):
    id: int
    name: str


class _Document(TypedDict):
    """All that is read of a COCO file; the rest of it is skipped while decoding."""

    categories: list[_Category]


def class_names(config: DatasetConfig) -> tuple[str, ...]:
    """Names by category id, or by class index for YOLO. Raises Unreadable."""
    path = config.path
    try:
        if path.suffix in (".yaml", ".yml"):
            return _of_yolo(path)
        if path.is_dir():
            manifest = tomllib.loads(read_text(path / "manifest.toml", LARGEST_TEXT))
            annotations = inside(path, str(manifest.get("annotations", "")))
            if annotations is None:
                raise Unreadable("names no annotations inside its folder", path / "manifest.toml")
            path = annotations
        return _of_coco(path)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise Unreadable("no data set that tells its class names", path) from error


def _of_coco(path: Path) -> tuple[str, ...]:
    import msgspec

    document = msgspec.json.decode(read_limited(path, LARGEST_ANNOTATIONS), type=_Document)
    return tuple(category["name"] for category in sorted(document["categories"], key=lambda row: row["id"]))


def _of_yolo(path: Path) -> tuple[str, ...]:
    import yaml

    try:
        document: Any = yaml.safe_load(read_text(path, LARGEST_TEXT))
    except yaml.YAMLError as error:
        raise Unreadable("not YAML", path) from error
    names = document["names"]
    if isinstance(names, dict):
        names = [names[index] for index in sorted(names)]
    if not all(isinstance(name, (str, int)) for name in names):
        raise ValueError("a name that is no text")
    return tuple(str(name) for name in names)
