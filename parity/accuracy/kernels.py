"""The two inner loops of COCO's evaluation: assigning detections to ground truth, and precision over recall.

They follow pycocotools' `COCOeval.evaluateImg` and `accumulate` (Dollar and Lin, 2015) decision by decision,
in the same floating point operations; `tests/unit/accuracy/test_coco.py` holds them to it.

Each detection's fate at the ten IoU thresholds is one uint16, bit t for threshold t: `matched` for a true
positive, `ignored` for one that counts neither way. Neither bit set is a false positive.
"""

# Compiled loops over plain arrays: they take them by position, and cutting them smaller would hide the order
# of decisions that has to be the same as in pycocotools. Numba takes 0.05 s for each kind of `min` and `max`.
# ruff: noqa: C901, FURB136, PLR0912, PLR1730

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parity.compiled import compiled, helper

EPSILON = float(np.spacing(1))
THRESHOLD_COUNT = 10
EVERY_THRESHOLD = np.uint16((1 << THRESHOLD_COUNT) - 1)


def match_detections(
    starts: NDArray[np.int64],
    rows: NDArray[np.int64],
    ranks: NDArray[np.int64],
    images: NDArray[np.int32],
    detected: NDArray[np.float64],
    truth_starts: NDArray[np.int64],
    truth_images: NDArray[np.int32],
    truth_boxes: NDArray[np.float64],
    truth_areas: NDArray[np.float64],
    truth_crowd: NDArray[np.bool_],
    area_ranges: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    most: int,
) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.int32]]:
    """Match every detection to ground truth of its image and class, for every area range and threshold.

    rows: detections by class (from `starts`), image and falling score, as rows of `images` and
    `detected` (`x, y, width, height`).
    ranks: where each row's result goes. truth_*: ground truth by class (from `truth_starts`) and image.

    Returns matched and ignored, both uint16 (areas, n), and each detection's place in its image and class,
    int32 (n,). Places from `most` on are cut off: ignored everywhere.
    """
    matched = np.zeros((len(area_ranges), len(rows)), np.uint16)
    ignored = np.zeros((len(area_ranges), len(rows)), np.uint16)
    places = np.empty(len(rows), np.int32)
    largest = _largest_cell(truth_starts, truth_images)
    _match(
        starts, rows, ranks, images, detected, truth_starts, truth_images, truth_boxes, truth_areas,
        truth_crowd, area_ranges, thresholds, matched, ignored, places,
        np.empty((most, largest)), np.empty(most), np.empty(most, np.int64), np.empty(most, np.int64),
        np.empty(most, np.int64), np.empty(largest, np.int64), np.empty(largest, np.bool_),
    )  # fmt: skip
    return matched, ignored, places


def _largest_cell(starts: NDArray[np.int64], images: NDArray[np.int32]) -> int:
    """The most boxes of one image and class, at least 1; they come by class, from `starts`, and image."""
    begins = np.ones(len(images) + 1, np.bool_)
    begins[1:-1] = images[1:] != images[:-1]
    begins[starts] = True
    return int(np.diff(np.flatnonzero(begins)).max(initial=1))


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
    starts: NDArray[np.int64],
    rows: NDArray[np.int64],
    ranks: NDArray[np.int64],
    images: NDArray[np.int32],
    detected: NDArray[np.float64],
    truth_starts: NDArray[np.int64],
    truth_images: NDArray[np.int32],
    truth_boxes: NDArray[np.float64],
    truth_areas: NDArray[np.float64],
    truth_crowd: NDArray[np.bool_],
    area_ranges: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    matched: NDArray[np.uint16],
    ignored: NDArray[np.uint16],
    places: NDArray[np.int32],
    overlaps: NDArray[np.float64],
    sizes: NDArray[np.float64],
    best: NDArray[np.int64],
    hits: NDArray[np.int64],
    drops: NDArray[np.int64],
    order: NDArray[np.int64],
    taken: NDArray[np.bool_],
) -> None:
    """Fill matched, ignored and places for `match_detections`.

    overlaps: (most, largest) to work in, for the largest number of boxes of an image and class; sizes, best:
    (most,); order, taken: (largest,).
    """
    areas = len(area_ranges)
    most = len(sizes)
    for k in range(len(starts) - 1):
        first = starts[k]
        g = truth_starts[k]
        while first < starts[k + 1]:
            image = images[rows[first]]
            last = first
            while last < starts[k + 1] and images[rows[last]] == image:
                places[ranks[rows[last]]] = last - first
                last += 1
            while g < truth_starts[k + 1] and truth_images[g] < image:
                g += 1
            end = g
            while end < truth_starts[k + 1] and truth_images[end] == image:
                end += 1
            n = last - first
            if n > most:
                n = most
            for i in range(first, last):
                row = rows[i]
                size = detected[row, 2] * detected[row, 3]
                if i - first < n:
                    sizes[i - first] = size
                for a in range(areas):
                    # Cut off, or in a cell without ground truth.
                    if i - first >= n or (
                        end == g and (size < area_ranges[a, 0] or size > area_ranges[a, 1])
                    ):
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
                        elif found > -1 or sizes[d] < low or sizes[d] > high:
                            drops[d] |= bit
                for d in range(n):
                    # Most detections are neither, and places in memory far apart are dear.
                    if hits[d] | drops[d]:
                        rank = ranks[rows[first + d]]
                        matched[a, rank] = hits[d]
                        ignored[a, rank] = drops[d]
            first = last
            g = end


def average_precision(
    starts: NDArray[np.int64],
    matched: NDArray[np.uint16],
    ignored: NDArray[np.uint16],
    boxes: NDArray[np.int64],
    recalls: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mean over the recall thresholds of the interpolated precision, float64 (classes, 10).

    matched, ignored: of one area range, classes in blocks from `starts`, falling score within. boxes: the
    ground truth that counts per class; rows of classes without any are 0 and mean nothing.
    """
    result = np.zeros((len(boxes), THRESHOLD_COUNT))
    precision = np.zeros((THRESHOLD_COUNT, int(boxes.max(initial=1))))
    hits, misses = np.zeros(THRESHOLD_COUNT, np.int64), np.zeros(THRESHOLD_COUNT, np.int64)
    _interpolate(starts, matched, ignored, boxes, recalls, hits, misses, precision, result)
    return result


@compiled
def _interpolate(
    starts: NDArray[np.int64],
    matched: NDArray[np.uint16],
    ignored: NDArray[np.uint16],
    boxes: NDArray[np.int64],
    recalls: NDArray[np.float64],
    hits: NDArray[np.int64],
    own_misses: NDArray[np.int64],
    precision: NDArray[np.float64],
    result: NDArray[np.float64],
) -> None:
    """Fill `result` for `average_precision`; hits, own_misses (10,) and precision (10, boxes) to work in."""
    for k in range(len(boxes)):
        if boxes[k] == 0:
            continue
        misses = 0
        for t in range(THRESHOLD_COUNT):
            hits[t] = 0
            own_misses[t] = 0
        for i in range(starts[k], starts[k + 1]):
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
                while j < hits[t] and (j + 1) / boxes[k] < recalls[r]:
                    j += 1
                if j == hits[t]:
                    break
                total += precision[t, j]
            result[k, t] = total / len(recalls)
