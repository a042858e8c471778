"""What one side shows at one score threshold: true positives, false ones and boxes, image by image.

The matches are COCO's at IoU 0.5. Detections choose their ground truth by falling score, so those under the
threshold change nothing for the ones above it, and the evaluation's own matches can be counted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parity.accuracy.coco import Evaluation
from parity.accuracy.inputs import IndexedTruth, counting


def counts_at(evaluation: Evaluation, score: float) -> NDArray[np.float64]:
    """True and false positives of each image at IoU 0.5 with a score of at least `score`, (images, 2).

    Detections that COCO ignores, those in crowd regions, are neither.
    """
    matches = evaluation.matches
    images = len(evaluation.truth.image_ids)
    # As float32, so that a threshold of 0.3 includes what a network stored as 0.3.
    shown = matches.scores.astype(np.float32) >= np.float32(score)
    true = shown & (matches.matched & 1 > 0)
    false = shown & ((matches.matched | matches.ignored) & 1 == 0)
    counted = [np.bincount(matches.images[part], minlength=images) for part in (true, false)]
    return np.stack(counted, axis=1).astype(np.float64)


def boxes_of(truth: IndexedTruth) -> NDArray[np.float64]:
    """Ground truth boxes of each image that count, crowd regions aside, (images,)."""
    counted = truth.images[counting(truth.areas, truth.crowd)[0]]
    return np.bincount(counted, minlength=len(truth.image_ids)).astype(np.float64)
