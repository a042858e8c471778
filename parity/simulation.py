"""Detections drawn for a given ground truth: what a detector and a slightly different copy of it might say.

No model runs here. `simulate` draws a detector whose AP lies where today's detectors lie, `jitter` a copy of
it whose numbers differ a little, as after an export to another precision. Both only plan and test: nothing
that they give is evidence about a real model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parity.accuracy.coco import Detections
from parity.dataset import GroundTruth
from parity.errors import EvidenceError, UsageError

_SCORE_NOISE = 0.9
"""Of the logit: how loosely a score says how well a box fits."""

_ECHOES = 0.35
"""Share of the false positives that lie on an object, misplaced or of another class."""


@dataclass(frozen=True, kw_only=True)
class Detector:
    """How the simulated detector behaves; the defaults give an AP of about 0.4 to 0.55 on COCO's sizes.

    found: share of large boxes that it finds at all; small ones are found less often. misplaced: median
    standard deviation of a corner, in shares of the box's mean side. spread: standard deviation of the
    logarithm of that, from box to box. confused: share of the found boxes that get another class.
    """

    found: float = 0.95
    misplaced: float = 0.045
    spread: float = 0.8
    confused: float = 0.05


@dataclass(frozen=True, kw_only=True)
class Drift:
    """An assumed difference between a candidate and its reference.

    box: standard deviation of each corner's shift, as a share of the image's longer side, because detectors
    see images resized. score: that of the score's logit. drop: share of the detections that are lost.
    """

    name: str
    box: float
    score: float
    drop: float = 0.0


DRIFTS = (
    Drift(name="FP32 export", box=6e-8, score=2e-6),
    Drift(name="FP16 engine", box=2.8e-5, score=0.005),
    Drift(name="INT8 engine", box=6e-4, score=0.2),
)
"""Between what the demo's YOLO26n and RT-DETR showed on 500 images (docs/demo.md): corners moved by 2e-5,
0.005 to 0.027 and 0.4 to 0.8 pixels in images of 370, and half intervals of at most 0.0003, 0.04 to 0.11 and
0.5 to 0.65 percent of AP. INT8's corners are set lower than measured: much of what it does is common to all
boxes of an image, and costs less AP than independent noise."""


def simulate(
    truth: GroundTruth,
    image_sizes: Mapping[int, tuple[int, int]],
    category_ids: Iterable[int],
    *,
    per_image: int = 100,
    seed: int = 0,
    detector: Detector | None = None,
) -> Detections:
    """Draw a detector's answers: found boxes with noise, filled up with false positives of low score.

    image_sizes: width and height in pixels by image id; exactly these images are answered. category_ids:
    the classes that the detector knows. per_image: detections in every image, no more and no fewer. The
    result is sorted by image id and falling score, in float64, and depends on the arguments only.
    Raises UsageError for less than one detection an image, EvidenceError for an annotation of an image or
    a class that is not named, and for an image without a size.
    """
    kind = detector or Detector()
    ids, sizes = _sorted_sizes(image_sizes)
    categories = np.unique(np.fromiter(category_ids, np.int64))
    if per_image < 1 or len(categories) == 0:
        raise UsageError(
            f"{per_image} detections an image of {len(categories)} classes", expected="at least 1"
        )
    if not (np.isin(truth.image_ids, ids).all() and np.isin(truth.category_ids, categories).all()):
        raise EvidenceError("annotations of images or classes that are not among those given")
    rng = np.random.default_rng(seed)
    hits = _hits(rng, truth, ids, categories, kind)
    misses = _misses(rng, truth, ids, sizes, categories, per_image)
    images, classes, scores, corners = (np.concatenate(pair) for pair in zip(hits, misses, strict=True))
    order = np.lexsort((-scores, images))
    starts = np.searchsorted(images[order], np.arange(len(ids)))
    ranked = images[order]
    order = order[np.arange(len(order)) - starts[ranked] < per_image]
    return Detections(
        image_ids=ids[images[order]],
        category_ids=classes[order],
        scores=scores[order],
        boxes=_boxes(corners[order].clip(0, np.tile(sizes[images[order]], 2))),
    )


def jitter(
    detections: Detections,
    *,
    box_pixels: float | NDArray[np.float64],
    score: float,
    drop: float,
    seed: int,
) -> Detections:
    """A copy whose numbers differ a little, rows in the same order.

    box_pixels: standard deviation of the Gaussian shift of x1, y1, x2 and y2, each on its own, in pixels, one
    for all detections or one for each, (n,). score: that of the score's logit, so that scores stay between
    0 and 1. drop: share of the detections left out, from 0 to 1. Corners that changed places give a side
    of 0. Raises UsageError for a negative deviation or a share that is none, EvidenceError for a score
    outside 0 to 1, which has no logit.
    """
    deviations = np.broadcast_to(np.asarray(box_pixels, np.float64), len(detections.scores))
    if not ((deviations >= 0).all() and score >= 0 and 0 <= drop <= 1):
        raise UsageError(
            f"box_pixels from {deviations.min(initial=np.inf)}, score {score}, drop {drop}",
            expected="deviations of at least 0, and a share from 0 to 1",
        )
    if not ((detections.scores >= 0) & (detections.scores <= 1)).all():
        raise EvidenceError("scores outside 0 to 1", expected="probabilities")
    rng = np.random.default_rng(seed)
    boxes = detections.boxes
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    if deviations.any():
        boxes = _boxes(corners + rng.normal(0, 1, corners.shape) * deviations[:, None])
    scores = detections.scores
    if score:
        # Ends of the range stay finite this way: 0 and 1 are numbers that exporters do write.
        inside = scores.clip(1e-9, 1 - 1e-9)
        scores = _logistic(np.log(inside / (1 - inside)) + rng.normal(0, score, len(scores)))
    keep = rng.random(len(scores)) >= drop
    return Detections(
        image_ids=detections.image_ids[keep],
        category_ids=detections.category_ids[keep],
        scores=scores[keep],
        boxes=boxes[keep],
    )


def drifted(
    detections: Detections, image_sizes: Mapping[int, tuple[int, int]], drift: Drift, *, seed: int
) -> Detections:
    """A copy with the drift; image_sizes as in `simulate`, of all images that the detections are of."""
    ids, sizes = _sorted_sizes(image_sizes)
    longer = sizes.max(axis=1, initial=0)[np.searchsorted(ids, detections.image_ids)]
    return jitter(detections, box_pixels=drift.box * longer, score=drift.score, drop=drift.drop, seed=seed)


_Drawn = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]
"""Positions of the images, category ids, scores, and corners `x1, y1, x2, y2`."""


def _hits(
    rng: np.random.Generator,
    truth: GroundTruth,
    ids: NDArray[np.int64],
    categories: NDArray[np.int64],
    kind: Detector,
) -> _Drawn:
    """The found boxes; what lies badly tends to have a low score, and so do small boxes."""
    side = np.sqrt(truth.boxes[:, 2:].prod(axis=1))
    found = rng.random(len(side)) < kind.found * (1 - np.exp(-(side + 4) / 16))
    found &= ~truth.crowd
    boxes, side = truth.boxes[found], side[found]
    noise = kind.misplaced * np.exp(kind.spread * rng.normal(0, 1, len(side))) * (1 + 4 / (side + 1))
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    corners = corners + rng.normal(0, 1, corners.shape) * (noise * side)[:, None]
    classes = truth.category_ids[found].copy()
    confused = rng.random(len(side)) < kind.confused
    classes[confused] = rng.choice(categories, int(confused.sum()))
    quality = 0.8 * np.log(0.12 / noise) - 1.0 * confused
    scores = _logistic(quality + _SCORE_NOISE * rng.normal(0, 1, len(side)))
    return np.searchsorted(ids, truth.image_ids[found]), classes, scores, corners


def _misses(
    rng: np.random.Generator,
    truth: GroundTruth,
    ids: NDArray[np.int64],
    sizes: NDArray[np.float64],
    categories: NDArray[np.int64],
    per_image: int,
) -> _Drawn:
    """False positives, `per_image` in every image: on objects, and on the background of any class."""
    count = len(ids) * per_image
    images = np.repeat(np.arange(len(ids)), per_image)
    middle = rng.uniform(0, 1, (count, 2)) * sizes[images]
    half = sizes[images] * np.exp(rng.normal(-2.6, 0.8, (count, 2))).clip(0.005, 0.5)
    common = truth.category_ids if len(truth.category_ids) else categories
    classes = rng.choice(common, count)
    scores = _logistic(rng.normal(-4.5, 1.3, count))
    starts = np.searchsorted(truth.image_ids, ids[images])
    boxes = np.searchsorted(truth.image_ids, ids[images], side="right") - starts
    echo = np.flatnonzero((rng.random(count) < _ECHOES) & (boxes > 0))
    own = starts[echo] + np.floor(rng.random(len(echo)) * boxes[echo]).astype(np.int64)
    around = truth.boxes[own]
    shift = rng.normal(0, 0.35, (len(echo), 2))
    middle[echo] = around[:, :2] + around[:, 2:] * (0.5 + shift)
    half[echo] = around[:, 2:] / 2 * np.exp(rng.normal(0, 0.4, (len(echo), 2)))
    same = rng.random(len(echo)) < 0.5
    classes[echo[same]] = truth.category_ids[own[same]]
    scores[echo] = _logistic(rng.normal(-3.6, 1.3, len(echo)))
    return images, classes, scores, np.concatenate([middle - half, middle + half], axis=1)


def _sorted_sizes(sizes: Mapping[int, tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    ids = np.fromiter(sizes, np.int64, len(sizes))
    order = np.argsort(ids)
    values = np.array(list(sizes.values()), np.float64).reshape(-1, 2)
    unusable = ids[~(np.isfinite(values) & (values > 0)).all(axis=1)]
    if len(unusable):
        raise EvidenceError(
            f"image {unusable.min()} and {len(unusable) - 1} others have no width and height",
            expected="the size of every image in pixels",
        )
    return ids[order], values[order]


def _boxes(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = (corners[:, 2:] - corners[:, :2]).clip(0)
    return np.ascontiguousarray(np.concatenate([corners[:, :2], sides], axis=1))


def _logistic(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-values)), np.float64)
