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


@compiled
def positions_in(sorted_ids: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int32]:
    """Index of every value in `sorted_ids` (ascending, unique), or -1; shape (n,).

    Runs of equal values, which tables sorted by image have, are looked up once.
    """
    found = np.empty(len(values), np.int32)
    for i in range(len(values)):
        if i > 0 and values[i] == values[i - 1]:
            found[i] = found[i - 1]
            continue
        low = 0
        high = len(sorted_ids)
        while low < high:
            middle = (low + high) // 2
            if sorted_ids[middle] < values[i]:
                low = middle + 1
            else:
                high = middle
        found[i] = low if low < len(sorted_ids) and sorted_ids[low] == values[i] else -1
    return found


@compiled
def bucketed(
    order: NDArray[np.int64], keys: NDArray[np.int32], buckets: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort `order` stably by `keys[order]`, which lie in 0..buckets-1.

    Returns the new order, shape (n,), and where each bucket starts, shape (buckets + 1,).
    """
    starts = np.zeros(buckets + 1, np.int64)
    for i in range(len(order)):
        starts[keys[order[i]] + 1] += 1
    for b in range(buckets):
        starts[b + 1] += starts[b]
    cursor = starts[:-1].copy()
    result = np.empty_like(order)
    for i in range(len(order)):
        key = keys[order[i]]
        result[cursor[key]] = order[i]
        cursor[key] += 1
    return result, starts


@compiled
def by_score_descending(order: NDArray[np.int64], bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Sort `order` stably by falling score; `bits` are the float64 scores seen as uint64, without NaN or -0.

    The bits of non-negative floats grow with the value and those of negative ones fall, so turning over
    the right bits makes them plain integers in the wanted order. Digits in which all scores are alike cost
    one look: those are half of them where scores were float32 before.
    """
    keys = np.empty(len(order), np.uint64)
    sign, rest = np.uint64(1 << 63), np.uint64((1 << 63) - 1)
    for i in range(len(order)):
        b = bits[order[i]]
        keys[i] = b if b & sign else b ^ rest
    other_keys = np.empty_like(keys)
    result: NDArray[np.int64] = order.copy()
    other = np.empty_like(order)
    for step in range(_RADIX_PASSES):
        shift = np.uint64(step * _RADIX_BITS)
        counts = np.zeros(_RADIX + 1, np.int64)
        for i in range(len(keys)):
            counts[((keys[i] >> shift) & np.uint64(_RADIX - 1)) + np.uint64(1)] += 1
        if counts.max() == len(keys):
            continue
        for b in range(_RADIX):
            counts[b + 1] += counts[b]
        for i in range(len(keys)):
            digit = (keys[i] >> shift) & np.uint64(_RADIX - 1)
            other_keys[counts[digit]] = keys[i]
            other[counts[digit]] = result[i]
            counts[digit] += 1
        keys, other_keys = other_keys, keys
        result, other = other, result
    return result
