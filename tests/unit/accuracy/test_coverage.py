"""Does the 95 % interval hold the true AP difference in 95 of 100 data sets?

The truth is known because the population is: some thousand images with simulated detections of both sides,
all evaluated. Every data set is a sample of its images, and its interval comes from that sample alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.pairs import Scene, val2017_like
from parity.accuracy.bootstrap import paired_bootstrap
from parity.accuracy.coco import Detections, Evaluation, evaluate, index_truth
from parity.dataset import GroundTruth
from parity.simulation import jitter, simulate
from parity.statistics import paired_estimate

POPULATION = 3000
SAMPLE = 200
CLASSES = (1, 2, 3)
PAIRS = 500
RESAMPLES = 400


def population() -> Scene:
    """Classes are equally frequent: a class that many samples lack would give those another true value."""
    scene = val2017_like(POPULATION, boxes_per_image=5, classes=len(CLASSES), seed=0)
    classes = np.random.default_rng(0).choice(CLASSES, len(scene.truth.areas))
    return replace(scene, truth=replace(scene.truth, category_ids=classes))


def rows_of(image_ids: NDArray[np.int64], drawn: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """The rows of the drawn images, and each row's new image id: the number of its draw."""
    starts = np.searchsorted(image_ids, drawn)
    counts = np.searchsorted(image_ids, drawn, side="right") - starts
    before = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rows = np.repeat(starts - before, counts) + np.arange(counts.sum())
    return rows, np.repeat(np.arange(len(drawn)), counts)


def sampled(
    truth: GroundTruth, sides: list[Detections], drawn: NDArray[np.int64]
) -> tuple[Evaluation, Evaluation]:
    """Both sides on a data set of the drawn images; an image drawn twice is there twice."""
    rows, ids = rows_of(truth.image_ids, drawn)
    own = GroundTruth(
        image_ids=ids,
        category_ids=truth.category_ids[rows],
        boxes=truth.boxes[rows],
        areas=truth.areas[rows],
        crowd=truth.crowd[rows],
    )
    index = index_truth(own, image_ids=range(len(drawn)), category_ids=CLASSES)
    evaluations = []
    for side in sides:
        rows, ids = rows_of(side.image_ids, drawn)
        copied = Detections(
            image_ids=ids,
            category_ids=side.category_ids[rows],
            scores=side.scores[rows],
            boxes=side.boxes[rows],
        )
        evaluations.append(evaluate(index, copied))
    return evaluations[0], evaluations[1]


@pytest.mark.parametrize(
    ("box_pixels", "score", "drop"),
    [(0.1, 0.02, 0.0), (0.5, 0.1, 0.02)],
    ids=["a difference near 0", "a difference far from 0"],
)
def test_the_interval_holds_the_true_difference_as_often_as_it_says(
    box_pixels: float, score: float, drop: float
) -> None:
    scene = population()
    reference = simulate(scene.truth, scene.sizes, CLASSES, per_image=15, seed=0)
    sides = [reference, jitter(reference, box_pixels=box_pixels, score=score, drop=drop, seed=1)]
    everyone = np.array(sorted(scene.sizes))
    before, after = sampled(scene.truth, sides, everyone)
    assert before.values["AP"] is not None
    assert after.values["AP"] is not None
    true = after.values["AP"] - before.values["AP"]

    generator = np.random.default_rng(2)
    held = 0
    for seed in range(PAIRS):
        pair = sampled(scene.truth, sides, everyone[generator.integers(0, POPULATION, SAMPLE)])
        samples = paired_bootstrap(*pair, resamples=RESAMPLES, seed=seed, threads=1)
        estimate = paired_estimate(
            pair[0].values["AP"], pair[1].values["AP"], *samples.metric("AP"), n=SAMPLE
        )
        assert estimate.interval is not None
        held += estimate.interval[0] <= true <= estimate.interval[1]
    assert 0.92 <= held / PAIRS <= 0.98
