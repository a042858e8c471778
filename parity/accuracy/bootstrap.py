"""The exact paired bootstrap over images: AP of both sides on the same resamples of the evaluated images.

Images are drawn with replacement, and both sides are evaluated on each draw. A resample's AP is what
pycocotools gives for the data set in which drawn images are really copied, the copies of an image under
adjacent new ids (within 1e-12). Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 6
and 13; the pairing removes what both sides share, which is most of the variance.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from parity.accuracy.coco import RECALL_THRESHOLDS, Evaluation, IndexedTruth, counting
from parity.accuracy.draws import group_labels, lane_weights
from parity.accuracy.lanes import LANES, resample_precision
from parity.accuracy.resampling import count_boxes, find_events
from parity.errors import UsageError
from parity.progress import Step

BOOTSTRAP_METRICS = ("AP", "AP50", "AP75")


@dataclass(frozen=True, kw_only=True)
class BootstrapSamples:
    """Both sides' values on every resample, as fractions from 0 to 1.

    reference, candidate: float64 (resamples, 3), columns as in BOOTSTRAP_METRICS.
    class_reference, class_candidate: float64 (resamples, classes), AP@[.50:.95], classes in the order of
    `category_ids`. boxes: int64 (resamples, classes), ground truth boxes drawn.
    A class without drawn boxes is undefined in that resample, on both sides, and not part of its means; a
    resample without any class is undefined. Undefined cells are NaN in both sides' arrays, so that they
    spoil whatever uses them unnoticed; `undefined` and `class_undefined`, int64 (classes,), count them.
    units: how many images, or groups of images, were drawn from. class_units: int64 (classes,), how many of
    them hold ground truth boxes of the class.
    """

    category_ids: NDArray[np.int64]
    reference: NDArray[np.float64]
    candidate: NDArray[np.float64]
    class_reference: NDArray[np.float64]
    class_candidate: NDArray[np.float64]
    boxes: NDArray[np.int64]
    undefined: int
    class_undefined: NDArray[np.int64]
    units: int
    class_units: NDArray[np.int64]
    seed: int

    def metric(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Reference and candidate values of one of BOOTSTRAP_METRICS, (resamples,) each; else KeyError."""
        if name not in BOOTSTRAP_METRICS:
            raise KeyError(f"{name} is not resampled; there are {', '.join(BOOTSTRAP_METRICS)}")
        column = BOOTSTRAP_METRICS.index(name)
        return self.reference[:, column], self.candidate[:, column]

    def category(self, category_id: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Reference and candidate AP of one class, (resamples,) each. KeyError for a class not evaluated."""
        column = np.flatnonzero(self.category_ids == category_id)
        if len(column) == 0:
            raise KeyError(f"class {category_id} was not evaluated")
        return self.class_reference[:, column[0]], self.class_candidate[:, column[0]]


def paired_bootstrap(
    reference: Evaluation,
    candidate: Evaluation,
    *,
    resamples: int = 1000,
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
    threads: int | None = None,
    step: Step | None = None,
) -> BootstrapSamples:
    """Resample the evaluated images and evaluate both sides on every draw.

    groups: int64 (images,), one label for each of `truth.image_ids`, where images belong together, as
    frames of one video do; whole groups are drawn then. threads: how many to use, all cores by default.
    step: advanced by the number of resamples done.

    The result depends on the inputs and the seed only, to the byte, and not on the number of threads. It may
    change with NumPy's version, which does not promise the same random numbers for ever. Memory does not
    grow with the number of resamples, apart from the result. `draws.image_weights` gives the draws.
    Raises UsageError when the sides were evaluated on different ground truth, or an argument does not fit.
    """
    truth = reference.truth
    if candidate.truth is not truth:
        raise UsageError(
            "the sides were evaluated against different ground truth",
            expected="both evaluations to be given the same IndexedTruth",
        )
    drawn = _resample([reference, candidate], resamples, seed, groups, threads, step)
    means = drawn.means()
    defined = drawn.boxes > 0
    return BootstrapSamples(
        category_ids=truth.category_ids,
        reference=means[0],
        candidate=means[1],
        class_reference=drawn.values[0, :, :, 0].copy(),
        class_candidate=drawn.values[1, :, :, 0].copy(),
        boxes=drawn.boxes,
        undefined=int((~defined.any(axis=1)).sum()),
        class_undefined=(~defined).sum(axis=0).astype(np.int64),
        units=drawn.units,
        class_units=_class_units(truth, groups),
        seed=seed,
    )


def bootstrap_ap(
    evaluation: Evaluation,
    *,
    resamples: int = 1000,
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
    threads: int | None = None,
    step: Step | None = None,
) -> NDArray[np.float64]:
    """One side's values on every resample, float64 (resamples, 3), columns as in BOOTSTRAP_METRICS.

    Arguments and values are those of `paired_bootstrap`; NaN where a resample has no class with boxes.
    Raises UsageError when an argument does not fit.
    """
    drawn = _resample([evaluation], resamples, seed, groups, threads, step)
    values: NDArray[np.float64] = drawn.means()[0]
    return values


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """What all resamples give: values (sides, resamples, classes, 3) and boxes (resamples, classes)."""

    values: NDArray[np.float64]
    boxes: NDArray[np.int64]
    units: int

    def means(self) -> NDArray[np.float64]:
        """Means over the classes of which boxes were drawn, (sides, resamples, 3), NaN without any."""
        defined = self.boxes > 0
        counts = defined.sum(axis=1)[None, :, None]
        sums = np.where(defined[None, :, :, None], self.values, 0.0).sum(axis=2)
        means: NDArray[np.float64] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        return means


def _resample(
    evaluations: Sequence[Evaluation],
    resamples: int,
    seed: int,
    groups: NDArray[np.int64] | None,
    threads: int | None,
    step: Step | None,
) -> _Drawn:
    """Evaluate sides that share one ground truth on the same draws, LANES resamples a task."""
    truth = evaluations[0].truth
    labels, units = group_labels(len(truth.image_ids), groups, resamples)
    classes = len(truth.category_ids)
    box_starts, box_images = _counted_boxes(truth)
    events = find_events([side.matches for side in evaluations])
    values = np.empty((len(evaluations), resamples, classes, len(BOOTSTRAP_METRICS)))
    boxes = np.empty((resamples, classes), np.int64)

    def fill(weights: NDArray[np.uint8], start: int) -> int:
        size = min(LANES, resamples - start)
        lane_values = np.empty((len(evaluations), classes, LANES, len(BOOTSTRAP_METRICS)))
        lane_boxes = count_boxes(weights, box_starts, box_images)
        resample_precision(weights, lane_boxes, events, RECALL_THRESHOLDS, lane_values)
        values[:, start : start + size] = lane_values[:, :, :size].swapaxes(1, 2)
        boxes[start : start + size] = lane_boxes[:, :size].T
        return size

    workers = threads or os.cpu_count() or 1
    running: deque[Future[int]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        # Drawn here, while the threads work on what was drawn before.
        for i, weights in enumerate(lane_weights(labels, units, resamples, seed)):
            running.append(pool.submit(fill, weights, i * LANES))
            if len(running) > workers:
                _finish(running, step)
        while running:
            _finish(running, step)
    return _Drawn(values=values, boxes=boxes, units=units)


def _finish(running: deque[Future[int]], step: Step | None) -> None:
    """Wait for the oldest task, so that no more weights are held than there are threads and one."""
    size = running.popleft().result()
    if step is not None:
        step.advance(size)


def _class_units(truth: IndexedTruth, groups: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """How many images, or groups, hold boxes that count of each class."""
    labels, _ = group_labels(len(truth.image_ids), groups, 1)
    starts, images = _counted_boxes(truth)
    held = [len(np.unique(labels[images[i:j]])) for i, j in pairwise(starts)]
    return np.array(held, np.int64)


def _counted_boxes(truth: IndexedTruth) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The image of every ground truth box that counts for area "all", by class, and where classes start."""
    starts = np.concatenate([[0], np.cumsum(truth.counted[0])]).astype(np.int64)
    return starts, truth.images[counting(truth.areas, truth.crowd)[0]]
