"""The compiled loop of matching: greedy pairs of boxes by IoU. `parity.matching` states the rule."""

# Compiled loops over plain arrays, which they take by position.
# ruff: noqa: C901, PLR0912, PLR0915

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parity.compiled import compiled


@compiled
def _better(
    p: int,
    q: int,
    pairs: NDArray[np.int64],
    overlaps: NDArray[np.float64],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
) -> bool:
    """Whether pair p is taken before pair q of the same round."""
    if overlaps[p] != overlaps[q]:
        return bool(overlaps[p] > overlaps[q])
    one, other = a[pairs[p, 0]], a[pairs[q, 0]]
    two, another = b[pairs[p, 1]], b[pairs[q, 1]]
    if one[4] != other[4]:
        return bool(one[4] > other[4])
    if two[4] != another[4]:
        return bool(two[4] > another[4])
    for c in range(4):
        if one[c] != other[c]:
            return bool(one[c] < other[c])
    for c in range(4):
        if two[c] != another[c]:
            return bool(two[c] < another[c])
    # Only rows that are equal in everything come here, so which is taken changes no result.
    return bool(p < q)


@compiled
def _sift(
    heap: NDArray[np.int64],
    root: int,
    size: int,
    pairs: NDArray[np.int64],
    overlaps: NDArray[np.float64],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
) -> None:
    """Restore the heap below `root`, best pair on top."""
    while 2 * root + 1 < size:
        child = 2 * root + 1
        if child + 1 < size and _better(heap[child + 1], heap[child], pairs, overlaps, a, b):
            child += 1
        if not _better(heap[child], heap[root], pairs, overlaps, a, b):
            return
        heap[root], heap[child] = heap[child], heap[root]
        root = child


@compiled
def _load(
    rows: NDArray[np.int64],
    scores: NDArray[np.float32],
    boxes: NDArray[np.float32],
    score: np.float32,
    target: NDArray[np.float64],
    target_rows: NDArray[np.int64],
) -> int:
    """Fill `target` with corners and score of the cell's boxes, those reaching `score` first; how many do."""
    place = 0
    reaching = 0
    for high in (True, False):
        for row in rows:
            if (scores[row] >= score) == high:
                for c in range(4):
                    target[place, c] = boxes[row, c]
                target[place, 4] = scores[row]
                target_rows[place] = row
                place += 1
        if high:
            reaching = place
    return reaching


@compiled
def _find_pairs(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    first: int,
    second: int,
    free_a: NDArray[np.bool_],
    free_b: NDArray[np.bool_],
    threshold: float,
    size: int,
    pairs: NDArray[np.int64],
    overlaps: NDArray[np.float64],
) -> int:
    """Append the pairs of free boxes with enough IoU; `first` and `second` are added to the indices noted.

    IoU is 1 for identical boxes, even without area, less than 1 for all others, and 0 without shared area.
    Returns how many pairs there are then.
    """
    for i in range(len(a)):
        if not free_a[i]:
            continue
        x1, y1, x2, y2 = a[i, 0], a[i, 1], a[i, 2], a[i, 3]
        area = (x2 - x1) * (y2 - y1)
        for j in range(len(b)):
            if not free_b[j]:
                continue
            if x1 == b[j, 0] and y1 == b[j, 1] and x2 == b[j, 2] and y2 == b[j, 3]:
                overlap = 1.0
            else:
                width = min(x2, b[j, 2]) - max(x1, b[j, 0])
                height = min(y2, b[j, 3]) - max(y1, b[j, 1])
                if width <= 0 or height <= 0:
                    continue
                shared = width * height
                union = area + (b[j, 2] - b[j, 0]) * (b[j, 3] - b[j, 1]) - shared
                # Rounding can make 1 of boxes that differ in the last bit; identical ones come first.
                overlap = min(shared / union, 1 - 2.0**-53) if union > 0 else 0.0
            if overlap >= threshold:
                pairs[size, 0] = first + i
                pairs[size, 1] = second + j
                overlaps[size] = overlap
                size += 1
    return size


