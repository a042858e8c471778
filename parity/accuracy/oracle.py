"""pycocotools itself, for people who want to see it agree: `parity compare --evaluator pycocotools`."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from typing import Any

import numpy as np

from parity.accuracy.coco import METRICS, Evaluation
from parity.accuracy.inputs import Detections, IndexedTruth
from parity.errors import UsageError
from parity.provenance import package_version

_AREAS = {"APs": 1, "APm": 2, "APl": 3}


def pycocotools_version() -> str:
    """Its version. Raises UsageError when it is not installed."""
    version = package_version("pycocotools")
    if version is None:
        raise UsageError(
            "pycocotools is not installed",
            where="--evaluator pycocotools",
            remedy="pip install 'triton-parity[pycocotools]'",
        )
    return version


def with_pycocotools(own: Evaluation, detections: Detections, max_detections: int) -> Evaluation:
    """The same evaluation with pycocotools' values for the summary and for every class.

    The matches, which the intervals are made from, stay this package's own. Slow: see `benchmarks/`.
    """
    truth = own.truth
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = _evaluated(truth, detections, max_detections)
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
    columns: dict[str, Any] = {
        "AP": precision[:, :, :, 0, 2],
        "AP50": precision[0, :, :, 0, 2],
        "AP75": precision[5, :, :, 0, 2],
        **{name: precision[:, :, :, area, 2] for name, area in _AREAS.items()},
        **{name: recall[:, :, 0, place] for place, name in enumerate(("AR1", "AR10", "AR100"))},
    }
    values = {name: _mean(columns[name]) for name in METRICS}
    classes = tuple(_mean(precision[:, :, k, 0, 2]) for k in range(len(truth.category_ids)))
    return replace(own, values=values, class_ap=classes)


def _mean(cells: Any) -> float | None:
    """Pycocotools marks what is undefined with -1."""
    defined = cells[cells > -1]
    return float(np.mean(defined)) if defined.size else None


def _evaluated(truth: IndexedTruth, detections: Detections, max_detections: int) -> Any:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    ground = COCO()
    class_of_row = np.repeat(np.arange(len(truth.category_ids)), np.diff(truth.starts))
    ground.dataset = {
        "images": [{"id": int(image_id)} for image_id in truth.image_ids],
        "categories": [{"id": int(category_id)} for category_id in truth.category_ids],
        "annotations": [
            {
                "id": row + 1,
                "image_id": int(truth.image_ids[truth.images[row]]),
                "category_id": int(truth.category_ids[class_of_row[row]]),
                "bbox": truth.boxes[row].tolist(),
                "area": float(truth.areas[row]),
                "iscrowd": int(truth.crowd[row]),
            }
            for row in range(len(truth.areas))
        ],
    }
    ground.createIndex()
    known = np.isin(detections.image_ids, truth.image_ids)
    found = COCO()
    found.dataset = {
        **ground.dataset,
        "annotations": [
            {
                "id": row + 1,
                "image_id": int(detections.image_ids[row]),
                "category_id": int(detections.category_ids[row]),
                "bbox": detections.boxes[row].tolist(),
                "area": float(detections.boxes[row, 2] * detections.boxes[row, 3]),
                "score": float(detections.scores[row]),
                "iscrowd": 0,
            }
            for row in np.flatnonzero(known)
        ],
    }
    found.createIndex()
    evaluation = COCOeval(ground, found, "bbox")
    evaluation.params.imgIds = truth.image_ids.tolist()
    evaluation.params.catIds = truth.category_ids.tolist()
    evaluation.params.maxDets = [min(most, max_detections) for most in (1, 10, max_detections)]
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation
