"""Data sets: one door for manifests, COCO files and YOLO folders, verified before anything runs."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from parity.config import DatasetConfig
from parity.dataset import coco, yolo
from parity.dataset.coco import Problems, safe_path
from parity.dataset.images import OpenCvReader
from parity.dataset.model import Dataset, GroundTruth, ImageProblem, ImageReader, ImageRecord
from parity.errors import EvidenceError
from parity.progress import Progress, Silent
from parity.provenance import sha256_of_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Dataset", "GroundTruth", "ImageProblem", "ImageReader", "ImageRecord", "OpenCvReader", "load"]

MANIFEST = "manifest.toml"


def load(name: str, config: DatasetConfig, progress: Progress | None = None) -> Dataset:
    """Load and verify the data set that a run file describes.

    Raises EvidenceError when it is missing, damaged, inconsistent, or differs from its manifest.
    """
    progress = progress or Silent()
    path = config.path.resolve()
    if not path.exists():
        raise EvidenceError(
            "no such file or folder",
            where=f"data set {name!r}: {path}",
            expected="a folder with manifest.toml, a COCO instances_*.json, or a YOLO data.yaml",
        )
    if path.suffix in (".yaml", ".yml"):
        folder, images, categories, truth, digest = yolo.read(path, config.split)
        return _finish(name, folder, images, categories, truth, digest, {}, progress)
    manifest: dict[str, Any] = {}
    annotations = path
    if path.is_dir():
        manifest = _manifest(path)
        annotations = _inside(path, manifest, "annotations")
        image_root = _inside(path, manifest, "images")
    elif config.images is not None:
        image_root = config.images.resolve()
    else:
        image_root = _nearby_images(path)
    if not image_root.is_dir():
        raise EvidenceError(
            "no such image folder", where=str(image_root), remedy="set `images` in the run file"
        )
    expected = manifest.get("sha256", {})
    if "annotations" in manifest:
        _verify_annotations(path, annotations, expected)
    images, categories, truth = coco.read(annotations, image_root)
    folder = path if path.is_dir() else image_root
    return _finish(name, folder, images, categories, truth, sha256_of_file(annotations), expected, progress)


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EvidenceError(
            "the folder has no manifest.toml",
            where=str(folder),
            remedy="name the annotations file itself as `path`",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise EvidenceError(f"not TOML: {error}", where=str(path)) from error
    digests = manifest.get("sha256")
    if not isinstance(digests, dict) or not digests:
        raise EvidenceError("no digests", where=str(path), expected="a table [sha256] from file to SHA-256")
    return manifest


def _inside(folder: Path, manifest: dict[str, Any], key: str) -> Path:
    path = safe_path(folder, str(manifest.get(key, "")))
    if path is None or not path.exists():
        raise EvidenceError(
            f"`{key}` is {manifest.get(key)!r}",
            where=str(folder / MANIFEST),
            expected=f"a path inside {folder}",
        )
    return path


def _nearby_images(annotations: Path) -> Path:
    """The image folder of a COCO file that names none: `images/` beside it or one up, or the split's own."""
    split = annotations.stem.removeprefix("instances_")
    near = annotations.parent
    for place in (near / "images", near.parent / "images", near.parent / split, near / split):
        if place.is_dir():
            return place
    raise EvidenceError(
        "no image folder near it",
        where=str(annotations),
        remedy="set `images` of the data set in the run file",
    )


def _verify_annotations(folder: Path, annotations: Path, expected: dict[str, str]) -> None:
    key = annotations.relative_to(folder).as_posix()
    if expected.get(key) != sha256_of_file(annotations):
        raise EvidenceError(
            f"{key} is not the file that the manifest was made for",
            where=str(folder / MANIFEST),
            expected=f"SHA-256 {expected.get(key, 'missing in [sha256]')}",
            remedy="restore the file, or make the manifest again if the change is meant",
        )


def _finish(
    name: str,
    folder: Path,
    images: tuple[ImageRecord, ...],
    categories: dict[int, str],
    truth: GroundTruth,
    annotations_digest: str,
    expected: dict[str, str],
    progress: Progress,
) -> Dataset:
    """Digest every image and build the data set.

    With a manifest, each record carries the digest that its file must have; a picture that was changed
    gets a status when it is read, as any other picture that cannot be used.
    """
    combined = hashlib.sha256()
    problems = Problems(folder / MANIFEST)
    records = []
    with progress.step("verifying the data set", len(images)) as step:
        for image in images:
            combined.update(f"{image.file_name}\0{sha256_of_file(image.path)}\n".encode())
            digest = expected.get(image.path.relative_to(folder).as_posix()) if expected else None
            if expected and digest is None:
                problems.add(f"{image.file_name} is an image of the annotations, but not in [sha256]")
            records.append(replace(image, sha256=digest))
            step.advance()
    problems.raise_if_any()
    return Dataset(
        name=name,
        folder=folder,
        images=tuple(records),
        categories=categories,
        ground_truth=truth,
        digest=combined.hexdigest(),
        annotations_digest=annotations_digest,
    )
