"""Pairs of made-up detectors on a made-up data set of COCO val2017's size and shape, in memory and as files.

    python -m benchmarks.pairs FOLDER --images 5000 --detections 100

writes annotations.json, reference.json and candidate.json with the digits that exporters write.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.accuracy.coco import Detections
from parity.dataset import GroundTruth
from parity.simulation import jitter, simulate

IMAGE_SIZES = ((640, 480), (480, 640), (640, 427), (427, 640), (500, 375), (640, 640))
SHARE_OF_PERSON = 0.30
RAREST = 9 / 36_335
"""Boxes of val2017's rarest class, hair drier and toaster, among all."""
AREA_SHARES = (0.41, 0.34, 0.25)
"""Small, medium and large boxes in COCO; limits at 32 x 32 and 96 x 96 pixels."""
ROWS_AT_ONCE = 100_000


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A data set without pictures. sizes: width and height in pixels by image id. names: by category id."""

    truth: GroundTruth
    sizes: dict[int, tuple[int, int]]
    names: dict[int, str]


def val2017_like(
    images: int = 5000,
    *,
    boxes_per_image: float = 7.4,
    classes: int = 80,
    crowd: float = 0.01,
    seed: int = 0,
) -> Scene:
    """Draw a data set with COCO val2017's sizes of boxes, frequencies of classes and boxes in an image.

    The first class has SHARE_OF_PERSON of all boxes; the others fall geometrically to the rarest, of which
    every class has at least one. Image ids have gaps. crowd: share of crowd regions, which are large.
    """
    rng = np.random.default_rng(seed)
    ids = 139 + np.cumsum(rng.integers(1, 230, images))
    sizes = np.array(IMAGE_SIZES)[rng.integers(0, len(IMAGE_SIZES), images)]
    # Many images have few boxes, some have 30, and a hundredth has none.
    counts = 1 + rng.poisson(max(boxes_per_image - 1, 0) * rng.gamma(1.0, 1.0, images))
    counts[rng.random(images) < 0.01] = 0
    at = np.repeat(np.arange(images), counts)
    n = len(at)
    category = rng.choice(classes, n, p=class_shares(classes)) + 1
    category[rng.permutation(n)[: min(classes, n)]] = np.arange(1, min(classes, n) + 1)
    crowds = rng.random(n) < crowd
    boxes = _boxes(rng, sizes[at].astype(np.float64), crowds)
    # A mask covers some three fifths of its box, and `area` is the mask's.
    areas = boxes[:, 2:].prod(axis=1) * rng.beta(9, 6, n)
    return Scene(
        truth=GroundTruth(
            image_ids=ids[at],
            category_ids=category.astype(np.int64),
            boxes=boxes.round(2),
            areas=areas.round(4),
            crowd=crowds,
        ),
        sizes={int(i): (int(w), int(h)) for i, (w, h) in zip(ids, sizes, strict=True)},
        names={k: f"class {k}" for k in range(1, classes + 1)},
    )


def class_shares(classes: int) -> NDArray[np.float64]:
    """Share of every class, float64 (classes,), adding up to 1."""
    if classes == 1:
        return np.ones(1)
    # Ratio of neighbours that leaves 1 - SHARE_OF_PERSON for the others: found by halving.
    low, high = 1e-9, 1.0
    for _ in range(60):
        first = (low + high) / 2
        tail = np.geomspace(first, min(RAREST, first), classes - 1)
        low, high = (first, high) if tail.sum() < 1 - SHARE_OF_PERSON else (low, first)
    shares = np.concatenate([[SHARE_OF_PERSON], tail])
    return np.asarray(shares / shares.sum(), np.float64)


def _boxes(
    rng: np.random.Generator, sizes: NDArray[np.float64], crowds: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Boxes inside images of these sizes; the mask's area, 0.6 of the box's, follows AREA_SHARES."""
    n = len(sizes)
    kind = rng.choice(3, n, p=AREA_SHARES)
    kind[crowds] = 2
    side = np.exp(rng.uniform(np.log([6, 32, 96])[kind], np.log([32, 96, 400])[kind])) / np.sqrt(0.6)
    stretch = np.exp(rng.normal(0, 0.45, n))
    sides = np.stack([side * stretch, side / stretch], axis=1)
    sides = np.minimum(sides, sizes * 0.98)
    return np.concatenate([rng.uniform(0, 1, (n, 2)) * (sizes - sides), sides], axis=1)


def pair_of(scene: Scene, *, per_image: int = 100, seed: int = 0) -> tuple[Detections, Detections]:
    """A reference, and a candidate with the drift of a coarse conversion, in the digits of a results file."""
    reference = simulate(scene.truth, scene.sizes, scene.names, per_image=per_image, seed=seed)
    candidate = jitter(reference, box_pixels=0.1, score=0.02, drop=0.001, seed=seed + 1)
    return as_written(reference), as_written(candidate)


def as_written(detections: Detections) -> Detections:
    """Scores of 5 decimals, boxes of 3."""
    return Detections(
        image_ids=detections.image_ids,
        category_ids=detections.category_ids,
        scores=detections.scores.round(5),
        boxes=detections.boxes.round(3),
    )


def as_array(detections: Detections) -> NDArray[np.float64]:
    """What pycocotools and its kin take: float64 (n, 7), image, x, y, width, height, score, class."""
    columns = [detections.image_ids[:, None], detections.boxes, detections.scores[:, None]]
    return np.concatenate([*columns, detections.category_ids[:, None]], axis=1).astype(np.float64)


def as_coco(scene: Scene) -> dict[str, Any]:
    """The ground truth as COCO's dictionary."""
    truth = scene.truth
    columns = (truth.image_ids, truth.category_ids, truth.boxes, truth.areas, truth.crowd.astype(int))
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {
        "info": {},
        "images": [
            {"id": i, "file_name": f"{i:012}.jpg", "width": w, "height": h}
            for i, (w, h) in scene.sizes.items()
        ],
        "categories": [{"id": k, "name": name} for k, name in scene.names.items()],
        "annotations": [
            {"id": n, "image_id": i, "category_id": k, "bbox": box, "area": area, "iscrowd": crowd}
            for n, (i, k, box, area, crowd) in enumerate(rows, start=1)
        ],
    }


def write_results(detections: Detections, path: Path) -> None:
    """Write a COCO results file, a hundred thousand rows at a time to keep memory small."""
    with path.open("w", encoding="utf-8") as stream:
        stream.write("[")
        for start in range(0, len(detections.scores), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            rows = zip(
                detections.image_ids[part].tolist(),
                detections.category_ids[part].tolist(),
                detections.boxes[part].tolist(),
                detections.scores[part].tolist(),
                strict=True,
            )
            text = json.dumps(
                [{"image_id": i, "category_id": k, "bbox": b, "score": s} for i, k, b, s in rows]
            )
            stream.write(("," if start else "") + text[1:-1])
        stream.write("]")


def write_files(scene: Scene, pair: tuple[Detections, Detections], folder: Path) -> tuple[Path, Path, Path]:
    """Write reference.json, candidate.json and annotations.json; their paths in this order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = (folder / "reference.json", folder / "candidate.json", folder / "annotations.json")
    for detections, path in zip(pair, paths[:2], strict=True):
        write_results(detections, path)
    paths[2].write_text(json.dumps(as_coco(scene)), encoding="utf-8")
    return paths


def main() -> None:
    """Write one pair's files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--detections", type=int, default=100, help="detections an image and side")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    scene = val2017_like(given.images, seed=given.seed)
    pair = pair_of(scene, per_image=given.detections, seed=given.seed)
    for path in write_files(scene, pair, given.folder):
        print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
