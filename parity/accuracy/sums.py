"""The bootstrap of what is made of sums and quantiles over images, on the draws of the AP bootstrap.

Precision, recall, shares and regression lines are functions of a few sums over images. A resample changes
the images' weights only, so all resamples of all sums are one product of matrices. Quantiles walk along the
sorted values and add up weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from parity.accuracy.draws import image_weights
from parity.compiled import compiled


def resampled_sums(
    per_image: NDArray[np.float64],
    *,
    resamples: int,
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Sums of per-image numbers, float64 (images, k), on every resample; float64 (resamples, k).

    The draws are those of `paired_bootstrap` with the same seed and groups.
    """
    parts = [
        weights.astype(np.float64) @ per_image
        for weights in image_weights(len(per_image), groups=groups, resamples=resamples, seed=seed)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, per_image.shape[1]))


def quantiles(values: NDArray[np.float64], levels: Sequence[float]) -> NDArray[np.float64]:
    """Values that occurred, at each level from 0 to 1: `sorted(values)[ceil((n - 1) level)]`; (levels,).

    The higher neighbour where a level falls between two (NumPy's "higher"), so that no drift is understated.
    """
    found: NDArray[np.float64] = np.quantile(values, np.asarray(levels), method="higher")
    return found


def resampled_quantiles(
    values: NDArray[np.float64],
    images: NDArray[np.int64],
    levels: Sequence[float],
    image_count: int,
    *,
    resamples: int,
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """`quantiles` of every resample, float64 (resamples, levels); NaN where no value was drawn.

    images: int64 (n,), the position of each value's image among `image_count`. levels: ascending.
    """
    order = np.argsort(values, kind="stable")
    ordered, places = values[order], images[order]
    parts = [
        _of_chunk(np.ascontiguousarray(weights), ordered, places, np.asarray(levels, np.float64))
        for weights in image_weights(image_count, groups=groups, resamples=resamples, seed=seed)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, len(levels)))


def _of_chunk(
    weights: NDArray[np.int64],
    values: NDArray[np.float64],
    images: NDArray[np.int64],
    levels: NDArray[np.float64],
) -> NDArray[np.float64]:
    """`resampled_quantiles` of as many resamples as `weights` (resamples, images) has rows."""
    result = np.full((len(weights), len(levels)), np.nan)
    _weighted_quantiles(weights, values, images, levels, result)
    return result


@compiled
def _weighted_quantiles(
    weights: NDArray[np.int64],
    values: NDArray[np.float64],
    images: NDArray[np.int64],
    levels: NDArray[np.float64],
    result: NDArray[np.float64],
) -> None:
    """Fill `result`: quantiles of values, ascending, that count as often as their image was drawn."""
    for b in range(len(weights)):
        total = 0
        for i in range(len(values)):
            total += weights[b, images[i]]
        if total == 0:
            continue
        seen = 0
        level = 0
        for i in range(len(values)):
            seen += weights[b, images[i]]
            # The value at position ceil((total - 1) level).
            while level < len(levels) and seen - 1 >= (total - 1) * levels[level]:
                result[b, level] = values[i]
                level += 1
            if level == len(levels):
                break
