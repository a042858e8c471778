"""Linear-time stable sorting: the orders in which COCO's evaluation walks through detections.

Half a million float keys take a comparison sort longer than the whole evaluation, so scores are sorted by
radix and identifiers by counting.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parity.compiled import compiled

_RADIX_BITS = 11
_RADIX_PASSES = 6
_RADIX = 1 << _RADIX_BITS


def positions_in(sorted_ids: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int32]:
    """Index of every value in `sorted_ids` (ascending, unique), or -1; shape (n,)."""
    found = np.empty(len(values), np.int32)
    _find(sorted_ids, values, found)
    return found


def bucketed(
    order: NDArray[np.int64], keys: NDArray[np.int32], buckets: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort `order` stably by `keys[order]`, which lie in 0..buckets-1.

    Returns the new order, shape (n,), and where each bucket starts, shape (buckets + 1,).
    """
    starts = np.zeros(buckets + 2, np.int64)
    result = np.empty_like(order)
    _distribute(order, keys, starts, result)
    return result, starts[:-1].copy()


def by_score_descending(order: NDArray[np.int64], bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Sort `order` stably by falling score; `bits` are the float64 scores seen as uint64, without NaN or -0.

    The bits of non-negative floats grow with the value and those of negative ones fall, so turning over
    the right bits makes them plain integers in the wanted order. Digits in which all scores are alike cost
    one look: those are half of them where scores were float32 before.
    """
    keys = bits[order]
    # All ones for scores that are not negative, else zero.
    not_negative = (keys >> np.uint64(63)) - np.uint64(1)
    keys ^= not_negative & np.uint64((1 << 63) - 1)
    result: NDArray[np.int64] = order.copy()
    other_keys, other = np.empty_like(keys), np.empty_like(order)
    for step in range(_RADIX_PASSES):
        counts = np.zeros(_RADIX, np.int64)
        if _sort_by_digit(keys, result, np.uint64(step * _RADIX_BITS), counts, other_keys, other):
            keys, other_keys = other_keys, keys
            result, other = other, result
    return result


@compiled
def _find(sorted_ids: NDArray[np.int64], values: NDArray[np.int64], found: NDArray[np.int32]) -> None:
    """Fill `found` for `positions_in`.

    Runs of equal values, which tables sorted by image have, are looked up once.
    """
    for i in range(len(values)):
        value = values[i]
        if i > 0 and value == values[i - 1]:
            found[i] = found[i - 1]
            continue
        low = 0
        high = len(sorted_ids)
        while low < high:
            middle = (low + high) >> 1
            if sorted_ids[middle] < value:
                low = middle + 1
            else:
                high = middle
        found[i] = low if low < len(sorted_ids) and sorted_ids[low] == value else -1


@compiled
def _distribute(
    order: NDArray[np.int64], keys: NDArray[np.int32], starts: NDArray[np.int64], result: NDArray[np.int64]
) -> None:
    """Fill `result` and `starts` for `bucketed`; `starts` is 0 and one longer, room to count the places."""
    for i in range(len(order)):
        starts[keys[order[i]] + 2] += 1
    for b in range(2, len(starts)):
        starts[b] += starts[b - 1]
    for i in range(len(order)):
        key = keys[order[i]] + 1
        result[starts[key]] = order[i]
        starts[key] += 1


@compiled
def _sort_by_digit(
    keys: NDArray[np.uint64],
    order: NDArray[np.int64],
    shift: np.uint64,
    counts: NDArray[np.int64],
    sorted_keys: NDArray[np.uint64],
    sorted_order: NDArray[np.int64],
) -> bool:
    """Sort keys and order stably by one digit; False, and nothing done, where all have the same digit.

    counts: 0, one for each digit there is.
    """
    mask = np.uint64(_RADIX - 1)
    for i in range(len(keys)):
        counts[(keys[i] >> shift) & mask] += 1
    if len(keys) == 0 or counts[(keys[0] >> shift) & mask] == len(keys):
        return False
    place = 0
    for digit in range(len(counts)):
        count = counts[digit]
        counts[digit] = place
        place += count
    for i in range(len(keys)):
        key = keys[i]
        at = counts[(key >> shift) & mask]
        counts[(key >> shift) & mask] = at + 1
        sorted_keys[at] = key
        sorted_order[at] = order[i]
    return True
