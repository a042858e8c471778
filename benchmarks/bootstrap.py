"""Times one COCO evaluation of both sides, and their paired bootstrap, on a case shaped like val2017.

Run it as `python benchmarks/bootstrap.py --images 1000`. pycocotools and hotcoco are timed on evaluation
and accumulation only, without loading their results, while parity's times begin at the Arrow tables.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from parity.accuracy.bootstrap import paired_bootstrap
from parity.accuracy.coco import evaluate, index_truth
from parity.dataset import GroundTruth
from parity.detections import DETECTIONS_SCHEMA, canonical
from parity.matching import match

CLASSES = 80


def made_truth(rng: np.random.Generator, images: int) -> GroundTruth:
    """About 7.3 boxes an image; a third of them are of the commonest class, as in COCO."""
    n = int(7.3 * images)
    popularity = 1 / np.arange(1, CLASSES + 1) ** 0.9
    sizes = np.exp(rng.normal(4, 0.9, (n, 2))).clip(4, 500)
    return GroundTruth(
        image_ids=np.sort(rng.integers(0, images, n)) * 97 + 139,
        category_ids=rng.choice(CLASSES, n, p=popularity / popularity.sum()) + 1,
        boxes=np.concatenate([rng.uniform(0, 400, (n, 2)), sizes], axis=1),
        areas=sizes.prod(axis=1) * 0.7,
        crowd=rng.random(n) < 0.012,
    )


def made_detections(
    rng: np.random.Generator, truth: GroundTruth, images: int, per_image: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Noisy copies of the ground truth, filled up with false positives of low score."""
    hit = rng.random(len(truth.areas)) < 0.8
    noise = np.exp(rng.normal(-2.7, 1, (int(hit.sum()), 1)))
    noise *= truth.boxes[hit][:, 2:].mean(axis=1, keepdims=True)
    corners = truth.boxes[hit].copy()
    corners[:, 2:] += corners[:, :2]
    corners += rng.normal(0, 1, corners.shape) * noise
    false = images * per_image - len(corners)
    places = rng.uniform(0, 400, (false, 2))
    corners = np.concatenate([corners, np.concatenate([places, places + rng.uniform(5, 200, (false, 2))], 1)])
    return (
        np.concatenate([truth.image_ids[hit], rng.integers(0, images, false) * 97 + 139]),
        np.concatenate([truth.category_ids[hit], rng.choice(truth.category_ids, false)]),
        np.concatenate([rng.beta(3, 2, len(noise)), rng.beta(0.4, 6, false)]).astype(np.float32),
        corners.astype(np.float32),
    )


def as_table(
    ids: NDArray[np.int64],
    classes: NDArray[np.int64],
    scores: NDArray[np.float32],
    corners: NDArray[np.float32],
) -> pa.Table:
    """A canonical detection table."""
    columns = [pa.array(np.ascontiguousarray(column)) for column in (ids, classes, scores, *corners.T)]
    table = pa.table(columns, schema=DETECTIONS_SCHEMA)
    return canonical(table, pa.table({"image_id": pa.array(np.unique(ids))})).detections


