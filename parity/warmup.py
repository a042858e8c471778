"""The process that compiles ahead: `python -m parity.warmup`, started by `parity.precompile`.

It calls what the first comparison will call, on almost nothing: a kernel is compiled for the types that it is
called with, and these are the same whatever the size.
"""

from __future__ import annotations

import os
import sys
import threading

import numpy as np

from parity.accuracy.bootstrap import paired_bootstrap
from parity.accuracy.coco import Evaluation, IndexedTruth, Matches
from parity.detections import DETECTIONS_SCHEMA
from parity.matching import match


def warm_up() -> None:
    """Compile the kernels of matching and of the bootstrap into Numba's cache."""
    nothing = DETECTIONS_SCHEMA.empty_table()
    match(nothing, nothing, image_ids=[1])
    side = Evaluation(
        truth=IndexedTruth(
            image_ids=np.array([1], np.int64),
            category_ids=np.array([1], np.int64),
            starts=np.array([0, 1], np.int64),
            images=np.zeros(1, np.int32),
            boxes=np.array([[0.0, 0.0, 9.0, 9.0]]),
            areas=np.array([81.0]),
            crowd=np.zeros(1, np.bool_),
            counted=np.ones((4, 1), np.int64),
        ),
        values={},
        undefined={},
        class_ap=(1.0,),
        class_boxes=np.ones(1, np.int64),
        tied=0,
        matches=Matches(
            starts=np.array([0, 1], np.int64),
            rows=np.zeros(1, np.int64),
            images=np.zeros(1, np.int32),
            scores=np.array([0.5]),
            matched=np.array([1], np.uint16),
            ignored=np.zeros(1, np.uint16),
        ),
    )
    paired_bootstrap(side, side, resamples=1, threads=1)


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # returns when the parent's end of the pipe is closed
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warm_up()
    os._exit(0)  # the interpreter's own end would trip over the thread that still reads
