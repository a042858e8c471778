"""Detection cases for tests, and pycocotools' and hotcoco's answers to them.

The answers are made from plain dictionaries, by another way than parity's own loading.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from parity.dataset import GroundTruth
from parity.detections import DETECTIONS_SCHEMA

METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One data set and one side's answers.

    truth: rows of image, class, x, y, w, h, area, crowd. detections: rows of image, class, score, corners.
    """

    image_ids: tuple[int, ...]
    category_ids: tuple[int, ...]
    truth: np.ndarray
    detections: np.ndarray

    def ground_truth(self) -> GroundTruth:
        rows = self.truth[np.argsort(self.truth[:, 0], kind="stable")]
        return GroundTruth(
            image_ids=rows[:, 0].astype(np.int64),
            category_ids=rows[:, 1].astype(np.int64),
            boxes=rows[:, 2:6].copy(),
            areas=rows[:, 6].copy(),
            crowd=rows[:, 7].astype(bool),
        )

    def table(self) -> pa.Table:
        return table_of(self.detections)

    def drawn(self, weights: np.ndarray) -> Case:
        """The data set in which each image is really copied as often as its weight says, copies adjacent."""
        truth: list[np.ndarray] = []
        found: list[np.ndarray] = []
        new_id = 1000
        for image, weight in zip(sorted(self.image_ids), weights, strict=True):
            for _ in range(int(weight)):
                for rows, target in ((self.truth, truth), (self.detections, found)):
                    copy = rows[rows[:, 0] == image].copy()
                    copy[:, 0] = new_id
                    target.append(copy)
                new_id += 1
        return replace(
            self,
            image_ids=tuple(range(1000, new_id)),
            truth=np.concatenate([np.zeros((0, 8)), *truth]),
            detections=np.concatenate([np.zeros((0, 7)), *found]),
        )


def table_of(rows: np.ndarray) -> pa.Table:
    """A detection table of rows (image, class, score, x1, y1, x2, y2), in the order given."""
    return pa.table(
        {
            field.name: pa.array(rows[:, i].astype(np.int64 if i < 2 else np.float32))
            for i, field in enumerate(DETECTIONS_SCHEMA)
        },
        schema=DETECTIONS_SCHEMA,
    )


def random_case(
    seed: int,
    *,
    images: int = 6,
    classes: int = 3,
    boxes: int = 4,
    detections: int = 12,
    score_levels: int = 6,
    degenerate: bool = True,
    size: int = 300,
    crowds: float = 0.15,
) -> Case:
    """A case with ties, crowds, zero-area boxes, boxes of every size, and empty images and classes."""
    rng = np.random.default_rng(seed)
    image_ids = tuple(int(i) for i in rng.choice(900, images, replace=False) + 1)
    truth, found = [], []
    for image in image_ids:
        for _ in range(rng.integers(0, boxes + 1)):
            x, y = rng.integers(0, size, 2)
            w, h = rng.choice([0, 4, 16, 32, 32, 60, 96, 150], 2) if degenerate else rng.integers(8, 150, 2)
            area = w * h * rng.choice([1, 1, 0.7])
            truth.append([image, rng.integers(1, classes + 1), x, y, w, h, area, rng.random() < crowds])
        own = [row for row in truth if row[0] == image]
        for _ in range(rng.integers(0, detections + 1)):
            if own and rng.random() < 0.7:
                _, category, x, y, w, h, _, _ = own[rng.integers(len(own))]
                jitter = rng.integers(-1, 2, 4) * rng.choice([0, 1, 3, 8])
                corners = np.array([x, y, x + w, y + h]) + jitter + rng.choice([0, 0.3])
                category = category if rng.random() < 0.9 else rng.integers(1, classes + 1)
            else:
                x, y = rng.integers(0, size, 2)
                corners = np.array([x, y, x + rng.integers(0, 120), y + rng.integers(0, 120)])
                category = rng.integers(1, classes + 1)
            score = rng.integers(0, score_levels) / score_levels if score_levels else rng.random()
            found.append([image, category, score, *corners])
    detections_array = np.array(found, float).reshape(-1, 7)
    detections_array[:, 2:] = detections_array[:, 2:].astype(np.float32)
    return Case(
        image_ids=image_ids,
        category_ids=tuple(range(1, classes + 2)),  # one class never occurs
        truth=np.array(truth, float).reshape(-1, 8),
        detections=detections_array,
    )


def as_dicts(case: Case) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A COCO data set and a list of results."""
    annotations = [
        {
            "id": i + 1,
            "image_id": int(row[0]),
            "category_id": int(row[1]),
            "bbox": [float(v) for v in row[2:6]],
            "area": float(row[6]),
            "iscrowd": int(row[7]),
        }
        for i, row in enumerate(case.truth)
    ]
    results = []
    for row in case.detections:
        x1, y1, x2, y2 = (float(v) for v in row[3:7])
        box = [x1, y1, x2 - x1, y2 - y1]
        results.append(
            {"image_id": int(row[0]), "category_id": int(row[1]), "score": float(row[2]), "bbox": box}
        )
    data = {
        "info": {},
        "images": [{"id": i, "width": 640, "height": 640} for i in case.image_ids],
        "categories": [{"id": i, "name": str(i)} for i in case.category_ids],
        "annotations": annotations,
    }
    return data, results


def pycocotools_evaluation(case: Case, *, image_ids: Any = None) -> COCOeval:
    """pycocotools, run to the end, silently."""
    data, results = as_dicts(case)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = data
        truth.createIndex()
        if results:
            found = truth.loadRes(results)
        else:
            found = COCO()
            found.dataset = {**data, "annotations": []}
            found.createIndex()
        evaluation = COCOeval(truth, found, "bbox")
        if image_ids is not None:
            evaluation.params.imgIds = list(image_ids)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def pycocotools_values(evaluation: COCOeval) -> dict[str, float | None]:
    """Its summary, with -1 as None."""
    return {
        name: None if v == -1 else float(v) for name, v in zip(METRICS, evaluation.stats[:9], strict=True)
    }


def pycocotools_class_ap(evaluation: COCOeval) -> list[float | None]:
    """AP@[.50:.95] by class, with -1 as None."""
    precision = evaluation.eval["precision"][:, :, :, 0, 2]
    return [
        None if (precision[:, :, k] == -1).all() else float(precision[:, :, k].mean())
        for k in range(precision.shape[2])
    ]


def hotcoco_values(case: Case) -> dict[str, float | None]:
    """The summary of hotcoco, with -1 as None."""
    import hotcoco

    data, results = as_dicts(case)
    truth = hotcoco.COCO(data)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = hotcoco.COCOeval(truth, truth.load_res(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {
        name: None if v == -1 else float(v) for name, v in zip(METRICS, evaluation.stats[:9], strict=True)
    }
