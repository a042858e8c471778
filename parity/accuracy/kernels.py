"""The two inner loops of COCO's evaluation: assigning detections to ground truth, and precision over recall.

They follow pycocotools' `COCOeval.evaluateImg` and `accumulate` (Dollar and Lin, 2015) decision by decision,
in the same floating point operations; `tests/unit/accuracy/test_coco.py` holds them to it.

Each detection's fate at the ten IoU thresholds is one uint16, bit t for threshold t: `matched` for a true
positive, `ignored` for one that counts neither way. Neither bit set is a false positive.
"""

# Compiled loops over plain arrays: they take them by position, and cutting them smaller would hide the order
# of decisions that has to be the same as in pycocotools.
# ruff: noqa: C901, PLR0912, PLR0915

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parity.compiled import compiled

EPSILON = float(np.spacing(1))
THRESHOLD_COUNT = 10
EVERY_THRESHOLD = np.uint16((1 << THRESHOLD_COUNT) - 1)


@compiled
def _overlaps(
    detected: NDArray[np.float64],
    rows: NDArray[np.int64],
    boxes: NDArray[np.float64],
    crowd: NDArray[np.bool_],
    overlaps: NDArray[np.float64],
) -> None:
    """Fill `overlaps[d, g]` with pycocotools' IoU; with a crowd region, the detection's share inside it."""
    for d in range(len(rows)):
        x, y, w, h = (
            detected[rows[d], 0],
            detected[rows[d], 1],
            detected[rows[d], 2],
            detected[rows[d], 3],
        )
        for g in range(len(boxes)):
            gx, gy, gw, gh = boxes[g, 0], boxes[g, 1], boxes[g, 2], boxes[g, 3]
            overlaps[d, g] = 0.0
            width = min(w + x, gw + gx) - max(x, gx)
            if width <= 0:
                continue
            height = min(h + y, gh + gy) - max(y, gy)
            if height <= 0:
                continue
            shared = width * height
            overlaps[d, g] = shared / (w * h if crowd[g] else w * h + gw * gh - shared)


@compiled
def _assign(
    overlaps: NDArray[np.float64],
    detections: int,
    order: NDArray[np.int64],
    ignore: NDArray[np.bool_],
    crowd: NDArray[np.bool_],
    floor: float,
    best: NDArray[np.int64],
    taken: NDArray[np.bool_],
) -> None:
    """Fill `best[d]` with the ground truth given to detection d, or -1, best scores choosing first.

    `order` has the ground truth that counts before the ignored. The last of equal overlaps wins, as in
    pycocotools; a crowd region can be given away any number of times.
    """
    taken[: len(order)] = False
    for d in range(detections):
        overlap = floor
        found = -1
        for g in order:
            if taken[g] and not crowd[g]:
                continue
            if found > -1 and not ignore[found] and ignore[g]:
                break
            if overlaps[d, g] < overlap:
                continue
            overlap = overlaps[d, g]
            found = g
        best[d] = found
        if found > -1:
            taken[found] = True


@compiled
def _order_truth(
    areas: NDArray[np.float64],
    crowd: NDArray[np.bool_],
    low: float,
    high: float,
    ignore: NDArray[np.bool_],
    order: NDArray[np.int64],
) -> None:
    """Fill `ignore[g]`, and `order` with the ground truth that counts before the ignored, else as it came."""
    place = 0
    for g in range(len(areas)):
        ignore[g] = crowd[g] or areas[g] < low or areas[g] > high
        if not ignore[g]:
            order[place] = g
            place += 1
    for g in range(len(areas)):
        if ignore[g]:
            order[place] = g
            place += 1


