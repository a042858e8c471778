"""What a file of detections holds once it is read, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from parity.detections import Predictions

Kind = Literal["coco-results", "ultralytics-predictions", "parity-tables"]


@dataclass(frozen=True, kw_only=True)
class Results:
    """One side's detections as a file gave them, in the file's order.

    Every image and category is one of the annotations'; all numbers are finite.
    path: the JSON file, or the Parquet file of the detection table. sha256: of that file.
    kind: `ultralytics-predictions` when images were named by their file's stem.
    image_ids, category_ids: int64 (n,). scores: float64 (n,), from 0 to 1.
    boxes: float64 (n, 4), `x, y, width, height` in pixels, width and height at least 0: the file's own
    numbers, or what float64 makes of the corners of parity's tables.
    predictions: both of parity's tables as read; None for other formats, which do not say what was tried.
    """

    path: Path
    sha256: str
    kind: Kind
    image_ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    scores: NDArray[np.float64]
    boxes: NDArray[np.float64]
    predictions: Predictions | None
