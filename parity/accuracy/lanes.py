"""AP of many resamples at once, one in each lane of the processor's vectors.

Every lane goes through the same events with its own weights, so the loops over lanes have no branches. They
are short and touch few arrays each, because LLVM turns only such loops into vector instructions: at most
eight pairs of pointers may need a check that they do not overlap. They count upwards for the same reason.

Events are visited from the lowest score up, because interpolated precision is the highest from there on. For
that every lane begins with its totals. At one event, `hits + misses` is what was drawn up to it less what is
ignored at the threshold, and `hits` is the events drawn up to it less those that are not hits there; so the
sums over all events serve all thresholds, and each threshold keeps only its own exceptions.

A lane in which an event's image was not drawn may take part: precision there is no higher than at the hit
drawn before, at which as many recall thresholds are attained.
"""

# Compiled loops over plain arrays, which they take by position; l is a lane. `min` and `max`
# take Numba longer to compile.
# ruff: noqa: C901, E741, FURB136, PLR0912, PLR1730

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parity.accuracy.resampling import Events
from parity.compiled import compiled, helper

LANES = 64
"""As many as `draws.CHUNK`; written here, since Numba does not notice a change in another file."""

_EPSILON = float(np.spacing(1))
_THRESHOLDS = 10
_AT_75 = 5
_EVERY_THRESHOLD = (1 << _THRESHOLDS) - 1
_BLOCK = 64


def resample_precision(
    weights: NDArray[np.uint8],
    boxes: NDArray[np.int64],
    events: Events,
    recalls: NDArray[np.float64],
    result: NDArray[np.float64],
) -> None:
    """Fill `result` (sides, classes, LANES, 3) with AP@[.50:.95], AP50 and AP75; NaN where no box was drawn.

    weights: (images, LANES). boxes: (classes, LANES), from `count_boxes`. recalls: ascending.
    """
    longest = int(np.diff(events.starts, axis=1).max(initial=0))
    rows = min(longest, _BLOCK + int(events.place.max(initial=0)) + 1)
    lane, table, block = (LANES,), (_THRESHOLDS, LANES), (rows, LANES)
    _resample(
        weights, boxes, events, recalls,
        np.empty((longest, LANES), np.int32), np.empty(block, np.int32), np.empty(block, np.int32),
        np.empty(block, np.uint8), np.empty(lane, np.int32), np.empty(lane, np.int32),
        np.empty(table, np.int32), np.empty(table, np.int32), np.empty(table, np.uint8),
        np.empty(table), np.empty(table), np.empty(lane, np.int32), np.empty(lane, np.int32),
        np.empty(lane, np.uint8), np.empty(lane, np.uint8),
        np.zeros((LANES, int(boxes.max(initial=0)) + 1), np.uint8),
        result,
    )  # fmt: skip


@helper
def _recalls_reached(boxes: int, recalls: NDArray[np.float64], lane: int, reached: NDArray[np.uint8]) -> None:
    """Fill `reached[lane, h]` with the number of recall thresholds that h true positives of `boxes` attain.

    Recall 0 belongs to the first true positive, so that without any nothing is attained.
    """
    filled = 0
    for r in range(len(recalls)):
        # Rounding is monotone, so the number needed is this or one more.
        needed = np.int64(recalls[r] * boxes)
        if needed < 1:
            needed = 1
        if needed / boxes < recalls[r]:
            needed += 1
        for h in range(filled, needed):
            reached[lane, h] = r
        if needed > filled:
            filled = needed
    for h in range(filled, boxes + 1):
        reached[lane, h] = len(recalls)


@helper
def _add(weights: NDArray[np.uint8], image: int, fate: int, sums: NDArray[np.int32]) -> None:
    """Add the image's weights at the thresholds in `fate`; sums[t] holds threshold t less threshold t + 1."""
    steps = fate ^ (fate >> 1)
    t = 0
    while steps >> t:
        if steps >> t & 1:
            if fate >> t & 1:
                for l in range(LANES):
                    sums[t, l] += weights[image, l]
            else:
                for l in range(LANES):
                    sums[t, l] -= weights[image, l]
        t += 1


