"""Which images each resample draws: with replacement, singly or in whole groups, as weights per image.

Everything that is bootstrapped on the same images, groups, number of resamples and seed sees the same draws,
so that statistics of different kinds can be compared, or combined, resample by resample.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from parity.errors import UsageError

CHUNK = 64
_LARGEST_WEIGHT = np.iinfo(np.uint8).max


def image_weights(
    images: int, groups: NDArray[np.int64] | None, resamples: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """How often each image is drawn, resample after resample, in chunks of at most CHUNK resamples.

    images: how many there are. groups: int64 (images,), one label an image, where whole groups are drawn.
    Yields int64 (chunk, images), in total `resamples` rows: those that `paired_bootstrap` uses with the same
    arguments, so a sum over the images drawn is `weights @ values`. Longer series begin with shorter ones.
    Raises UsageError, at once, when an argument does not fit.
    """
    labels, units = group_labels(images, groups, resamples)
    chunks = lane_weights(labels, units, resamples, seed)
    starts = range(0, resamples, CHUNK)
    return (
        weights.T[: resamples - start].astype(np.int64) for start, weights in zip(starts, chunks, strict=True)
    )


def group_labels(
    images: int, groups: NDArray[np.int64] | None, resamples: int
) -> tuple[NDArray[np.int64], int]:
    """The unit that each image belongs to, int64 (images,) from 0, and how many units are drawn from.

    Raises UsageError when there are no resamples to draw or not as many labels as images.
    """
    if resamples < 1 or (groups is not None and len(groups) != images):
        raise UsageError(
            f"{resamples} resamples, groups for {0 if groups is None else len(groups)} images",
            expected=f"at least one resample, and one group label for each of {images} images",
        )
    labels = np.arange(images) if groups is None else np.unique(groups, return_inverse=True)[1]
    return labels.astype(np.int64), int(labels.max()) + 1 if images else 0


def lane_weights(
    labels: NDArray[np.int64], units: int, resamples: int, seed: int
) -> Iterator[NDArray[np.uint8]]:
    """The weights of CHUNK resamples at a time, uint8 (images, CHUNK), the resamples of an image adjacent.

    The last chunk is filled up with resamples of no image. Resamples are drawn one after the other from one
    generator, so the draws of a seed depend neither on chunks nor, as long as one thread draws, on threads.
    """
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, CHUNK):
        weights = np.zeros((units, CHUNK), np.uint8)
        for lane in range(min(CHUNK, resamples - start) if units else 0):
            drawn = np.bincount(generator.integers(0, units, units), minlength=units)
            if drawn.max() > _LARGEST_WEIGHT:  # A chance below 1e-500: Poisson with mean 1.
                raise UsageError(
                    f"one image was drawn {drawn.max()} times in resample {start + lane}",
                    expected=f"at most {_LARGEST_WEIGHT} times",
                    remedy="use another seed",
                )
            weights[:, lane] = drawn
        # As many units as images are the images themselves, though labels may have them in another order.
        alone = units == len(labels) and (labels == np.arange(units)).all()
        yield weights if alone else weights[labels]
