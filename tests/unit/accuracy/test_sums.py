"""Resampled sums and quantiles: equal to really repeating what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.accuracy.draws import image_weights
from parity.accuracy.sums import quantiles, resampled_quantiles, resampled_sums

LEVELS = (0.5, 0.95, 0.99)


def weights_of(images: int, resamples: int, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    drawn = image_weights(images, groups=groups, resamples=resamples, seed=seed)
    return np.concatenate([np.asarray(part, np.int64) for part in drawn])


def test_sums_are_those_of_repeated_images() -> None:
    rng = np.random.default_rng(3)
    per_image = rng.normal(size=(37, 4))
    weights = weights_of(37, 300, 5)
    sums = resampled_sums(per_image, resamples=300, seed=5)
    for row in (0, 1, 150, 299):
        repeated = np.repeat(per_image, weights[row], axis=0)
        assert sums[row] == pytest.approx(repeated.sum(axis=0), abs=1e-12)


def test_groups_are_drawn_whole() -> None:
    groups = np.array([4, 4, 4, 9, 9, 7])
    weights = weights_of(6, 50, 1, groups)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 4]).all()
    sums = resampled_sums(np.ones((6, 1)), resamples=50, seed=1, groups=groups)
    assert (sums[:, 0] == weights.sum(axis=1)).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(0, 40))
def test_quantiles_are_those_of_repeated_values(seed: int, images: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 9, count).astype(np.float64)  # ties
    places = rng.integers(0, images, count)
    weights = weights_of(images, 20, seed % 1000)
    found = resampled_quantiles(values, places, LEVELS, images, resamples=20, seed=seed % 1000)
    for row in range(20):
        repeated = np.repeat(values, weights[row][places])
        if len(repeated) == 0:
            assert np.isnan(found[row]).all()
        else:
            assert (found[row] == quantiles(repeated, LEVELS)).all()


def test_quantiles_are_values_that_occurred() -> None:
    assert quantiles(np.array([1.0, 2.0, 10.0]), (0.5, 0.95)).tolist() == [2.0, 10.0]