@compiled
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
    areas = len(area_ranges)
    matched = np.zeros((areas, len(rows)), np.uint16)
    ignored = np.zeros((areas, len(rows)), np.uint16)
    places = np.empty(len(rows), np.int32)
    largest = 1
    for k in range(len(truth_starts) - 1):
        largest = max(largest, truth_starts[k + 1] - truth_starts[k])
    taken = np.zeros(largest, np.bool_)
    ignore = np.zeros(largest, np.bool_)
    order = np.zeros(largest, np.int64)
    best = np.full(most, -1, np.int64)
    sizes = np.zeros(most, np.float64)
    overlaps = np.zeros((most, 16), np.float64)
    for k in range(len(starts) - 1):
        first = starts[k]
        g = truth_starts[k]
        while first < starts[k + 1]:
            image = images[rows[first]]
            last = first
            while last < starts[k + 1] and images[rows[last]] == image:
                places[ranks[rows[last]]] = last - first
                if last - first >= most:
                    ignored[:, ranks[rows[last]]] = EVERY_THRESHOLD
                last += 1
            while g < truth_starts[k + 1] and truth_images[g] < image:
                g += 1
            end = g
            while end < truth_starts[k + 1] and truth_images[end] == image:
                end += 1
            n = min(last - first, most)
            cell = rows[first : first + n]
            first = last
            for d in range(n):
                sizes[d] = detected[cell[d], 2] * detected[cell[d], 3]
            if end == g:
                for d in range(n):
                    for a in range(areas):
                        if sizes[d] < area_ranges[a, 0] or sizes[d] > area_ranges[a, 1]:
                            ignored[a, ranks[cell[d]]] = EVERY_THRESHOLD
                continue
            crowd = truth_crowd[g:end]
            if end - g > overlaps.shape[1]:
                overlaps = np.zeros((most, 2 * (end - g)), np.float64)
            _overlaps(detected, cell, truth_boxes[g:end], crowd, overlaps)
            for a in range(areas):
                low, high = area_ranges[a]
                _order_truth(truth_areas[g:end], crowd, low, high, ignore, order)
                for t in range(len(thresholds)):
                    bit = np.uint16(1 << t)
                    floor = min(thresholds[t], 1 - 1e-10)
                    _assign(overlaps, n, order[: end - g], ignore, crowd, floor, best, taken)
                    for d in range(n):
                        outside = sizes[d] < low or sizes[d] > high
                        if best[d] > -1 and not ignore[best[d]]:
                            matched[a, ranks[cell[d]]] |= bit
                        elif best[d] > -1 or outside:
                            ignored[a, ranks[cell[d]]] |= bit
            g = end
    return matched, ignored, places


@compiled
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
    result = np.zeros((len(boxes), THRESHOLD_COUNT), np.float64)
    precision = np.zeros((THRESHOLD_COUNT, max(1, boxes.max() if len(boxes) else 1)), np.float64)
    for k in range(len(boxes)):
        if boxes[k] == 0:
            continue
        hits = np.zeros(THRESHOLD_COUNT, np.int64)
        own_misses = np.zeros(THRESHOLD_COUNT, np.int64)
        misses = 0
        for i in range(starts[k], starts[k + 1]):
            if matched[i] | ignored[i] == 0:
                misses += 1
                continue
            if ignored[i] == EVERY_THRESHOLD:
                continue
            for t in range(THRESHOLD_COUNT):
                if matched[i] >> t & 1:
                    hits[t] += 1
                    precision[t, hits[t] - 1] = hits[t] / (misses + own_misses[t] + hits[t] + EPSILON)
                elif not ignored[i] >> t & 1:
                    own_misses[t] += 1
        for t in range(THRESHOLD_COUNT):
            for j in range(hits[t] - 1, 0, -1):
                precision[t, j - 1] = max(precision[t, j - 1], precision[t, j])
            # Precision at recall r is that of the first true positive whose recall reaches r.
            j = 0
            for recall in recalls:
                while j < hits[t] and (j + 1) / boxes[k] < recall:
                    j += 1
                if j == hits[t]:
                    break
                result[k, t] += precision[t, j]
            result[k, t] /= len(recalls)
    return result
