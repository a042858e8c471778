"""Candidate against reference over turns: values, one-sided bounds, and when there are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import t

from parity.load.plan import Load, closed, opened
from parity.load.ratios import loads_of, p95_ratios, throughput_ratios
from parity.serving.evidence import Latency, LoadStep, SideName, Value


def step(side: SideName, turn: int, p95: float | None, load: Load | None = None) -> LoadStep:
    load = load or closed(4)
    latency = None
    if p95 is not None:
        latency = Latency(
            n=100,
            mean=p95,
            p50=Value(value=p95),
            p90=Value(value=p95),
            p95=Value(value=p95),
            p99=Value(value=p95),
            max=p95,
            confidence=0.95,
            histogram=None,
        )
    return LoadStep(
        side=side,
        turn=turn,
        loop=load.loop,
        concurrency=load.concurrency,
        rate=load.rate,
        arrivals=load.arrivals,
        warmup_requests=0,
        seconds=10,
        sent=100,
        ok=100 if latency else 0,
        failed={} if latency else {"unavailable": 100},
        latency=latency,
        throughput=Value(value=10.0),
        stable=True,
        stability="",
    )


def turns(pairs: list[tuple[float | None, float | None]], load: Load | None = None) -> list[LoadStep]:
    sides: tuple[SideName, ...] = ("reference", "candidate")
    return [
        step(side, turn, value, load)
        for turn, pair in enumerate(pairs)
        for side, value in zip(sides, pair, strict=True)
    ]


def test_the_bounds_are_students_on_the_logarithms_of_the_turns() -> None:
    (ratio,) = p95_ratios(turns([(10, 8), (20, 17), (10, 9)]))
    logs = np.log([0.8, 0.85, 0.9])
    half = t.ppf(0.95, 2) * logs.std(ddof=1) / math.sqrt(3)
    assert ratio.value == pytest.approx(math.exp(logs.mean()))
    assert ratio.upper == pytest.approx(math.exp(logs.mean() + half))
    assert ratio.lower == pytest.approx(math.exp(logs.mean() - half))
    assert (ratio.turns, ratio.confidence, ratio.reason) == (3, 0.95, "")


def test_swapping_the_sides_gives_the_reciprocal() -> None:
    pairs: list[tuple[float | None, float | None]] = [(10, 8), (20, 17), (10, 9)]
    (one,) = p95_ratios(turns(pairs))
    (other,) = p95_ratios(turns([(b, a) for a, b in pairs]))
    assert one.upper is not None and other.lower is not None and one.value and other.value
    assert one.value * other.value == pytest.approx(1)
    assert one.upper * other.lower == pytest.approx(1)


def test_each_load_has_its_own_ratio() -> None:
    steps = turns([(10, 5), (10, 5)], closed(1)) + turns([(10, 20), (10, 20)], opened(50, "poisson"))
    assert loads_of(steps) == [closed(1), opened(50, "poisson")]
    assert [ratio.value for ratio in p95_ratios(steps)] == [pytest.approx(0.5), pytest.approx(2.0)]
    assert [ratio.value for ratio in throughput_ratios(steps)] == [1.0, 1.0]


def test_without_evidence_there_is_no_ratio() -> None:
    assert p95_ratios([]) == []
    (one_sided,) = p95_ratios([step("candidate", 0, 10)])
    assert (one_sided.value, one_sided.upper, one_sided.turns) == (None, None, 0)
    assert one_sided.reason == "1 of 1 turns have no value on both sides"


def test_one_turn_has_a_value_and_no_bounds() -> None:
    (ratio,) = p95_ratios(turns([(10, 8)]))
    assert ratio.value == pytest.approx(0.8) and (ratio.lower, ratio.upper) == (None, None)
    assert "drift" in ratio.reason


def test_a_turn_in_which_one_side_answered_nothing_leaves_no_bounds() -> None:
    (ratio,) = p95_ratios(turns([(10, 8), (10, None), (10, 8)]))
    assert ratio.value == pytest.approx(0.8) and (ratio.upper, ratio.turns) == (None, 2)
    assert ratio.reason == "1 of 3 turns have no value on both sides"


def test_a_turn_that_is_there_twice_leaves_no_bounds() -> None:
    (ratio,) = p95_ratios([*turns([(10, 8), (10, 8), (10, 8)]), step("candidate", 1, 1)])
    assert (ratio.upper, ratio.reason) == (None, "turn 1 is there twice on one side")


def test_the_bound_covers_under_drift_that_both_sides_of_a_turn_share() -> None:
    """Requests are alike, turns differ by a factor of up to two, sides of a turn by 4 percent of noise."""
    generator = np.random.default_rng(7)
    repeats, count, n, true = 300, 3, 1000, 0.9
    noise = generator.standard_normal((repeats, count, 2, n))
    series = np.exp(0.2 * np.asarray(lfilter([math.sqrt(1 - 0.95**2)], [1, -0.95], noise, axis=3)))
    drift = np.exp(generator.uniform(0, math.log(2), (repeats, count, 1)))
    own = np.exp(0.04 * generator.standard_normal((repeats, count, 2)))
    p95 = np.quantile(series, 0.95, axis=3) * drift * own * np.array([1.0, true])
    covered = 0
    for row in p95:
        (ratio,) = p95_ratios(turns([(float(a), float(b)) for a, b in row]))
        assert ratio.upper is not None
        covered += ratio.upper >= true
    assert covered / repeats > 0.91  # 95 percent is meant
