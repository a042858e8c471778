"""Turns what files hold into what a comparison takes: a data set without pictures, and two sides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity import detections
from parity.accuracy.coco import Detections
from parity.assess import Side
from parity.dataset import Dataset, ImageProblem, ImageRecord
from parity.dataset.annotations import Annotations
from parity.detections import Status
from parity.imagesets import Chosen, Coverage
from parity.results import Results


class NoPictures:
    """Images that a comparison of files does not have."""

    def read(self, image: ImageRecord) -> NDArray[np.uint8]:
        """Say so."""
        raise ImageProblem(Status.MISSING, "a comparison of files has no pictures")

    def file(self, image: ImageRecord) -> bytes:
        """Say so."""
        raise ImageProblem(Status.MISSING, "a comparison of files has no pictures")


def coverage(results: Results) -> Coverage:
    """What a file says of images."""
    named = frozenset(np.unique(results.image_ids).tolist())
    tables = results.predictions
    if tables is None:
        return Coverage(name=str(results.path), named=named)
    return Coverage(name=str(results.path), named=named, attempted=tables.attempted, answered=tables.answered)


def dataset_of(annotations: Annotations) -> Dataset:
    """The annotations as a data set whose pictures nobody looks at."""
    folder = annotations.path.resolve().parent
    records = tuple(
        ImageRecord(
            image_id=image.image_id,
            file_name=image.file_name,
            path=folder / "no-picture",
            width=image.width or 1,
            height=image.height or 1,
        )
        for image in annotations.images
    )
    return Dataset(
        name=annotations.path.stem,
        folder=folder,
        images=records,
        categories=annotations.categories,
        ground_truth=annotations.ground_truth,
        digest="",
        annotations_digest=annotations.sha256,
    )


def side_of(results: Results, dataset: Dataset, chosen: Chosen, score_floor: float) -> Side:
    """The detections of the chosen images at or over the floor, as tables and as 64-bit numbers."""
    exact = Detections(
        image_ids=results.image_ids,
        category_ids=results.category_ids,
        scores=results.scores,
        boxes=results.boxes,
    )
    wanted = np.fromiter(sorted(chosen.images), np.int64)
    # As float32, so that the same detections in a table and in a results file are cut alike.
    reaches = exact.scores.astype(np.float32) >= np.float32(score_floor)
    exact = exact.kept(np.isin(exact.image_ids, wanted) & reaches)
    x, y, w, h = exact.boxes.T
    columns = {"score": exact.scores, "x1": x, "y1": y, "x2": x + w, "y2": y + h}
    detected = {
        "image_id": exact.image_ids,
        "category_id": exact.category_ids,
        **{name: values.astype(np.float32) for name, values in columns.items()},
    }
    return Side(predictions=detections.build(detected, _images(results, dataset, chosen)), detections=exact)


def _images(results: Results, dataset: Dataset, chosen: Chosen) -> dict[str, Any]:
    """Columns of the images table; a file that does not know is taken to have answered."""
    if results.predictions is not None:
        table = results.predictions.restricted_to(chosen.images).images
        return {name: table[name] for name in table.schema.names}
    records = [image for image in dataset.images if image.image_id in chosen.images]
    return {
        "image_id": [image.image_id for image in records],
        "file_name": [image.file_name for image in records],
        "width": [image.width for image in records],
        "height": [image.height for image in records],
        "status": [Status.OK.value] * len(records),
        "message": [""] * len(records),
        "nonfinite": [0] * len(records),
    }
