"""Interpolated precision over recall: by hand, and against pycocotools' own steps written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from parity.accuracy.interpolation import EVERY_THRESHOLD, THRESHOLD_COUNT, average_precision
from parity.accuracy.per_class import RECALL_THRESHOLDS

HIT, MISS, GONE = (EVERY_THRESHOLD, 0), (0, 0), (0, EVERY_THRESHOLD)


def ap(fates: list[tuple[int, int]], boxes: int) -> NDArray[np.float64]:
    pairs = np.array(fates, np.uint16).reshape(-1, 2)
    return average_precision(pairs[:, 0].copy(), pairs[:, 1].copy(), boxes, RECALL_THRESHOLDS)


@pytest.mark.parametrize(
    ("fates", "boxes", "expected"),
    [
        ([HIT], 1, 1.0),
        ([HIT, MISS], 1, 1.0),
        ([MISS, HIT], 1, 1 / 2),
        ([GONE, HIT], 1, 1.0),
        ([HIT], 2, 51 / 101),  # of the 101 recalls, 0 to 0.5 are reached
        ([HIT, MISS, HIT], 2, (51 + 50 * 2 / 3) / 101),
        ([MISS, HIT, HIT], 2, 2 / 3),  # the later, greater precision counts for lower recalls, too
        ([MISS, MISS], 3, 0.0),
        ([GONE], 3, 0.0),
        ([], 3, 0.0),
        ([], 0, 0.0),
        ([MISS], 0, 0.0),
    ],
)
def test_by_hand(fates: list[tuple[int, int]], boxes: int, expected: float) -> None:
    found = ap(fates, boxes)
    assert found.shape == (THRESHOLD_COUNT,)
    assert found == pytest.approx(np.full(THRESHOLD_COUNT, expected), abs=1e-12)


def test_each_threshold_has_its_own_fate() -> None:
    """The first holds up to 0.70 and the third above; the second is ignored at 0.95 alone."""
    found = ap([(0b11111, 0), (0, 1 << 9), (0b11111 << 5, 0)], 1)
    assert found[:5] == pytest.approx(np.ones(5))
    assert found[5:9] == pytest.approx(np.full(4, 1 / 3))
    assert found[9] == pytest.approx(1 / 2)


@pytest.mark.parametrize("seed", range(20))
def test_random_fates_equal_pycocotools_steps(seed: int) -> None:
    random = np.random.default_rng(seed)
    n, boxes = int(random.integers(0, 40)), int(random.integers(1, 30))
    hits = np.zeros((n, THRESHOLD_COUNT), bool)
    for threshold in range(THRESHOLD_COUNT):  # never more hits than boxes
        hits[random.permutation(n)[: random.integers(0, min(n, boxes) + 1)], threshold] = True
    ignored = (random.random((n, THRESHOLD_COUNT)) < 0.2) & ~hits
    powers = 1 << np.arange(THRESHOLD_COUNT)
    masks = [(each * powers).sum(axis=1).astype(np.uint16) for each in (hits, ignored)]
    found = average_precision(masks[0], masks[1], boxes, RECALL_THRESHOLDS)
    expected = [accumulated(hits[~gone, t], boxes) for t, gone in enumerate(ignored.T)]
    assert found == pytest.approx(expected, abs=1e-12)


def accumulated(hits: NDArray[np.bool_], boxes: int) -> float:
    """`COCOeval.accumulate` for one threshold: cumulated, made to fall, read at each recall."""
    true, false = np.cumsum(hits), np.cumsum(~hits)
    precision = np.maximum.accumulate((true / (true + false + np.spacing(1)))[::-1])[::-1]
    at = np.searchsorted(true / boxes, RECALL_THRESHOLDS, side="left")
    return float(np.where(at < len(hits), np.append(precision, 0)[np.minimum(at, len(hits))], 0).mean())
