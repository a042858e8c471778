"""AP of resamples of the images, exactly as if drawn images were copied, without sorting or matching again.

Copies change neither the rank order of detections nor what they match, so a resample is a weight per image:
a detection in an image drawn w times counts w times. Three facts make one resample cheap. Precision rises
only at true positives, so only they can be interpolated precision. Most detections are false positives at all
ten IoU thresholds, whose running sum of weights the thresholds share. And copies of a true positive lie
next to each other and raise precision one by one, so the last of them stands for all.

The last fact fails where detections of one image and class have exactly the same score: real copies of d1, d2
rank d1, d2, d1, d2. Such runs are replayed copy by copy, unless all in the run fare alike.
"""

# Compiled loops over plain arrays, which they take by position.
# ruff: noqa: C901, PLR0912

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parity.compiled import compiled

_EPSILON = float(np.spacing(1))
_THRESHOLDS = 10
_AT_75 = 5


@compiled
def find_events(
    starts: NDArray[np.int64],
    images: NDArray[np.int32],
    matched: NDArray[np.uint16],
    ignored: NDArray[np.uint16],
    scores: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The detections, or runs of tied ones, that are more than a false positive at every threshold.

    Takes the arrays of `coco.Matches`. Returns where each class's events start, int64 (classes + 1,), and
    each event's first detection and number of detections, int64 (events,) each.
    """
    event_starts = np.zeros(len(starts), np.int64)
    first = np.empty(len(images), np.int64)
    length = np.empty(len(images), np.int64)
    count = 0
    for k in range(len(starts) - 1):
        i = starts[k]
        while i < starts[k + 1]:
            end = i + 1
            alike = True
            while end < starts[k + 1] and images[end] == images[i] and scores[end] == scores[i]:
                alike &= matched[end] == matched[i] and ignored[end] == ignored[i]
                end += 1
            if not alike:
                first[count] = i
                length[count] = end - i
                count += 1
            elif matched[i] | ignored[i] != 0:
                for j in range(i, end):
                    first[count] = j
                    length[count] = 1
                    count += 1
            i = end
        event_starts[k + 1] = count
    return event_starts, first[:count].copy(), length[:count].copy()


@compiled
def count_boxes(
    weights: NDArray[np.int32], starts: NDArray[np.int64], images: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Ground truth boxes drawn in each resample, int64 (resamples, classes).

    weights: (resamples, images). images: the image of each box that counts, by class from `starts`.
    """
    boxes = np.zeros((len(weights), len(starts) - 1), np.int64)
    for b in range(len(weights)):
        for k in range(len(starts) - 1):
            for i in range(starts[k], starts[k + 1]):
                boxes[b, k] += weights[b, images[i]]
    return boxes


@compiled
def _count(
    matched: np.uint16,
    ignored: np.uint16,
    weight: int,
    misses: int,
    own_misses: NDArray[np.int64],
    blocks: NDArray[np.int64],
    hits: NDArray[np.int64],
    precision: NDArray[np.float64],
) -> None:
    """Add one detection of the given weight: a block of true positives, or false ones, per threshold.

    `hits[t, blocks[t]]` is the running number of true positives; block 0 stands before the first.
    """
    for t in range(_THRESHOLDS):
        if matched >> t & 1:
            total = hits[t, blocks[t]] + weight
            blocks[t] += 1
            hits[t, blocks[t]] = total
            precision[t, blocks[t]] = total / (misses + own_misses[t] + total + _EPSILON)
        elif not ignored >> t & 1:
            own_misses[t] += weight


@compiled
def _recalls_reached(boxes: int, recalls: NDArray[np.float64], reached: NDArray[np.int64]) -> None:
    """Fill `reached[h]` with the number of recall thresholds that h true positives of `boxes` attain.

    Recall 0 belongs to the first true positive, so that without any nothing is attained.
    """
    reached[0] = 0
    r = 0
    for h in range(1, boxes + 1):
        recall = h / boxes
        while r < len(recalls) and recalls[r] <= recall:
            r += 1
        reached[h] = r


@compiled
def resample_precision(
    weights: NDArray[np.int32],
    boxes: NDArray[np.int64],
    starts: NDArray[np.int64],
    images: NDArray[np.int32],
    matched: NDArray[np.uint16],
    ignored: NDArray[np.uint16],
    event_starts: NDArray[np.int64],
    event_first: NDArray[np.int64],
    event_length: NDArray[np.int64],
    recalls: NDArray[np.float64],
    result: NDArray[np.float64],
) -> None:
    """Fill `result` (resamples, classes, 3) with AP@[.50:.95], AP50 and AP75; NaN where no box was drawn.

    weights: (resamples, images). boxes: from `count_boxes`. event_*: from `find_events`. The other arrays
    are those of `coco.Matches`.
    """
    most = boxes.max() if boxes.size else 0
    reached = np.zeros(most + 1, np.int64)
    hits = np.zeros((_THRESHOLDS, most + 1), np.int64)
    precision = np.zeros((_THRESHOLDS, most + 1), np.float64)
    own_misses = np.zeros(_THRESHOLDS, np.int64)
    blocks = np.zeros(_THRESHOLDS, np.int64)
    for b in range(len(weights)):
        for k in range(len(starts) - 1):
            if boxes[b, k] == 0:
                result[b, k, :] = np.nan
                continue
            own_misses[:] = 0
            blocks[:] = 0
            misses = 0
            at = starts[k]
            for e in range(event_starts[k], event_starts[k + 1]):
                first = event_first[e]
                for j in range(at, first):
                    misses += weights[b, images[j]]
                at = first + event_length[e]
                weight = weights[b, images[first]]
                if event_length[e] == 1 and weight > 0:
                    _count(
                        matched[first], ignored[first], weight, misses, own_misses, blocks, hits, precision
                    )
                    continue
                for _ in range(weight):
                    for j in range(first, at):
                        if matched[j] | ignored[j] == 0:
                            misses += 1
                        else:
                            _count(matched[j], ignored[j], 1, misses, own_misses, blocks, hits, precision)
            _recalls_reached(boxes[b, k], recalls, reached)
            result[b, k, 0] = 0.0
            for t in range(_THRESHOLDS):
                total = 0.0
                highest = 0.0
                for block in range(blocks[t], 0, -1):
                    highest = max(highest, precision[t, block])
                    total += highest * (reached[hits[t, block]] - reached[hits[t, block - 1]])
                total /= len(recalls)
                result[b, k, 0] += total / _THRESHOLDS
                if t == 0:
                    result[b, k, 1] = total
                if t == _AT_75:
                    result[b, k, 2] = total
