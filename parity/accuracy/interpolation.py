"""The second inner loop of COCO's evaluation: interpolated precision over recall.

It follows pycocotools' `COCOeval.accumulate` (Dollar and Lin, 2015) in the same floating point operations;
`tests/unit/accuracy/test_coco.py` holds it to it.
"""

# Compiled loops over plain arrays, which they take by position. `max` takes Numba longer to compile.
# ruff: noqa: C901, FURB136

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parity.compiled import compiled

EPSILON = float(np.spacing(1))
THRESHOLD_COUNT = 10
EVERY_THRESHOLD = (1 << THRESHOLD_COUNT) - 1


def average_precision(
    matched: NDArray[np.uint16], ignored: NDArray[np.uint16], boxes: int, recalls: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean over the recall thresholds of the interpolated precision of one class, float64 (10,).

    matched, ignored: uint16 (n,) by falling score, of one area range; bit t for IoU threshold t. boxes: the
    ground truth that counts; 0 gives zeros, which mean nothing.
    """
    result = np.zeros(THRESHOLD_COUNT)
    hits, misses = np.zeros(THRESHOLD_COUNT, np.int64), np.zeros(THRESHOLD_COUNT, np.int64)
    _interpolate(matched, ignored, boxes, recalls, hits, misses, np.empty((THRESHOLD_COUNT, boxes)), result)
    return result


@compiled
def _interpolate(
    matched: NDArray[np.uint16],
    ignored: NDArray[np.uint16],
    boxes: int,
    recalls: NDArray[np.float64],
    hits: NDArray[np.int64],
    own_misses: NDArray[np.int64],
    precision: NDArray[np.float64],
    result: NDArray[np.float64],
) -> None:
    """Fill `result` for `average_precision`.

    hits, own_misses: (10,), 0 before, and precision: (10, boxes), to work in.
    """
    if boxes == 0:
        return
    misses = 0
    for i in range(len(matched)):
        hit = matched[i]
        ignore = ignored[i]
        if hit | ignore == 0:
            misses += 1
            continue
        if ignore == EVERY_THRESHOLD:
            continue
        for t in range(THRESHOLD_COUNT):
            if hit >> t & 1:
                count = hits[t] + 1
                hits[t] = count
                precision[t, count - 1] = count / (misses + own_misses[t] + count + EPSILON)
            elif not ignore >> t & 1:
                own_misses[t] += 1
    for t in range(THRESHOLD_COUNT):
        for j in range(hits[t] - 1, 0, -1):
            above = precision[t, j]
            precision[t, j - 1] = above if above > precision[t, j - 1] else precision[t, j - 1]
        # Precision at recall r is that of the first true positive whose recall reaches r.
        j = 0
        total = 0.0
        for r in range(len(recalls)):
            while j < hits[t] and (j + 1) / boxes < recalls[r]:
                j += 1
            if j == hits[t]:
                break
            total += precision[t, j]
        result[t] = total / len(recalls)
