"""Intervals, the equivalence decision and the planning of more images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, false_discovery_control

from parity.errors import EvidenceError, UsageError
from parity.statistics import (
    adjusted_p_values,
    binomial_interval,
    binomial_lower_bound,
    binomial_upper_bound,
    equivalence,
    images_that_would_decide,
    interval_of,
    least_resamples,
    paired_estimate,
    percentile_interval,
    two_sided_p,
)

REFERENCE = 0.5 + np.random.default_rng(0).normal(0, 0.01, 1000)
CANDIDATE = REFERENCE + np.random.default_rng(1).normal(-0.001, 0.002, 1000)


def test_interval_ends_are_the_outer_neighbours_of_type_7() -> None:
    samples = np.random.default_rng(2).permutation(1000).astype(float)
    assert percentile_interval(samples) == (24, 975)
    low, high = np.percentile(samples, [2.5, 97.5])
    assert low >= 24
    assert high <= 975
    assert percentile_interval(np.arange(1001.0)) == (25, 975)
    assert percentile_interval(np.arange(1000.0), confidence=0.99) == (4, 995)


def test_interval_needs_enough_resamples() -> None:
    assert least_resamples(0.95) == 40
    assert least_resamples(0.9) == 20
    assert percentile_interval(np.arange(39.0)) is None
    assert percentile_interval(np.arange(40.0)) == (0, 39)
    assert percentile_interval(np.zeros(0)) is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_interval_refuses_samples_that_are_not_finite(value: float) -> None:
    with pytest.raises(EvidenceError, match="not finite"):
        percentile_interval(np.append(np.arange(100.0), value))


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, -0.5])
def test_confidence_must_be_a_share(confidence: float) -> None:
    with pytest.raises(UsageError, match="confidence"):
        percentile_interval(np.arange(100.0), confidence=confidence)


def test_paired_estimate_of_both_kinds() -> None:
    result = paired_estimate(0.5, 0.499, REFERENCE, CANDIDATE, n=100)
    assert result.value == pytest.approx(-0.001)
    assert result.relative_percent == pytest.approx(-0.2)
    assert result.interval == percentile_interval(CANDIDATE - REFERENCE)
    relative = percentile_interval(100 * (CANDIDATE / REFERENCE - 1))
    assert result.relative_percent_interval == pytest.approx(relative)
    assert (result.reason, result.undefined, result.n, result.confidence) == ("", 0, 100, 0.95)


def test_pairing_is_kept() -> None:
    paired = paired_estimate(0.5, 0.499, REFERENCE, CANDIDATE, n=100).interval
    broken = paired_estimate(0.5, 0.499, REFERENCE, CANDIDATE[::-1], n=100).interval
    assert paired is not None
    assert broken is not None
    assert broken[1] - broken[0] > 3 * (paired[1] - paired[0])


def test_swapping_the_sides_mirrors_difference_and_interval() -> None:
    one = paired_estimate(0.5, 0.499, REFERENCE, CANDIDATE, n=100)
    other = paired_estimate(0.499, 0.5, CANDIDATE, REFERENCE, n=100)
    assert one.value == -other.value  # type: ignore[operator]
    assert one.interval == (-other.interval[1], -other.interval[0])  # type: ignore[index]


def test_a_side_against_itself_has_an_interval_without_width() -> None:
    result = paired_estimate(0.5, 0.5, REFERENCE, REFERENCE, n=100)
    assert (result.value, result.interval) == (0, (0, 0))
    assert (result.relative_percent, result.relative_percent_interval) == (0, (0, 0))
    assert equivalence(result.relative_percent, result.relative_percent_interval, 0.1) == "PASS"


def test_one_image_has_no_interval_although_its_resamples_agree() -> None:
    result = paired_estimate(0.5, 0.5, np.full(1000, 0.5), np.full(1000, 0.5), n=1)
    assert result.interval is None
    assert result.relative_percent_interval is None
    assert "at least 2 images" in result.reason
    assert equivalence(result.relative_percent, result.relative_percent_interval, 0.1) == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("reference", "candidate", "side"),
    [
        (None, 0.5, "reference"),
        (0.5, None, "candidate"),
        (math.nan, 0.5, "reference"),
        (0.5, math.inf, "candidate"),
    ],
)
def test_an_undefined_value_leaves_everything_undefined(
    reference: float | None, candidate: float | None, side: str
) -> None:
    result = paired_estimate(reference, candidate, REFERENCE, CANDIDATE, n=100)
    assert (result.value, result.interval, result.relative_percent, result.relative_percent_interval) == (
        None,
    ) * 4
    assert side in result.reason


def test_a_reference_of_zero_has_no_relative_difference() -> None:
    result = paired_estimate(0.0, 0.1, np.zeros(100), np.full(100, 0.1), n=50)
    assert result.value == 0.1
    assert result.interval == (0.1, 0.1)
    assert result.relative_percent is None
    assert result.relative_percent_interval is None
    assert "value is 0" in result.reason


def test_a_reference_of_zero_in_one_resample_has_no_relative_interval() -> None:
    before = REFERENCE.copy()
    before[17] = 0
    result = paired_estimate(0.5, 0.499, before, CANDIDATE, n=100)
    assert result.relative_percent == pytest.approx(-0.2)
    assert result.relative_percent_interval is None
    assert result.interval is not None
    assert "1 of 1000 resamples" in result.reason


def test_undefined_resamples_are_left_out_and_counted() -> None:
    before, after = REFERENCE.copy(), CANDIDATE.copy()
    before[:10] = after[:10] = np.nan
    result = paired_estimate(0.5, 0.499, before, after, n=100)
    assert result.undefined == 10
    assert result.interval == percentile_interval((CANDIDATE - REFERENCE)[10:])
    none = paired_estimate(0.5, 0.499, np.full(1000, np.nan), np.full(1000, np.nan), n=100)
    assert none.interval is None
    assert "only 0 of 1000 resamples" in none.reason
    assert none.undefined == 1000


def test_too_many_undefined_resamples_leave_no_interval() -> None:
    before, after = REFERENCE.copy(), CANDIDATE.copy()
    before[:50] = np.nan
    assert paired_estimate(0.5, 0.499, before, after, n=100).interval is not None
    before[50] = np.nan
    spoiled = paired_estimate(0.5, 0.499, before, after, n=100)
    assert spoiled.interval is None
    assert "only 949 of 1000" in spoiled.reason


def test_unequal_numbers_of_resamples_are_an_error() -> None:
    with pytest.raises(EvidenceError, match="1000 resamples of the reference, 999"):
        paired_estimate(0.5, 0.5, REFERENCE, CANDIDATE[:-1], n=100)


@pytest.mark.parametrize(
    ("value", "interval", "expected"),
    [
        (0.0, (-0.05, 0.05), "PASS"),
        (0.0, (0.0, 0.0), "PASS"),
        (0.05, (0.0, 0.0999), "PASS"),
        (0.05, (0.0, 0.1), "INCONCLUSIVE"),
        (-0.05, (-0.1, 0.0), "INCONCLUSIVE"),
        (0.05, (-0.5, 0.5), "INCONCLUSIVE"),
        (0.1, (0.05, 0.15), "FAIL"),
        (-0.1, (-0.15, -0.05), "FAIL"),
        (0.1, (0.0, 0.01), "FAIL"),
        (0.2, None, "FAIL"),
        (0.05, None, "INCONCLUSIVE"),
        (None, (0.0, 0.0), "INCONCLUSIVE"),
        (math.nan, (0.0, 0.0), "INCONCLUSIVE"),
        (math.inf, (0.0, 0.0), "INCONCLUSIVE"),
        (0.0, (math.nan, 0.0), "INCONCLUSIVE"),
        (0.0, (0.0, math.nan), "INCONCLUSIVE"),
        (0.0, (0.05, -0.05), "INCONCLUSIVE"),
    ],
)
def test_equivalence(value: float | None, interval: tuple[float, float] | None, expected: str) -> None:
    assert equivalence(value, interval, 0.1) == expected


@pytest.mark.parametrize("limit", [0.0, -0.1, math.nan, math.inf])
def test_equivalence_needs_a_positive_limit(limit: float) -> None:
    with pytest.raises(UsageError, match="limit"):
        equivalence(0.0, (0.0, 0.0), limit)


def test_images_that_would_decide() -> None:
    assert images_that_would_decide(100, (-0.05, 0.05), 0.0, 0.1) == 100
    assert images_that_would_decide(100, (0.05, 0.15), 0.1, 0.1) == 100
    assert images_that_would_decide(100, (-0.2, 0.2), 0.0, 0.1) == 401
    assert images_that_would_decide(100, (-0.1, 0.1), 0.0, 0.1) == 101
    assert images_that_would_decide(100, (-0.2, 0.2), 0.05, 0.1) == 901
    assert images_that_would_decide(100, (-0.2, 0.01), 0.0, 0.1) == 401
    assert images_that_would_decide(100, None, 0.0, 0.1) is None
    assert images_that_would_decide(100, (-0.2, 0.2), None, 0.1) is None
    assert images_that_would_decide(100, (math.nan, 0.2), 0.0, 0.1) is None
    assert images_that_would_decide(100, (0.2, -0.2), 0.0, 0.1) is None
    assert images_that_would_decide(0, (-0.2, 0.2), 0.0, 0.1) is None


def test_as_many_images_decide_and_one_fewer_would_not() -> None:
    n, value, low, high = 200, 0.03, -0.25, 0.19
    needed = images_that_would_decide(n, (low, high), value, 0.1)
    assert needed is not None
    outcomes = []
    for count in (needed, needed - 1):
        scale = math.sqrt(n / count)
        outcomes.append(
            equivalence(value, (value + (low - value) * scale, value + (high - value) * scale), 0.1)
        )
    assert outcomes == ["PASS", "INCONCLUSIVE"]


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (3, 10), (990, 1000), (1, 1), (0, 1)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_binomial_interval_is_that_of_scipy(successes: int, n: int, confidence: float) -> None:
    expected = binomtest(successes, n).proportion_ci(confidence, method="exact")
    assert binomial_interval(successes, n, confidence) == pytest.approx(
        (expected.low, expected.high), abs=1e-9
    )
    lower = binomtest(successes, n, alternative="greater").proportion_ci(confidence, method="exact").low
    upper = binomtest(successes, n, alternative="less").proportion_ci(confidence, method="exact").high
    assert binomial_lower_bound(successes, n, confidence) == pytest.approx(lower, abs=1e-9)
    assert binomial_upper_bound(successes, n, confidence) == pytest.approx(upper, abs=1e-9)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_binomial_interval_refuses_counts_that_do_not_fit(successes: int, n: int) -> None:
    with pytest.raises(EvidenceError, match=f"{successes} of {n}"):
        binomial_interval(successes, n)


@given(st.lists(st.floats(0, 1), max_size=40))
def test_adjusted_p_values_are_those_of_scipy(p_values: list[float]) -> None:
    array = np.array(p_values, np.float64)
    expected = false_discovery_control(array, method="bh") if p_values else array
    assert adjusted_p_values(array) == pytest.approx(expected)


def test_chance_of_a_difference() -> None:
    rng = np.random.default_rng(0)
    assert two_sided_p(np.zeros(1000), 0.0, 50) == 1.0
    assert two_sided_p(np.array([]), 0.0, 50) is None
    clear = two_sided_p(rng.normal(1.0, 0.1, 1000), 1.0, 500)
    assert clear is not None and clear < 1e-9, "the tail goes on where the resamples end"
    unclear = two_sided_p(rng.normal(0.1, 0.1, 100_000), 0.1, 500)
    assert unclear == pytest.approx(0.317, abs=0.02)


def test_a_few_images_prove_no_change() -> None:
    """One box that moved looks the same in every resample that draws it."""
    assert two_sided_p(np.full(1000, -0.1), -0.1, 1) is None
    assert two_sided_p(np.full(1000, -0.1), -0.1, 5) == 2 / 2**5
    assert two_sided_p(np.full(1000, -0.1), -0.1, 500) == pytest.approx(0, abs=1e-100)
    steady = np.random.default_rng(0).normal(0.3, 0.1, 1000)
    few, many = two_sided_p(steady, 0.3, 5), two_sided_p(steady, 0.3, 500)
    assert few is not None and many is not None and few > 0.03 > many


def test_too_few_resamples_for_a_confidence_are_said_to_be() -> None:
    interval, reason = interval_of(np.arange(1000.0), n=50, confidence=0.999)
    assert interval is None
    assert "takes 2000" in reason
