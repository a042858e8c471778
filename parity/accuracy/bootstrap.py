"""The exact paired bootstrap over images: AP of both sides on the same resamples of the evaluated images.

Images are drawn with replacement, and both sides are evaluated on each draw. A resample's AP is what
pycocotools gives for the data set in which drawn images are really copied, the copies of an image under
adjacent new ids (within 1e-12). Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 6
and 13; the pairing removes what both sides share, which is most of the variance.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parity.accuracy.coco import RECALL_THRESHOLDS, Evaluation, IndexedTruth, counting
from parity.accuracy.resampling import count_boxes, find_events, resample_precision
from parity.errors import UsageError
from parity.progress import Step

BOOTSTRAP_METRICS = ("AP", "AP50", "AP75")
_CHUNK_BYTES = 16 * 2**20
_LARGEST_CHUNK = 64


@dataclass(frozen=True, kw_only=True)
class BootstrapSamples:
    """Both sides' values on every resample, as fractions from 0 to 1.

    reference, candidate: float64 (resamples, 3), columns as in BOOTSTRAP_METRICS.
    class_reference, class_candidate: float64 (resamples, classes), AP@[.50:.95], classes in the order of
    `category_ids`. boxes: int64 (resamples, classes), ground truth boxes drawn.
    A class without drawn boxes is undefined in that resample, on both sides, and not part of its means; a
    resample without any class is undefined. Undefined cells are NaN in both sides' arrays, so that they
    spoil whatever uses them unnoticed; `undefined` and `class_undefined`, int64 (classes,), count them.
    units: how many images, or groups of images, were drawn from.
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
    grow with the number of resamples, apart from the result.
    Raises UsageError when the sides were evaluated on different ground truth, or an argument does not fit.
    """
    truth = reference.truth
    if candidate.truth is not truth:
        raise UsageError(
            "the sides were evaluated against different ground truth",
            expected="both evaluations to be given the same IndexedTruth",
        )
    if resamples < 1 or (groups is not None and len(groups) != len(truth.image_ids)):
        raise UsageError(
            f"{resamples} resamples, groups for {0 if groups is None else len(groups)} images",
            expected=f"at least one resample, and one group label for each of {len(truth.image_ids)} images",
        )
    images, classes = len(truth.image_ids), len(truth.category_ids)
    labels = np.arange(images) if groups is None else np.unique(groups, return_inverse=True)[1]
    units = int(labels.max()) + 1 if images else 0
    box_starts, box_images = _counted_boxes(truth)
    sides = [side.matches for side in (reference, candidate)]
    events = [find_events(m.starts, m.images, m.matched, m.ignored, m.scores) for m in sides]
    workers = threads or os.cpu_count() or 1
    values = np.zeros((2, resamples, classes, len(BOOTSTRAP_METRICS)))
    boxes = np.zeros((resamples, classes), np.int64)
    generator = np.random.default_rng(seed)
    chunk = max(1, min(_LARGEST_CHUNK, _CHUNK_BYTES // (4 * max(images, 1))))

    def fill(weights: NDArray[np.int32], start: int) -> None:
        rows = slice(start, start + len(weights))
        boxes[rows] = count_boxes(weights, box_starts, box_images)
        for m, event, result in zip(sides, events, values, strict=True):
            resample_precision(
                weights, boxes[rows], m.starts, m.images, m.matched, m.ignored, *event,
                RECALL_THRESHOLDS, result[rows],
            )  # fmt: skip

    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, resamples, chunk * workers):
            # Drawn here, one resample after the other, so that threads cannot change what is drawn.
            size = min(chunk * workers, resamples - start)
            weights = np.stack([_draw(generator, labels, units) for _ in range(size)])
            parts = range(0, size, chunk)
            list(pool.map(fill, [weights[p : p + chunk] for p in parts], [start + p for p in parts]))
            if step is not None:
                step.advance(size)

    defined = boxes > 0
    counts = defined.sum(axis=1)
    means = np.where(defined[None, :, :, None], values, 0.0).sum(axis=2)
    means = np.where(counts[None, :, None] > 0, means / np.maximum(counts, 1)[None, :, None], np.nan)
    return BootstrapSamples(
        category_ids=truth.category_ids,
        reference=means[0],
        candidate=means[1],
        class_reference=values[0, :, :, 0].copy(),
        class_candidate=values[1, :, :, 0].copy(),
        boxes=boxes,
        undefined=int((counts == 0).sum()),
        class_undefined=(~defined).sum(axis=0).astype(np.int64),
        units=units,
        seed=seed,
    )


def _draw(generator: np.random.Generator, labels: NDArray[np.int64], units: int) -> NDArray[np.int32]:
    """How often each image is drawn in one resample, int32 (images,)."""
    if units == 0:
        return np.zeros(0, np.int32)
    drawn = np.bincount(generator.integers(0, units, units), minlength=units)
    return drawn[labels].astype(np.int32)


def _counted_boxes(truth: IndexedTruth) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The image of every ground truth box that counts for area "all", by class, and where classes start."""
    starts = np.concatenate([[0], np.cumsum(truth.counted[0])]).astype(np.int64)
    return starts, truth.images[counting(truth.areas, truth.crowd)[0]]
