"""The rows of images.csv and differences.csv."""

from __future__ import annotations

import numpy as np
import pandas as pd

from parity.agreement import Classified
from parity.agreement import differences as difference_rows
from parity.dataset import Dataset
from parity.detections import Predictions, Status
from parity.report.tables import DIFFERENCES_COLUMNS, IMAGES_COLUMNS


def images(
    model: str, reference: Predictions, candidate: Predictions, classified: Classified
) -> pd.DataFrame:
    """One row an image, columns IMAGES_COLUMNS; counts are empty where a side did not answer."""
    frame = reference.images.to_pandas()[["image_id", "file_name", "status", "message"]]
    frame = frame.rename(columns={"status": "reference_status", "message": "reference_message"})
    other = candidate.images.to_pandas()[["image_id", "status", "message"]]
    other = other.rename(columns={"status": "candidate_status", "message": "candidate_message"})
    frame = frame.merge(other, on="image_id", validate="one_to_one").sort_values(
        "image_id", ignore_index=True
    )
    frame.insert(0, "model", model)
    ids = frame["image_id"].to_numpy()
    ok = Status.OK.value
    both = ((frame["reference_status"] == ok) & (frame["candidate_status"] == ok)).to_numpy()
    matching = classified.matching
    pairs = matching.reference.image_ids[classified.reference_rows]
    counted = {
        "reference_detections": _reaching(classified, "reference"),
        "candidate_detections": _reaching(classified, "candidate"),
        "matched": pairs,
        "missing": matching.reference.image_ids[classified.missing_rows],
        "extra": matching.candidate.image_ids[classified.extra_rows],
        "moved": pairs[classified.moved],
        "rescored": pairs[classified.rescored],
    }
    for name, found in counted.items():
        numbers, counts = np.unique(found, return_counts=True)
        by_image = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
        values = [by_image.get(i, 0) for i in ids.tolist()]
        frame[name] = pd.array(np.where(both, values, 0), dtype="Int64")
        frame.loc[~both, name] = pd.NA
    lowest = pd.Series(classified.iou, dtype="float64").groupby(pairs).min()
    frame["lowest_iou"] = frame["image_id"].map(lowest)
    chosen: pd.DataFrame = frame[list(IMAGES_COLUMNS)]
    return chosen


def _reaching(classified: Classified, side: str) -> np.ndarray:
    """Image id of each detection of a side that reaches the compared score."""
    rows = getattr(classified.matching, side)
    return np.asarray(rows.image_ids[rows.compared & (rows.scores >= np.float32(classified.matching.score))])


def differences(model: str, dataset: Dataset, classified: Classified) -> pd.DataFrame:
    """One row a differing detection, columns DIFFERENCES_COLUMNS."""
    frame = difference_rows(classified).to_pandas()
    names = {image.image_id: image.file_name for image in dataset.images}
    frame["model"] = model
    frame["file_name"] = frame["image_id"].map(names)
    frame["category"] = frame["category_id"].map(dataset.categories)
    chosen: pd.DataFrame = frame[list(DIFFERENCES_COLUMNS)]
    return chosen
