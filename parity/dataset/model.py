"""What a data set is once it is loaded, whatever format it had on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from parity.detections import Status


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """One image of a data set.

    file_name: as the annotations name it, relative to the image folder. path: resolved, inside the data
    set's folder. width, height: in pixels, upright, as annotated. sha256: what a manifest says of the file.
    """

    image_id: int
    file_name: str
    path: Path
    width: int
    height: int
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """All annotations, rows sorted by image_id, those of an image in the order of the file.

    The order decides between equal overlaps, as in pycocotools.

    boxes: float64 (n, 4) as `x, y, width, height` in pixels (COCO). areas: float64 (n,), COCO's `area`,
    square pixels. crowd: bool (n,), COCO's `iscrowd`.
    """

    image_ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images, categories and ground truth, with the digests that say exactly which.

    images: sorted by image_id. categories: category id to class name, sorted by id. digest: SHA-256 over
    the names and digests of all image files. annotations_digest: SHA-256 of the annotation file or files.
    """

    name: str
    folder: Path
    images: tuple[ImageRecord, ...]
    categories: dict[int, str]
    ground_truth: GroundTruth
    digest: str
    annotations_digest: str

    def category_of_class(self, names: tuple[str, ...]) -> NDArray[np.int64]:
        """Category ids in the order of a model's class names, shape (len(names),).

        The names must be exactly the categories' names; callers check that first.
        """
        by_name = {name: number for number, name in self.categories.items()}
        return np.array([by_name[name] for name in names], np.int64)


class ImageProblem(Exception):
    """One image cannot be used; the run goes on and the images table says why."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class ImageReader(Protocol):
    """Reads and checks one image at a time; safe to call from several threads."""

    def read(self, image: ImageRecord) -> NDArray[np.uint8]:
        """BGR pixels, uint8 (height, width, 3), upright. Raises ImageProblem."""
        ...

    def file(self, image: ImageRecord) -> bytes:
        """The encoded picture as it lies in the file, within the same limits. Raises ImageProblem."""
        ...
