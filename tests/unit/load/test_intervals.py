"""Intervals of quantiles and rates: their coverage where requests are alike, and when there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import ndtri
from scipy.stats import binom

from parity.load.intervals import nearest_rank, quantile_estimate, rate_estimate

REPEATS = 200
SPREAD = 0.4


def alike(rho: float, n: int, seed: int = 3) -> NDArray[np.float64]:
    """Log-normal latencies (REPEATS, n) whose logarithms are an AR(1) of unit variance, times SPREAD."""
    steps = np.random.default_rng(seed).standard_normal((REPEATS, n))
    steps[:, 1:] *= np.sqrt(1 - rho**2)
    return np.exp(SPREAD * np.asarray(lfilter([1], [1, -rho], steps, axis=1)))


def independent_interval(latencies: NDArray[np.float64], quantile: float) -> tuple[float, float]:
    """The usual order statistics, right for requests that have nothing to do with each other."""
    n = len(latencies)
    low, high = binom.ppf(0.025, n, quantile), binom.ppf(0.975, n, quantile)
    ordered = np.sort(latencies)
    return float(ordered[max(0, int(low) - 1)]), float(ordered[min(n - 1, int(high))])


@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("rho", [0.0, 0.9, 0.98])
def test_the_interval_covers_the_true_quantile_however_alike_neighbours_are(
    rho: float, quantile: float
) -> None:
    true = float(np.exp(SPREAD * ndtri(quantile)))
    covered = usual = 0
    for latencies in alike(rho, 5000):
        interval = quantile_estimate(latencies, quantile).interval
        assert interval is not None
        covered += interval[0] <= true <= interval[1]
        low, high = independent_interval(latencies, quantile)
        usual += low <= true <= high
    # 95 percent is meant; the limit leaves the simulation three standard errors.
    assert covered / REPEATS > 0.90
    if rho == 0.98:
        assert usual / REPEATS < 0.75, "the data are not alike enough to try the method"


def test_a_rate_that_wanders_is_covered_too() -> None:
    wandering = np.random.default_rng(5).standard_normal((REPEATS, 30))
    wandering[:, 1:] *= np.sqrt(1 - 0.5**2)
    counts = 100 + 10 * np.asarray(lfilter([1], [1, -0.5], wandering, axis=1))
    covered = 0
    for row in counts:
        interval = rate_estimate(row, np.full(30, 2.0)).interval
        assert interval is not None
        covered += interval[0] <= 50 <= interval[1]
    assert covered / REPEATS > 0.88


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [1, 2, 3, 20, 101, 1000])
def test_the_value_is_numpys_inverted_cdf(n: int, quantile: float) -> None:
    values = np.random.default_rng(n).exponential(10, n)
    expected = np.quantile(values, quantile, method="inverted_cdf")
    assert nearest_rank(np.sort(values), quantile) == expected
    assert quantile_estimate(values, quantile).value == expected


@pytest.mark.parametrize(("n", "quantile"), [(1, 0.5), (99, 0.5), (999, 0.95), (4999, 0.99)])
def test_too_few_answers_have_no_interval_and_say_how_many_it_takes(n: int, quantile: float) -> None:
    estimate = quantile_estimate(np.arange(1.0, n + 1), quantile)
    assert estimate.interval is None
    assert estimate.reason.startswith(f"{n} answers, {n + 1 if n > 1 else 100} (5 batches of")
    assert quantile_estimate(np.arange(1.0, max(n + 2, 101)), quantile).interval is not None


def test_too_few_windows_have_no_interval() -> None:
    estimate = rate_estimate(np.array([10.0, 12.0]), np.array([1.0, 1.0]))
    assert (estimate.value, estimate.interval) == (11.0, None)
    assert estimate.reason == "2 windows, an interval takes 5"


def test_equal_latencies_have_an_interval_of_no_width() -> None:
    assert quantile_estimate(np.full(2000, 7.0), 0.95).interval == pytest.approx((7.0, 7.0))


def test_longer_steps_have_narrower_intervals() -> None:
    def width(n: int) -> float:
        intervals: list[Any] = [quantile_estimate(row, 0.95).interval for row in alike(0.9, n)[:20]]
        return float(np.mean([np.log(high / low) for low, high in intervals]))

    assert width(16_000) < 0.7 * width(4_000)