@helper
def _accumulate(
    events: Events,
    first: int,
    last: int,
    weights: NDArray[np.uint8],
    misses: NDArray[np.int32],
    drawn: NDArray[np.int32],
    events_drawn: NDArray[np.int32],
    not_hits: NDArray[np.int32],
    ignored: NDArray[np.int32],
) -> None:
    """Go once through the events of a class and sum up what is drawn.

    misses: (LANES,), to work in. drawn: (last - first, LANES), detections drawn up to each event. The others,
    (LANES,) and (thresholds, LANES), are totals.
    """
    # Taken out once, because that counts references in atomic operations.
    starts, ends, false_images = events.false_starts, events.false_ends, events.false_images
    images, fate_hits, fate_ignored = events.images, events.hits, events.ignored
    for l in range(LANES):
        misses[l] = 0
        events_drawn[l] = 0
    for t in range(_THRESHOLDS):
        for l in range(LANES):
            not_hits[t, l] = 0
            ignored[t, l] = 0
    for e in range(first, last):
        for i in range(starts[e], ends[e]):
            image = false_images[i]
            for l in range(LANES):
                misses[l] += weights[image, l]
        image = images[e]
        for l in range(LANES):
            events_drawn[l] += weights[image, l]
        for l in range(LANES):
            drawn[e - first, l] = misses[l] + events_drawn[l]
        if fate_hits[e] != _EVERY_THRESHOLD:
            _add(weights, image, _EVERY_THRESHOLD & ~fate_hits[e], not_hits)
        if fate_ignored[e] != 0:
            _add(weights, image, _EVERY_THRESHOLD & fate_ignored[e], ignored)
    for t in range(_THRESHOLDS - 2, -1, -1):
        for l in range(LANES):
            not_hits[t, l] += not_hits[t + 1, l]
        for l in range(LANES):
            ignored[t, l] += ignored[t + 1, l]


@helper
def _visit_block(
    events: Events,
    last: int,
    size: int,
    t: int,
    weights: NDArray[np.uint8],
    drawn: NDArray[np.int32],
    events_drawn: NDArray[np.int32],
    not_hits: NDArray[np.int32],
    ignored: NDArray[np.int32],
    reached: NDArray[np.uint8],
    after: NDArray[np.uint8],
    highest: NDArray[np.float64],
    total: NDArray[np.float64],
    hits: NDArray[np.int32],
    found: NDArray[np.int32],
    now: NDArray[np.uint8],
    copy: NDArray[np.uint8],
) -> None:
    """Visit events last, last - 1, and so on, `size` of them, at threshold t.

    weights, drawn, events_drawn: (size, LANES), row r for event last - r. reached: (LANES, hits). after:
    (thresholds, LANES), how many recall thresholds have no precision yet. highest, total: (thresholds,
    LANES), of precision. hits, found, now, copy: (LANES,), to work in; `found` are hits and misses.
    """
    mixed, place, asked = events.mixed, events.place, events.asked
    fate_hits, fate_ignored = events.hits, events.ignored
    bit = 1 << t
    replayed = 0
    for r in range(size):
        e = last - r
        # How often to go through the run of ties that ends here, or through this event alone.
        rounds = 0
        if mixed[e] & bit:
            if r >= replayed:
                replayed = r + place[e] + 1
                for l in range(LANES):
                    rounds = weights[r, l] if weights[r, l] > rounds else rounds
        elif asked[e] & bit:
            rounds = 1
        if rounds > 0:
            for l in range(LANES):
                hits[l] = events_drawn[r, l] - not_hits[t, l]
            for l in range(LANES):
                found[l] = drawn[r, l] - ignored[t, l]
        for c in range(rounds, 0, -1):
            alone = not mixed[e] & bit
            if not alone:
                for l in range(LANES):
                    copy[l] = weights[r, l] >= c
            for j in range(e, e - 1 if alone else last - replayed, -1):
                if fate_ignored[j] & bit:
                    continue
                if fate_hits[j] & bit:
                    # The recall thresholds above get the highest precision so far, then this one counts.
                    for l in range(LANES):
                        now[l] = reached[l, np.uint32(hits[l])]
                    for l in range(LANES):
                        total[t, l] += highest[t, l] * np.int32(np.int32(after[t, l]) - np.int32(now[l]))
                        after[t, l] = now[l]
                    for l in range(LANES):
                        precision = hits[l] / (found[l] + _EPSILON)
                        highest[t, l] = precision if precision > highest[t, l] else highest[t, l]
                    if alone:
                        break
                    for l in range(LANES):
                        hits[l] -= copy[l]
                for l in range(LANES):
                    found[l] -= copy[l]
        if not fate_hits[e] & bit:
            for l in range(LANES):
                not_hits[t, l] -= weights[r, l]
            if fate_ignored[e] & bit:
                for l in range(LANES):
                    ignored[t, l] -= weights[r, l]


