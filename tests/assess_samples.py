"""Two sides over a data set of four images, small enough to count by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from parity.dataset import Dataset, GroundTruth, ImageRecord
from parity.detections import BOX_COLUMNS, Predictions, build

IDS = (1, 2, 3, 4)
CATEGORIES = {1: "cat", 2: "dog"}
BOX = (10.0, 10.0, 50.0, 50.0)
Row = tuple[int, int, float, tuple[float, float, float, float]]
"""Image, category, score, corners."""

TRUE: tuple[Row, ...] = tuple((image, 1, 0.9, BOX) for image in IDS)


def dataset(folder: Path) -> Dataset:
    """Grey pictures of 100 x 80 pixels, each with one cat at BOX."""
    images = []
    for image in IDS:
        path = folder / f"{image}.png"
        assert cv2.imwrite(str(path), np.full((80, 100, 3), 128, np.uint8))
        images.append(ImageRecord(image_id=image, file_name=path.name, path=path, width=100, height=80))
    n = len(IDS)
    truth = GroundTruth(
        image_ids=np.array(IDS, np.int64),
        category_ids=np.ones(n, np.int64),
        boxes=np.tile([10.0, 10.0, 40.0, 40.0], (n, 1)),
        areas=np.full(n, 1600.0),
        crowd=np.zeros(n, np.bool_),
    )
    return Dataset(
        name="four",
        folder=folder,
        images=tuple(images),
        categories=CATEGORIES,
        ground_truth=truth,
        digest="",
        annotations_digest="0" * 64,
    )


def side(rows: Sequence[Row], *, ids: Sequence[int] = IDS, failed: Sequence[int] = ()) -> Predictions:
    """A side that was asked for `ids` and answered all but `failed`."""
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    corners = np.array(columns[3], np.float32).reshape(-1, 4)
    n = len(ids)
    return build(
        {
            "image_id": columns[0],
            "category_id": columns[1],
            "score": columns[2],
            **{name: corners[:, i] for i, name in enumerate(BOX_COLUMNS)},
        },
        {
            "image_id": list(ids),
            "file_name": [f"{image}.png" for image in ids],
            "width": [100] * n,
            "height": [80] * n,
            "status": ["failed" if image in failed else "ok" for image in ids],
            "message": ["no answer" if image in failed else "" for image in ids],
            "nonfinite": [0] * n,
        },
    )
