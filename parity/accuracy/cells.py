"""The first inner loop of COCO's evaluation: assigning detections to ground truth, cell by cell.

A cell is one image and class. The loop follows pycocotools' `COCOeval.evaluateImg` (Dollar and Lin, 2015)
decision by decision, in the same floating point operations, to which `tests/unit/accuracy/test_coco.py`
holds it.

Each detection's fate at the ten IoU thresholds is one uint16, bit t for threshold t: `matched` for a true
positive, `ignored` for one that counts neither way. Neither bit set is a false positive.
"""

# Compiled loops over plain arrays: they take them by position, and cutting them smaller would hide the order
# of decisions that has to be the same as in pycocotools. Numba takes 0.05 s for each kind of `min` and `max`.
# ruff: noqa: C901, FURB136, PLR0912, PLR1730

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.compiled import compiled, helper

THRESHOLD_COUNT = 10
EVERY_THRESHOLD = np.uint16((1 << THRESHOLD_COUNT) - 1)


class Cells(NamedTuple):
    """The detections of one class, arranged by image.

    order: int64 (n,), by image and then falling score, indices into `boxes` (n, 4: `x, y, width, height`),
    `scores` (n,) and `ranks`, int64 (n,): each one's place by falling score in the class, where results go.
    starts: int64 (cells + 1,), where each cell begins in `order`. images: int32 (cells,), ascending.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    images: NDArray[np.int32]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    ranks: NDArray[np.int64]


class Truth(NamedTuple):
    """The ground truth of one class, by image; fields as in `IndexedTruth`."""

    images: NDArray[np.int32]
    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]


def match_cells(
    cells: Cells,
    truth: Truth,
    area_ranges: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    allowed: tuple[int, int, int],
) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.int64], int]:
    """Match the detections of one class to its ground truth, for every area range and threshold.

    allowed: detections that count in a cell, ascending, for recall; those past the last are ignored.

    Returns matched and ignored, uint16 (areas, n) by falling score; the true positives of the first area
    range, summed over the thresholds, among so many as are allowed, int64 (3,); and how many detections have
    the score of the one before them in their cell.
    """
    n = len(cells.order)
    matched = np.zeros((len(area_ranges), n), np.uint16)
    ignored = np.zeros((len(area_ranges), n), np.uint16)
    counts = np.zeros(len(allowed) + 1, np.int64)
    # The scratch space must not grow with a limit that no cell reaches.
    most = min(allowed[-1], int(np.diff(cells.starts).max(initial=1)))
    largest = int(np.unique(truth.images, return_counts=True)[1].max(initial=1))
    _match(
        *cells, *truth, area_ranges, thresholds, np.array(allowed), matched, ignored, counts,
        np.empty((most, largest)), np.empty(most), np.empty(most, np.int64), np.empty(most, np.int64),
        np.empty(most, np.int64), np.empty(largest, np.int64), np.empty(largest, np.bool_),
    )  # fmt: skip
    return matched, ignored, counts[:-1], int(counts[-1])


@helper
def _overlaps(
    detected: NDArray[np.float64],
    rows: NDArray[np.int64],
    first: int,
    boxes: NDArray[np.float64],
    crowd: NDArray[np.bool_],
    g0: int,
    n: int,
    m: int,
    overlaps: NDArray[np.float64],
) -> None:
    """Fill `overlaps[d, g]` with pycocotools' IoU; with a crowd region, the detection's share inside it."""
    for d in range(n):
        row = rows[first + d]
        x, y, w, h = detected[row, 0], detected[row, 1], detected[row, 2], detected[row, 3]
        for g in range(m):
            gx, gy, gw, gh = boxes[g0 + g, 0], boxes[g0 + g, 1], boxes[g0 + g, 2], boxes[g0 + g, 3]
            right = w + x if w + x < gw + gx else gw + gx
            bottom = h + y if h + y < gh + gy else gh + gy
            width = right - (x if x > gx else gx)
            height = bottom - (y if y > gy else gy)
            overlap = 0.0
            if width > 0 and height > 0:
                shared = width * height
                overlap = shared / (w * h if crowd[g0 + g] else w * h + gw * gh - shared)
            overlaps[d, g] = overlap


@helper
def _order_truth(
    areas: NDArray[np.float64],
    crowd: NDArray[np.bool_],
    g0: int,
    m: int,
    low: float,
    high: float,
    order: NDArray[np.int64],
) -> int:
    """Fill `order` with the ground truth that counts before the ignored, else as it came; how many count."""
    place = 0
    counting = 0
    for last in range(2):
        counting = place
        for g in range(m):
            ignore = crowd[g0 + g] or areas[g0 + g] < low or areas[g0 + g] > high
            if ignore == (last == 1):
                order[place] = g
                place += 1
    return counting


@helper
def _assign(
    overlaps: NDArray[np.float64],
    n: int,
    m: int,
    order: NDArray[np.int64],
    counting: int,
    crowd: NDArray[np.bool_],
    g0: int,
    floor: float,
    best: NDArray[np.int64],
    taken: NDArray[np.bool_],
) -> None:
    """Fill `best[d]` with the place in `order` of the ground truth given to detection d, or -1.

    Best scores choose first. The first `counting` of `order` count, the others are ignored. The last of
    equal overlaps wins, as in pycocotools; a crowd region can be given away any number of times.
    """
    for g in range(m):
        taken[g] = False
    for d in range(n):
        overlap = floor
        found = -1
        for place in range(m):
            if place == counting and found > -1:
                break
            g = order[place]
            if taken[g] or overlaps[d, g] < overlap:
                continue
            overlap = overlaps[d, g]
            found = place
        best[d] = found
        if found > -1:
            g = order[found]
            taken[g] = not crowd[g0 + g]


@compiled
def _match(
    rows: NDArray[np.int64],
    starts: NDArray[np.int64],
    images: NDArray[np.int32],
    detected: NDArray[np.float64],
    scores: NDArray[np.float64],
    ranks: NDArray[np.int64],
    truth_images: NDArray[np.int32],
    truth_boxes: NDArray[np.float64],
    truth_areas: NDArray[np.float64],
    truth_crowd: NDArray[np.bool_],
    area_ranges: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    allowed: NDArray[np.int64],
    matched: NDArray[np.uint16],
    ignored: NDArray[np.uint16],
    counts: NDArray[np.int64],
    overlaps: NDArray[np.float64],
    sizes: NDArray[np.float64],
    best: NDArray[np.int64],
    hits: NDArray[np.int64],
    drops: NDArray[np.int64],
    order: NDArray[np.int64],
    taken: NDArray[np.bool_],
) -> None:
    """Fill matched, ignored and counts for `match_cells`; all three are 0 before.

    overlaps: (most, largest) to work in, for the largest number of boxes in a cell; sizes, best, hits, drops:
    (most,); order, taken: (largest,).
    """
    areas = len(area_ranges)
    most = len(sizes)
    g = 0
    for c in range(len(images)):
        first = starts[c]
        last = starts[c + 1]
        while g < len(truth_images) and truth_images[g] < images[c]:
            g += 1
        end = g
        while end < len(truth_images) and truth_images[end] == images[c]:
            end += 1
        n = last - first
        if n > most:
            n = most
        for i in range(first, last):
            row = rows[i]
            if i > first and scores[row] == scores[rows[i - 1]]:
                counts[len(allowed)] += 1
            size = detected[row, 2] * detected[row, 3]
            if i - first < n:
                sizes[i - first] = size
            for a in range(areas):
                # Cut off, or in a cell without ground truth.
                if i - first >= n or (end == g and (size < area_ranges[a, 0] or size > area_ranges[a, 1])):
                    ignored[a, ranks[row]] = EVERY_THRESHOLD
        if end > g:
            _overlaps(detected, rows, first, truth_boxes, truth_crowd, g, n, end - g, overlaps)
        for a in range(areas if end > g else 0):
            low = area_ranges[a, 0]
            high = area_ranges[a, 1]
            counting = _order_truth(truth_areas, truth_crowd, g, end - g, low, high, order)
            for d in range(n):
                hits[d] = 0
                drops[d] = 0
            for t in range(len(thresholds)):
                bit = 1 << t
                floor = thresholds[t] if thresholds[t] < 1 - 1e-10 else 1 - 1e-10
                _assign(overlaps, n, end - g, order, counting, truth_crowd, g, floor, best, taken)
                for d in range(n):
                    found = best[d]
                    if -1 < found < counting:
                        hits[d] |= bit
                        for j in range(len(allowed) if a == 0 else 0):
                            counts[j] += d < allowed[j]
                    elif found > -1 or sizes[d] < low or sizes[d] > high:
                        drops[d] |= bit
            for d in range(n):
                # Most detections are neither, and places in memory far apart are dear.
                if hits[d] | drops[d]:
                    rank = ranks[rows[first + d]]
                    matched[a, rank] = hits[d]
                    ignored[a, rank] = drops[d]
        g = end