@compiled
def _resample(
    weights: NDArray[np.uint8],
    boxes: NDArray[np.int64],
    events: Events,
    recalls: NDArray[np.float64],
    drawn: NDArray[np.int32],
    block_drawn: NDArray[np.int32],
    block_events: NDArray[np.int32],
    block_weights: NDArray[np.uint8],
    misses: NDArray[np.int32],
    events_drawn: NDArray[np.int32],
    not_hits: NDArray[np.int32],
    ignored: NDArray[np.int32],
    after: NDArray[np.uint8],
    highest: NDArray[np.float64],
    total: NDArray[np.float64],
    hits: NDArray[np.int32],
    found: NDArray[np.int32],
    now: NDArray[np.uint8],
    copy: NDArray[np.uint8],
    reached: NDArray[np.uint8],
    result: NDArray[np.float64],
) -> None:
    """Fill `result` for `resample_precision`; the arrays between are to work in."""
    for k in range(len(boxes)):
        for l in range(LANES):
            if boxes[k, l] > 0:
                _recalls_reached(boxes[k, l], recalls, l, reached)
            else:
                reached[l, 0] = 0
        for s in range(len(events.starts)):
            first = events.starts[s, k]
            end = events.starts[s, k + 1]
            _accumulate(events, first, end, weights, misses, drawn, events_drawn, not_hits, ignored)
            for t in range(_THRESHOLDS):
                for l in range(LANES):
                    highest[t, l] = 0.0
                    total[t, l] = 0.0
                    after[t, l] = reached[l, np.uint32(events_drawn[l] - not_hits[t, l])]
            while end > first:
                start = end - _BLOCK if end - _BLOCK > first else first
                # A run of ties is replayed as a whole.
                start -= events.place[start]
                for r in range(end - start):
                    e = end - 1 - r
                    image = events.images[e]
                    for l in range(LANES):
                        block_weights[r, l] = weights[image, l]
                    for l in range(LANES):
                        block_drawn[r, l] = drawn[e - first, l]
                    for l in range(LANES):
                        block_events[r, l] = events_drawn[l]
                    for l in range(LANES):
                        events_drawn[l] -= weights[image, l]
                for t in range(_THRESHOLDS):
                    _visit_block(
                        events, end - 1, end - start, t, block_weights, block_drawn, block_events,
                        not_hits, ignored, reached, after, highest, total, hits, found, now, copy,
                    )  # fmt: skip
                end = start
            for l in range(LANES):
                result[s, k, l, 0] = 0.0
            for t in range(_THRESHOLDS):
                for l in range(LANES):
                    total[t, l] = (total[t, l] + highest[t, l] * after[t, l]) / len(recalls)
                for l in range(LANES):
                    result[s, k, l, 0] += total[t, l] / _THRESHOLDS
            for l in range(LANES):
                result[s, k, l, 1] = total[0, l]
                result[s, k, l, 2] = total[_AT_75, l]
                if boxes[k, l] == 0:
                    for column in range(3):
                        result[s, k, l, column] = np.nan