def timed(action: Callable[[], Any], repeats: int = 1) -> tuple[float, Any]:
    """Fewest seconds of several runs, and the last result."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        result = action()
        best = min(best, time.perf_counter() - start)
    return best, result


def coco_dicts(
    truth: GroundTruth, tables: list[pa.Table]
) -> tuple[dict[str, Any], list[list[dict[str, Any]]]]:
    """The same case as COCO dictionaries."""
    rows = zip(
        truth.image_ids.tolist(), truth.category_ids.tolist(), truth.boxes.tolist(), truth.areas.tolist(),
        truth.crowd.tolist(), strict=True,
    )  # fmt: skip
    data = {
        "info": {},
        "images": [{"id": i, "width": 640, "height": 640} for i in np.unique(truth.image_ids).tolist()],
        "categories": [{"id": i + 1, "name": str(i + 1)} for i in range(CLASSES)],
        "annotations": [
            {"id": n + 1, "image_id": i, "category_id": c, "bbox": b, "area": a, "iscrowd": int(crowd)}
            for n, (i, c, b, a, crowd) in enumerate(rows)
        ],
    }
    images = set(truth.image_ids.tolist())
    results = [
        [
            {
                "image_id": r["image_id"],
                "category_id": r["category_id"],
                "score": r["score"],
                "bbox": [r["x1"], r["y1"], r["x2"] - r["x1"], r["y2"] - r["y1"]],
            }
            for r in table.to_pylist()
            if r["image_id"] in images
        ]
        for table in tables
    ]
    return data, results


def other_evaluator(
    name: str, data: dict[str, Any], results: list[list[dict[str, Any]]]
) -> tuple[float, float]:
    """Seconds that pycocotools or hotcoco needs for both sides, and the first side's AP."""
    quiet = contextlib.redirect_stdout(io.StringIO())
    with quiet:
        if name == "hotcoco":
            import hotcoco as library

            evaluator = library.COCOeval
            truth = library.COCO(data)
            found = [truth.load_res(rows) for rows in results]
        else:
            from pycocotools.coco import COCO
            from pycocotools.cocoeval import COCOeval

            evaluator = COCOeval
            truth = COCO()
            truth.dataset = data
            truth.createIndex()
            found = [truth.loadRes(rows) for rows in results]

        def both() -> float:
            first = 0.0
            for side in reversed(found):
                evaluation = evaluator(truth, side, "bbox")
                evaluation.evaluate()
                evaluation.accumulate()
                evaluation.summarize()
                first = float(evaluation.stats[0])
            return first

        return timed(both, 5 if name == "hotcoco" else 1)


def main() -> None:
    """Print every time and ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--detections", type=int, default=100, help="detections an image and side")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without-others", action="store_true", help="parity only")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    truth = made_truth(rng, options.images)
    ids, classes, scores, corners = made_detections(rng, truth, options.images, options.detections)
    tables = [
        as_table(ids, classes, scores, corners),
        as_table(
            ids,
            classes,
            scores + rng.normal(0, 1e-3, len(scores)).astype(np.float32),
            corners + rng.normal(0, 0.1, corners.shape).astype(np.float32),
        ),
    ]
    image_ids = np.unique(truth.image_ids)

    def both() -> Any:
        index = index_truth(truth, image_ids=image_ids, category_ids=range(1, CLASSES + 1))
        return [evaluate(index, table) for table in tables]

    print(f"{options.images} images, {tables[0].num_rows} detections a side, {options.resamples} resamples")
    print(f"first evaluation, with compiling or loading the code: {timed(both)[0]:.2f} s")
    own, sides = timed(both, 5)
    print(f"parity       {own:9.3f} s for both sides   AP {sides[0].values['AP']:.12f}")
    if not options.without_others:
        data, results = coco_dicts(truth, tables)
        for name in ("hotcoco", "pycocotools"):
            seconds, precision = other_evaluator(name, data, results)
            ratio = f"{seconds / own:.1f} x parity"
            print(f"{name:12} {seconds:9.3f} s for both sides   AP {precision:.12f}   {ratio}")
    paired_bootstrap(*sides, resamples=2)
    seconds, samples = timed(lambda: paired_bootstrap(*sides, resamples=options.resamples))
    print(f"bootstrap    {seconds:9.3f} s, {seconds / own:.1f} evaluations of both sides")
    difference = np.diff(np.stack([samples.reference[:, 0], samples.candidate[:, 0]]), axis=0)
    print(f"             AP difference has standard error {difference.std():.6f}")
    match(tables[0].slice(0, 10), tables[1].slice(0, 10), image_ids=image_ids)
    seconds, _ = timed(lambda: match(tables[0], tables[1], image_ids=image_ids))
    print(f"matching     {seconds:9.3f} s")
    print(
        f"peak memory  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:9.0f} MiB, all of the above"
    )


if __name__ == "__main__":
    main()
