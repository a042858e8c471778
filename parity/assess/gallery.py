"""Chooses the images that tell most about how the sides differ, and lays both sides' boxes over them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from parity.agreement import Classified
from parity.dataset import Dataset, ImageProblem, ImageReader
from parity.report.document import Box, WorstImage
from parity.report.gallery import save_picture

MOST_IMAGES = 8
Kind = Literal["matched", "missing", "extra", "moved", "rescored"]


def worst_images(
    model: str,
    dataset: Dataset,
    reader: ImageReader,
    rows: pd.DataFrame,
    classified: Classified,
    folder: Path,
) -> list[WorstImage]:
    """At most `MOST_IMAGES`, most differing detections first, then lowest IoU; their pictures are saved.

    rows: the model's rows of images.csv. folder: of the report; pictures go to `<folder>/images`.
    """
    kinds = rows[["missing", "extra", "moved", "rescored"]].sum(axis=1)
    order = rows.assign(differing=kinds)
    order = order[(order["reference_detections"] > 0) | (order["candidate_detections"] > 0)]
    order = order.sort_values(
        ["differing", "lowest_iou", "image_id"], ascending=[False, True, True], na_position="last"
    )
    records = {image.image_id: image for image in dataset.images}
    found = []
    for row in order.head(MOST_IMAGES).itertuples():
        record = records[int(row.image_id)]
        picture: str | None = f"images/{model}-{record.image_id}.jpg"
        try:
            save_picture(reader.read(record), folder / str(picture))
        except ImageProblem:
            picture = None
        found.append(
            WorstImage(
                image_id=record.image_id,
                file_name=record.file_name,
                width=record.width,
                height=record.height,
                differing=int(row.differing),
                lowest_iou=None if pd.isna(row.lowest_iou) else float(row.lowest_iou),
                picture=picture,
                boxes=_boxes(record.image_id, dataset, classified),
            )
        )
    return found


def _boxes(image_id: int, dataset: Dataset, classified: Classified) -> list[Box]:
    matching = classified.matching
    boxes: list[Box] = []

    def add(side: Literal["reference", "candidate"], kind: Kind, row: int) -> None:
        table = getattr(matching, side)
        x1, y1, x2, y2 = (float(v) for v in table.boxes[row])
        boxes.append(
            Box(
                side=side,
                kind=kind,
                name=dataset.categories[int(table.category_ids[row])],
                score=float(table.scores[row]),
                x1=x1,
                y1=y1,
                x2=x2,
                y2=y2,
            )
        )

    for i in np.flatnonzero(matching.reference.image_ids[classified.reference_rows] == image_id):
        kind: Kind = "moved" if classified.moved[i] else "rescored" if classified.rescored[i] else "matched"
        add("reference", kind, int(classified.reference_rows[i]))
        add("candidate", kind, int(classified.candidate_rows[i]))
    for row in classified.missing_rows[matching.reference.image_ids[classified.missing_rows] == image_id]:
        add("reference", "missing", int(row))
    for row in classified.extra_rows[matching.candidate.image_ids[classified.extra_rows] == image_id]:
        add("candidate", "extra", int(row))
    return boxes