@compiled
def pair_cells(
    rows_a: NDArray[np.int64],
    cells_a: NDArray[np.int64],
    scores_a: NDArray[np.float32],
    boxes_a: NDArray[np.float32],
    rows_b: NDArray[np.int64],
    cells_b: NDArray[np.int64],
    scores_b: NDArray[np.float32],
    boxes_b: NDArray[np.float32],
    score: np.float32,
    threshold: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Pair the boxes of every cell, an image and a class, that both sides a and b have.

    rows_*: int64, rows of the side's arrays sorted by cell. cells_*: int64, their cells. scores_*: float32
    (n,), boxes_*: float32 (n, 4), corners. score: where the rounds divide. threshold: least IoU.
    Returns the pairs' rows on both sides and their IoU, (m,) each.
    """
    most = min(len(rows_a), len(rows_b))
    found = np.empty((most, 2), np.int64)
    found_iou = np.empty(most, np.float64)
    # Scratch memory, which grows with the largest cell.
    room = 16
    a, rows_in_a, free_a = np.empty((room, 5)), np.empty(room, np.int64), np.empty(room, np.bool_)
    b, rows_in_b, free_b = np.empty((room, 5)), np.empty(room, np.int64), np.empty(room, np.bool_)
    pairs, overlaps = np.empty((room * room, 2), np.int64), np.empty(room * room)
    heap = np.empty(room * room, np.int64)
    count = 0
    i = 0
    j = 0
    while i < len(rows_a) and j < len(rows_b):
        if cells_a[i] < cells_b[j]:
            i += 1
            continue
        if cells_b[j] < cells_a[i]:
            j += 1
            continue
        end_i = i
        while end_i < len(rows_a) and cells_a[end_i] == cells_a[i]:
            end_i += 1
        end_j = j
        while end_j < len(rows_b) and cells_b[end_j] == cells_b[j]:
            end_j += 1
        m, n = end_i - i, end_j - j
        if max(m, n) > room:
            room = 2 * max(m, n)
            a, rows_in_a, free_a = np.empty((room, 5)), np.empty(room, np.int64), np.empty(room, np.bool_)
            b, rows_in_b, free_b = np.empty((room, 5)), np.empty(room, np.int64), np.empty(room, np.bool_)
        if m * n > len(heap):
            pairs, overlaps = np.empty((m * n, 2), np.int64), np.empty(m * n)
            heap = np.empty(m * n, np.int64)
        high_a = _load(rows_a[i:end_i], scores_a, boxes_a, score, a, rows_in_a)
        high_b = _load(rows_b[j:end_j], scores_b, boxes_b, score, b, rows_in_b)
        i, j = end_i, end_j
        free_a[:m] = True
        free_b[:n] = True
        for step in range(3):
            size = 0
            for upper_a in (True, False):
                for upper_b in (True, False):
                    if 2 - int(upper_a) - int(upper_b) != step:
                        continue
                    from_a, to_a = (0, high_a) if upper_a else (high_a, m)
                    from_b, to_b = (0, high_b) if upper_b else (high_b, n)
                    size = _find_pairs(
                        a[from_a:to_a], b[from_b:to_b], from_a, from_b, free_a[from_a:to_a],
                        free_b[from_b:to_b], threshold, size, pairs, overlaps,
                    )  # fmt: skip
            for k in range(size):
                heap[k] = k
            for root in range(size // 2 - 1, -1, -1):
                _sift(heap, root, size, pairs, overlaps, a, b)
            while size > 0:
                best = heap[0]
                size -= 1
                heap[0] = heap[size]
                _sift(heap, 0, size, pairs, overlaps, a, b)
                p, q = pairs[best]
                if free_a[p] and free_b[q]:
                    free_a[p] = False
                    free_b[q] = False
                    found[count, 0] = rows_in_a[p]
                    found[count, 1] = rows_in_b[q]
                    found_iou[count] = overlaps[best]
                    count += 1
    return found[:count, 0].copy(), found[:count, 1].copy(), found_iou[:count].copy()
