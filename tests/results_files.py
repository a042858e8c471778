"""Annotation and results files for tests of `parity compare`, and pycocotools' answers to the files."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.coco_oracle import METRICS


@dataclass(frozen=True, kw_only=True)
class Files:
    """Three files that belong together."""

    annotations: Path
    reference: Path
    candidate: Path


def coco_document(
    images: int = 40, classes: int = 3, boxes: int = 6, seed: int = 0, crowds: float = 0.05
) -> dict[str, Any]:
    """A COCO document; ids neither begin at 1 nor ascend, numbers are no float32 ones."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for image in range(images):
        for _ in range(int(rng.integers(1, boxes + 1))):
            x, y = rng.uniform(0, 300, 2)
            w, h = np.exp(rng.normal(4, 0.8, 2)).clip(4, 300)
            rows.append(
                {
                    "id": 0,
                    "image_id": 100 + 7 * image,
                    "category_id": int(rng.integers(1, classes + 1)) * 10,
                    "bbox": [round(float(v), 3) for v in (x, y, w, h)],
                    "area": round(float(w * h * 0.8), 4),
                    "iscrowd": int(rng.random() < crowds),
                }
            )
    for row, number in zip(rows, rng.permutation(len(rows)) + 1, strict=True):
        row["id"] = int(number)
    return {
        "images": [
            {"id": 100 + 7 * i, "file_name": f"{i:06}.jpg", "width": 640, "height": 480, "scene": i // 4}
            for i in range(images)
        ],
        "categories": [{"id": 10 * (k + 1), "name": f"class {k}"} for k in range(classes)],
        "annotations": rows,
    }


def results(
    document: dict[str, Any], seed: int = 1, decimals: int = 6, extra: int = 6
) -> list[dict[str, Any]]:
    """Noisy copies of the boxes and false positives; with few decimals many scores are tied."""
    rng = np.random.default_rng(seed)
    rows = []
    for box in document["annotations"]:
        if rng.random() < 0.9:
            x, y, w, h = box["bbox"]
            shift = rng.normal(0, 0.06, 4) * (w, h, w, h)
            rows.append((box["image_id"], box["category_id"], np.array([x, y, w, h]) + shift, rng.beta(4, 2)))
    categories = [category["id"] for category in document["categories"]]
    for image in document["images"]:
        for _ in range(extra):
            where = np.array([*rng.uniform(0, 300, 2), *rng.uniform(5, 150, 2)])
            rows.append((image["id"], int(rng.choice(categories)), where, rng.beta(1, 4)))
    order = rng.permutation(len(rows))
    return [
        {
            "image_id": rows[i][0],
            "category_id": rows[i][1],
            "bbox": [round(float(v), 3) for v in np.maximum(rows[i][2], [-1e9, -1e9, 0, 0])],
            "score": round(float(rows[i][3]), decimals),
        }
        for i in order
    ]


def jittered(rows: list[dict[str, Any]], box: float, score: float, seed: int = 2) -> list[dict[str, Any]]:
    """A candidate that is nearly the reference."""
    rng = np.random.default_rng(seed)
    return [
        {
            **row,
            "bbox": [max(0.0, round(v + float(rng.normal(0, box)), 3)) for v in row["bbox"]],
            "score": round(float(np.clip(row["score"] + rng.normal(0, score), 0, 1)), 6),
        }
        for row in rows
    ]


def write(folder: Path, document: Any, reference: Any, candidate: Any) -> Files:
    """Store three documents as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(
        annotations=folder / "instances.json",
        reference=folder / "reference.json",
        candidate=folder / "candidate.json",
    )
    for path, content in (
        (files.annotations, document),
        (files.reference, reference),
        (files.candidate, candidate),
    ):
        path.write_text(json.dumps(content))
    return files


def pycocotools_on(
    files: Files, path: Path, *, most: int = 100
) -> tuple[dict[str, float | None], list[float | None]]:
    """Summary and AP by class of a results file, as anybody would have pycocotools compute them."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(files.annotations))
        evaluation = COCOeval(truth, truth.loadRes(str(path)), "bbox")
        evaluation.params.maxDets = [min(1, most), min(10, most), most]
        evaluation.evaluate()
        evaluation.accumulate()
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
    cells = [precision[:, :, :, 0, 2], precision[0, :, :, 0, 2], precision[5, :, :, 0, 2]]
    cells += [precision[:, :, :, area, 2] for area in (1, 2, 3)]
    cells += [recall[:, :, 0, place] for place in range(3)]
    values = {name: _mean(cell) for name, cell in zip(METRICS, cells, strict=True)}
    return values, [_mean(precision[:, :, k, 0, 2]) for k in range(precision.shape[2])]


def _mean(cell: np.ndarray) -> float | None:
    defined = cell[cell > -1]
    return float(defined.mean()) if defined.size else None
