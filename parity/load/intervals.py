"""Intervals of quantiles and rates of a step, whose requests are not independent of each other.

Requests share queues, batches and the machine's bad moments, so neighbouring latencies are alike, and an
interval from order statistics or from resampling single requests is too narrow. Here the answers, in their
order of arrival, are cut into batches of consecutive ones. The spread of the batches' quantiles around the
quantile of all gives the error (sectioning: Asmussen and Glynn 2007, "Stochastic Simulation", III.5a;
Nakayama 2014 for quantiles; Munoz 2010 shows that batches of a Markov chain do). Centring on the quantile
of all rather than on the batches' mean leaves out most of the small batches' bias. What likeness is left
between neighbouring batches widens the interval as in Skart (Tafazzoli and Wilson 2011). Student's t with
batches - 1 degrees of freedom takes account of their small number, of which more than some 30 are of no
use (Schmeiser 1982).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Interval = tuple[float, float]
CONFIDENCE = 0.95
LEAST_BATCHES = 5
MOST_BATCHES = 20
BEYOND = 10
"""Answers beyond the quantile that a batch is to have: 200 answers a batch for p95, 1000 for p99."""
LEAST_FOR_LIKENESS = 10
"""Batches without which their likeness cannot be estimated."""
MOST_LIKENESS = 0.8


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value, and its interval or why there is none."""

    value: float
    interval: Interval | None
    reason: str = ""


def nearest_rank(ordered: NDArray[np.float64], quantile: float) -> float:
    """The smallest value that at least the share `quantile` of all does not exceed. ordered: rising, n >= 1.

    HdrHistogram's definition, and NumPy's "inverted_cdf".
    """
    return float(ordered[max(0, math.ceil(quantile * len(ordered) - 1e-9) - 1)])


def quantile_estimate(
    latencies: NDArray[np.float64], quantile: float, confidence: float = CONFIDENCE
) -> Estimate:
    """A quantile of positive values (n,) in their order of arrival, n >= 1, with its two-sided interval."""
    value = nearest_rank(np.sort(latencies), quantile)
    each = math.ceil(BEYOND / min(quantile, 1 - quantile) - 1e-9)
    batches = min(MOST_BATCHES, len(latencies) // each)
    if batches < LEAST_BATCHES:
        needed = LEAST_BATCHES * each
        return Estimate(
            value=value,
            interval=None,
            reason=f"{len(latencies)} answers, {needed} ({LEAST_BATCHES} batches of {each}) make an interval",
        )
    parts = [nearest_rank(np.sort(part), quantile) for part in np.array_split(latencies, batches)]
    if min(parts) <= 0:
        return Estimate(value=value, interval=None, reason="a latency of 0")
    half = _half_width(np.log(parts), math.log(value), confidence)
    return Estimate(value=value, interval=(value * math.exp(-half), value * math.exp(half)))


def rate_estimate(
    counts: NDArray[np.float64], seconds: NDArray[np.float64], confidence: float = CONFIDENCE
) -> Estimate:
    """Answers a second over windows of `counts` answers and `seconds` length, both (m,), m >= 1."""
    value = float(counts.sum() / seconds.sum())
    if len(counts) < LEAST_BATCHES:
        return Estimate(
            value=value, interval=None, reason=f"{len(counts)} windows, an interval takes {LEAST_BATCHES}"
        )
    batches = min(MOST_BATCHES, len(counts))
    rates = np.array(
        [c.sum() / s.sum() for c, s in zip(_split(counts, batches), _split(seconds, batches), strict=True)]
    )
    half = _half_width(rates, value, confidence)
    return Estimate(value=value, interval=(max(0.0, value - half), value + half))


def _split(values: NDArray[np.float64], batches: int) -> list[NDArray[np.float64]]:
    return np.array_split(values, batches)


def _half_width(parts: NDArray[np.float64], centre: float, confidence: float) -> float:
    """Student's t times the standard error of `centre`, from batches (b,) of consecutive answers."""
    batches = len(parts)
    variance = float(((parts - centre) ** 2).sum() / (batches - 1) / batches)
    likeness = _likeness(parts)
    widening = math.sqrt((1 + likeness) / (1 - likeness))
    return float(stdtrit(batches - 1, (1 + confidence) / 2)) * math.sqrt(variance) * widening


def _likeness(parts: NDArray[np.float64]) -> float:
    """Correlation of neighbouring batches, 0 to MOST_LIKENESS, less biased by their number (Kendall 1954)."""
    centred = parts - parts.mean()
    spread = float((centred**2).sum())
    if len(parts) < LEAST_FOR_LIKENESS or spread <= 0:
        return 0.0
    correlation = float((centred[1:] * centred[:-1]).sum()) / spread
    corrected = correlation + (1 + 3 * correlation) / len(parts)
    return min(MOST_LIKENESS, max(0.0, corrected))
