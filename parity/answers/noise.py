"""What counts as noise between two answers of one path, and where detections are cut off."""

from __future__ import annotations

from dataclasses import dataclass

from parity.runners import ImageResult


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Differences up to here are noise. score: share of 1. pixels: of corners in the original image."""

    score: float
    pixels: float


LEAST = Noise(score=1e-3, pixels=0.1)
"""Noise that is never asked to be less.

The same sums in another order, as a batch of another size takes them, change float32 outputs by some 1e-6 and
half-precision ones by some 1e-3; neither is a wrong answer. A row that belongs to another image is off by
tenths and by tens of pixels.
"""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Which detections a path leaves out: those not above `score_floor`, and all after `max_detections`."""

    score_floor: float
    max_detections: int

    def of(self, result: ImageResult) -> float:
        """The score under which this answer cannot hold a detection."""
        if len(result.scores) < self.max_detections or not len(result.scores):
            return self.score_floor
        return max(self.score_floor, float(result.scores.min()))
