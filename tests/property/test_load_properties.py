"""Schedules of open loops, and histograms, for any rate and any latencies."""

from __future__ import annotations

from itertools import islice

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import expon, kstest

from parity.load.histogram import decode, record
from parity.load.schedule import intended_times

RATES = st.floats(1e-3, 1e5)
SEEDS = st.integers(0, 2**32 - 1)


@given(RATES, st.integers(0, 10_000))
def test_constant_arrivals_have_no_error_that_grows(rate: float, skip: int) -> None:
    times = list(islice(intended_times(rate, "constant", 0), skip, skip + 3))
    assert times == [number / rate for number in range(skip, skip + 3)]


@given(RATES, SEEDS)
def test_poisson_arrivals_rise_repeat_with_their_seed_and_scale_with_the_rate(rate: float, seed: int) -> None:
    times = np.array(list(islice(intended_times(rate, "poisson", seed), 5000)))
    assert times[0] > 0 and (np.diff(times) >= 0).all()
    assert times.tolist() == list(islice(intended_times(rate, "poisson", seed), 5000))
    unit = np.array(list(islice(intended_times(1.0, "poisson", seed), 5000)))
    assert np.allclose(times * rate, unit, rtol=1e-9)


def test_poisson_gaps_are_exponential_and_independent_across_chunks() -> None:
    gaps = np.diff(np.array(list(islice(intended_times(50.0, "poisson", 11), 20_000))), prepend=0.0)
    assert kstest(gaps, expon(scale=1 / 50).cdf).pvalue > 0.01
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 3 / np.sqrt(len(gaps))


@given(st.lists(st.floats(1e-6, 500.0), min_size=1, max_size=200), st.sampled_from([1, 50, 90, 95, 99, 100]))
def test_histogram_quantiles_are_within_three_digits(seconds: list[float], percent: int) -> None:
    values = np.array(seconds)
    histogram = decode(record(values)[0])
    assert histogram.get_total_count() == len(values)
    found = histogram.get_value_at_percentile(percent)
    ordered = np.sort(np.rint(values * 1e6))
    rank = max(1, int(percent * len(values) / 100 + 0.5))
    assert abs(found - ordered[rank - 1]) <= 1e-3 * ordered[rank - 1] + 1
