"""What resampling the images needs to know of each side's detections, found once and used for every draw.

Copies of images change neither the rank order of detections nor what they match, so a resample is a weight
per image: a detection in an image drawn w times counts w times. Most detections are false positives at all
ten IoU thresholds, which only push precision down; the others are events. Precision rises only at true
positives, so only they can be interpolated precision, and of true positives in a row, with no miss between,
only the last. Copies of a true positive are such a row.

That fails where detections of one image and class have exactly the same score: real copies of d1, d2 rank
d1, d2, d1, d2. Such runs are to be replayed copy by copy, at the thresholds where they hold hits and misses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.accuracy.coco import Matches
from parity.accuracy.draws import CHUNK
from parity.compiled import compiled

_EVERY_THRESHOLD = (1 << 10) - 1


class Events(NamedTuple):
    """The detections of all sides that are more than a false positive at every threshold, and the rest.

    starts: int64 (sides, classes + 1), where the events of each side and class begin; within, falling score.
    images: int32 (events,). hits, ignored: uint16 (events,), the fates, bit t for threshold t.
    asked: uint16 (events,), hits whose precision can count: the last ones before a miss.
    mixed: uint16 (events,), thresholds at which the run of ties that the event belongs to is to be replayed.
    place: int32 (events,), position in that run, 0 for events outside of such runs.
    false_images: int32, images of the false positives at every threshold. false_starts, false_ends: int64
    (events,), the slice of them that ranks between the event before, in its class, and the event.
    """

    starts: NDArray[np.int64]
    images: NDArray[np.int32]
    hits: NDArray[np.uint16]
    ignored: NDArray[np.uint16]
    asked: NDArray[np.uint16]
    mixed: NDArray[np.uint16]
    place: NDArray[np.int32]
    false_starts: NDArray[np.int64]
    false_ends: NDArray[np.int64]
    false_images: NDArray[np.int32]


def find_events(sides: Sequence[Matches]) -> Events:
    """The events of some sides evaluated on the same ground truth, one side after the other."""
    found = [_events_of_side(side) for side in sides]
    events = np.cumsum([0, *(len(side.images) for side in found)])
    false = np.cumsum([0, *(len(side.false_images) for side in found)])
    joined = {name: np.concatenate([getattr(side, name) for side in found]) for name in Events._fields}
    joined["starts"] = np.stack([side.starts + at for side, at in zip(found, events, strict=False)])
    for name in ("false_starts", "false_ends"):
        shifted = [getattr(side, name) + at for side, at in zip(found, false, strict=False)]
        joined[name] = np.concatenate(shifted)
    return Events(**joined)


def _events_of_side(side: Matches) -> Events:
    """The events of one side; `starts` is (classes + 1,)."""
    n = len(side.images)
    starts = np.zeros(len(side.starts), np.int64)
    rows, false_starts, false_ends = (np.empty(n, np.int64) for _ in range(3))
    asked, mixed = (np.empty(n, np.uint16) for _ in range(2))
    place, false_images = (np.empty(n, np.int32) for _ in range(2))
    false = _fill_events(
        side.starts, side.images, side.matched, side.ignored, side.scores,
        starts, rows, asked, mixed, place, false_starts, false_ends, false_images,
    )  # fmt: skip
    count = starts[-1]
    rows = rows[:count]
    return Events(
        starts=starts,
        images=side.images[rows],
        hits=side.matched[rows],
        ignored=side.ignored[rows],
        asked=asked[:count],
        mixed=mixed[:count],
        place=place[:count],
        false_starts=false_starts[:count],
        false_ends=false_ends[:count],
        false_images=false_images[:false],
    )


@compiled
def _fill_events(
    starts: NDArray[np.int64],
    images: NDArray[np.int32],
    matched: NDArray[np.uint16],
    ignored: NDArray[np.uint16],
    scores: NDArray[np.float64],
    event_starts: NDArray[np.int64],
    rows: NDArray[np.int64],
    asked: NDArray[np.uint16],
    mixed: NDArray[np.uint16],
    place: NDArray[np.int32],
    false_starts: NDArray[np.int64],
    false_ends: NDArray[np.int64],
    false_images: NDArray[np.int32],
) -> int:
    """Fill the fields of Events for one side, from the arrays of its Matches; how many false positives."""
    count = 0
    false = 0
    for k in range(len(starts) - 1):
        seen = false
        i = starts[k]
        while i < starts[k + 1]:
            end = i
            any_hit = 0
            any_miss = 0
            while end < starts[k + 1] and images[end] == images[i] and scores[end] == scores[i]:
                any_hit |= matched[end]
                any_miss |= _EVERY_THRESHOLD & ~(matched[end] | ignored[end])
                end += 1
            both = any_hit & any_miss
            for j in range(i, end):
                if both == 0 and matched[j] | ignored[j] == 0:
                    false_images[false] = images[j]
                    false += 1
                    continue
                if count > event_starts[k] and seen == false:
                    asked[count - 1] &= ~(matched[j] & ~both)
                rows[count] = j
                asked[count] = matched[j]
                mixed[count] = both
                place[count] = j - i if both else 0
                false_starts[count] = seen
                false_ends[count] = false
                seen = false
                count += 1
            i = end
        event_starts[k + 1] = count
    return false


def count_boxes(
    weights: NDArray[np.uint8], starts: NDArray[np.int64], images: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Boxes drawn, int64 (classes, CHUNK). images: that of each box that counts, by class from `starts`."""
    boxes = np.zeros((len(starts) - 1, CHUNK), np.int64)
    _add_weights(weights, starts, images, boxes)
    return boxes


@compiled
def _add_weights(
    weights: NDArray[np.uint8], starts: NDArray[np.int64], images: NDArray[np.int32], sums: NDArray[np.int64]
) -> None:
    """Add to each class's row of `sums` the weights of its images."""
    for k in range(len(sums)):
        for i in range(starts[k], starts[k + 1]):
            image = images[i]
            for lane in range(sums.shape[1]):
                sums[k, lane] += weights[image, lane]
