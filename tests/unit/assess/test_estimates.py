"""Estimates: a value with its interval, or the reason why there is none."""

from __future__ import annotations

import numpy as np
import pytest

from parity.assess.estimates import Resampling, What, ratio
from parity.statistics import binomial_interval

WHAT = What(group="g", name="g.n", label="A share", unit="%")


def how(units: int = 10, resamples: int = 200) -> Resampling:
    return Resampling(images=units, units=units, resamples=resamples, seed=0, confidence=0.95, groups=None)


def test_a_ratio_of_nothing_is_undefined() -> None:
    found = ratio(np.array([1.0, 0.0, 3.0]), np.array([2.0, 0.0, 0.0]))
    assert found[0] == 0.5
    assert np.isnan(found[1:]).all()


def test_a_function_without_a_value_says_why() -> None:
    resampling = how()
    sums = resampling.sums(np.zeros(10), np.zeros(10))
    found = resampling.of_function(WHAT, sums, lambda s: ratio(s[:, 0], s[:, 1]), "no box")
    assert (found.value, found.interval, found.confidence, found.n) == (None, None, None, 10)
    assert found.reason == "no box"


def test_what_every_image_says_alike_has_no_width() -> None:
    resampling = how()
    sums = resampling.sums(np.full(10, 2.0), np.full(10, 4.0))
    assert sums[0].tolist() == [[20.0, 40.0]]
    found = resampling.of_function(WHAT, sums, lambda s: ratio(s[:, 0], s[:, 1]), "")
    assert (found.value, found.interval, found.reason) == (0.5, (0.5, 0.5), "")


@pytest.mark.parametrize(("part", "share"), [(0.0, 0.0), (3.0, 100.0)])
def test_a_share_of_none_or_all_is_as_wide_as_its_count_allows(part: float, share: float) -> None:
    """Resampling says the same however few there are; the exact interval does not."""
    resampling = how()
    sums = resampling.sums(np.full(10, part), np.full(10, 3.0))
    found = resampling.of_share(WHAT, sums, 0, 1, "")
    exact = binomial_interval(int(10 * part), 30)
    assert found.value == share
    assert found.interval == pytest.approx((100 * exact[0], 100 * exact[1]))


def test_a_share_of_nothing_says_why() -> None:
    resampling = how()
    found = resampling.of_share(WHAT, resampling.sums(np.zeros(10), np.zeros(10)), 0, 1, "no detection")
    assert (found.value, found.interval, found.reason) == (None, None, "no detection")


def test_a_single_image_gives_no_interval() -> None:
    resampling = how(units=1)
    sums = resampling.sums(np.ones(1), np.full(1, 2.0))
    for found in (
        resampling.of_share(WHAT, sums, 0, 1, ""),
        resampling.of_function(WHAT, sums, lambda s: 100 * ratio(s[:, 0], s[:, 1]), ""),
    ):
        assert (found.value, found.interval) == (50.0, None)
        assert "at least 2 images" in found.reason


def test_too_few_resamples_give_no_interval() -> None:
    resampling = how(resamples=10)
    found = resampling.of_share(WHAT, resampling.sums(np.ones(10), np.full(10, 2.0)), 0, 1, "")
    assert (found.value, found.interval) == (50.0, None)
    assert "too few" in found.reason


@pytest.mark.parametrize(("falling", "keys"), [(False, "max"), (True, "min")])
def test_quantiles_count_from_the_side_that_is_asked_for(falling: bool, keys: str) -> None:
    values, images = np.arange(1.0, 101.0), np.arange(100) // 10
    found = {e.name: e for e in how().of_quantiles(WHAT, values, images, falling=falling)}
    assert list(found) == ["g.n.p50", "g.n.p95", "g.n.p99", f"g.n.{keys}"]
    assert found[f"g.n.{keys}"].value == (1.0 if falling else 100.0)
    assert found[f"g.n.{keys}"].interval is None
    assert "cannot go beyond" in found[f"g.n.{keys}"].reason
    middle, far = found["g.n.p50"].value, found["g.n.p99"].value
    assert middle is not None and far is not None
    assert 49 <= middle <= 52
    assert far <= 3 if falling else far >= 98
    interval = found["g.n.p50"].interval
    assert interval is not None and interval[0] <= middle <= interval[1]


def test_quantiles_of_nothing_say_so() -> None:
    found = how().of_quantiles(WHAT, np.zeros(0), np.zeros(0, np.int64))
    assert [(e.value, e.interval, e.reason) for e in found] == [(None, None, "no pair to measure")] * 4
