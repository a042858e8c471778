"""The compiled loop of matching: greedy pairs of boxes by IoU. `parity.matching` states the rule."""

# Compiled loops over plain arrays, which they take by position. `min` and `max` take Numba longer
# to compile.
# ruff: noqa: C901, FURB136, PLR0912, PLR0915, PLR1730

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parity.compiled import compiled, helper

_FIRST_ROOM = 16


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
    found, found_iou = np.empty((2, most), np.int64), np.empty(most)
    state = np.zeros(5, np.int64)
    room, most_pairs = _FIRST_ROOM, _FIRST_ROOM**2
    while not _pair(
        rows_a, cells_a, scores_a, boxes_a, rows_b, cells_b, scores_b, boxes_b, score, threshold,
        np.empty((room, 5)), np.empty((room, 5)), np.empty(room, np.int64), np.empty(room, np.int64),
        np.empty((most_pairs, 2), np.int64), np.empty(most_pairs), np.empty(most_pairs, np.int64),
        state, found, found_iou,
    ):  # fmt: skip
        room, most_pairs = max(room, 2 * int(state[3])), max(most_pairs, 2 * int(state[4]))
    count = state[2]
    return found[0, :count].copy(), found[1, :count].copy(), found_iou[:count].copy()


@helper
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
    i, j = pairs[p, 0], pairs[p, 1]
    other_i, other_j = pairs[q, 0], pairs[q, 1]
    if a[i, 4] != a[other_i, 4]:
        return bool(a[i, 4] > a[other_i, 4])
    if b[j, 4] != b[other_j, 4]:
        return bool(b[j, 4] > b[other_j, 4])
    for c in range(4):
        if a[i, c] != a[other_i, c]:
            return bool(a[i, c] < a[other_i, c])
    for c in range(4):
        if b[j, c] != b[other_j, c]:
            return bool(b[j, c] < b[other_j, c])
    # Only rows that are equal in everything come here, so which is taken changes no result.
    return bool(p < q)


@helper
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
        moved = heap[root]
        heap[root] = heap[child]
        heap[child] = moved
        root = child


@helper
def _load(
    rows: NDArray[np.int64],
    first: int,
    last: int,
    scores: NDArray[np.float32],
    boxes: NDArray[np.float32],
    score: np.float32,
    target: NDArray[np.float64],
    free: NDArray[np.int64],
) -> int:
    """Fill `target` with corners and score of the cell's boxes, those reaching `score` first; how many do.

    rows: of the cell from `first` to before `last`. free: filled with the box's row.
    """
    place = 0
    reaching = 0
    for low in range(2):
        reaching = place
        for at in range(first, last):
            row = rows[at]
            if (scores[row] < score) == (low == 1):
                for c in range(4):
                    target[place, c] = boxes[row, c]
                target[place, 4] = scores[row]
                free[place] = row
                place += 1
    return reaching


@helper
def _find_pairs(
    a: NDArray[np.float64],
    from_a: int,
    to_a: int,
    b: NDArray[np.float64],
    from_b: int,
    to_b: int,
    free_a: NDArray[np.int64],
    free_b: NDArray[np.int64],
    threshold: float,
    size: int,
    pairs: NDArray[np.int64],
    overlaps: NDArray[np.float64],
) -> int:
    """Append the pairs of free boxes with enough IoU, of those from `from_*` to before `to_*`.

    IoU is 1 for identical boxes, even without area, less than 1 for all others, and 0 without shared area.
    Returns how many pairs there are then.
    """
    for i in range(from_a, to_a):
        if free_a[i] < 0:
            continue
        x1, y1, x2, y2 = a[i, 0], a[i, 1], a[i, 2], a[i, 3]
        area = (x2 - x1) * (y2 - y1)
        for j in range(from_b, to_b):
            if free_b[j] < 0:
                continue
            u1, v1, u2, v2 = b[j, 0], b[j, 1], b[j, 2], b[j, 3]
            if x1 == u1 and y1 == v1 and x2 == u2 and y2 == v2:
                overlap = 1.0
            else:
                width = (x2 if x2 < u2 else u2) - (x1 if x1 > u1 else u1)
                height = (y2 if y2 < v2 else v2) - (y1 if y1 > v1 else v1)
                if width <= 0 or height <= 0:
                    continue
                shared = width * height
                union = area + (u2 - u1) * (v2 - v1) - shared
                overlap = shared / union if union > 0 else 0.0
                # Rounding can make 1 of boxes that differ in the last bit; identical ones come first.
                if overlap > 1 - 2.0**-53:
                    overlap = 1 - 2.0**-53
            if overlap >= threshold:
                pairs[size, 0] = i
                pairs[size, 1] = j
                overlaps[size] = overlap
                size += 1
    return size


@compiled
def _pair(
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
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    free_a: NDArray[np.int64],
    free_b: NDArray[np.int64],
    pairs: NDArray[np.int64],
    overlaps: NDArray[np.float64],
    heap: NDArray[np.int64],
    state: NDArray[np.int64],
    found: NDArray[np.int64],
    found_iou: NDArray[np.float64],
) -> bool:
    """Fill `found` (2, n) and `found_iou` for `pair_cells`; False at a cell for which there is no room.

    state: where to go on on both sides and how many pairs there are, updated, then the number of boxes and of
    pairs that there is no room for. To work in: a, b (room, 5), corners and scores of a cell; free_* (room,),
    rows of those, -1 for a box taken; pairs (most, 2), places in a and b; overlaps, heap (most,).
    """
    i, j, count = state[0], state[1], state[2]
    fits = True
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
        if m > len(a) or n > len(b) or m * n > len(heap):
            state[3] = m if m > n else n
            state[4] = m * n
            fits = False
            break
        high_a = _load(rows_a, i, end_i, scores_a, boxes_a, score, a, free_a)
        high_b = _load(rows_b, j, end_j, scores_b, boxes_b, score, b, free_b)
        # Both sides' boxes that reach the score, then those where one does, then the rest.
        for step in range(3):
            # Typed, because Numba would compile `_find_pairs` once more for a literal.
            size = np.int64(0)
            for low_a in range(2):
                low_b = step - low_a
                if low_b < 0 or low_b > 1:
                    continue
                size = _find_pairs(
                    a, high_a if low_a else 0, m if low_a else high_a,
                    b, high_b if low_b else 0, n if low_b else high_b,
                    free_a, free_b, threshold, size, pairs, overlaps,
                )  # fmt: skip
            for k in range(size):
                heap[k] = k
            root = size // 2
            while size > 0:
                if root > 0:  # The heap is being built.
                    root -= 1
                else:
                    best = heap[0]
                    size -= 1
                    heap[0] = heap[size]
                    p, q = pairs[best, 0], pairs[best, 1]
                    if free_a[p] >= 0 and free_b[q] >= 0:
                        found[0, count] = free_a[p]
                        found[1, count] = free_b[q]
                        found_iou[count] = overlaps[best]
                        count += 1
                        free_a[p] = -1
                        free_b[q] = -1
                _sift(heap, root, size, pairs, overlaps, a, b)
        i = end_i
        j = end_j
    state[0] = i
    state[1] = j
    state[2] = count
    return fits
