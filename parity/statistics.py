"""Intervals of paired differences, the equivalence decision, and how many images would settle it.

Everything here is a pure function of numbers that were measured before. What cannot be computed is None
with a reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtr

from parity.errors import EvidenceError, UsageError

Interval = tuple[float, float]
Decision = Literal["PASS", "FAIL", "INCONCLUSIVE"]


MOST_UNDEFINED = 0.05
"""Share of resamples without a value over which the others no longer stand for all."""


@dataclass(frozen=True, kw_only=True)
class PairedEstimate:
    """Candidate minus reference, absolute and in percent of the reference's value.

    value, interval: in the unit of the inputs. relative_percent, relative_percent_interval: in percent.
    reason: why something here is None, else empty. n: images (or groups) that were resampled.
    undefined: resamples in which the value is undefined; the intervals rest on the others.
    """

    value: float | None
    interval: Interval | None
    confidence: float
    relative_percent: float | None
    relative_percent_interval: Interval | None
    reason: str
    n: int
    undefined: int


LEAST_UNITS = 5
"""Images (or groups) with boxes of a class without which a change of it is not tested."""


def percentile_interval(samples: NDArray[np.float64], *, confidence: float = 0.95) -> Interval | None:
    """Percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13) of finite samples, shape (m,).

    With m samples in order, x[0] to x[m-1], the ends are x[k] and x[m-1-k] for
    k = floor((m-1) (1-confidence) / 2): the outer neighbours of Hyndman and Fan's type 7 quantiles,
    NumPy's "lower" and "higher". Chosen because the interval is then never narrower than the interpolated
    one, both ends are values that occurred, and swapping the sides mirrors it exactly.

    None when there are fewer than `least_resamples(confidence)` samples, for then the ends would only be the
    extremes. Raises EvidenceError for samples that are not finite, UsageError for a confidence not in (0, 1).
    """
    if not np.isfinite(samples).all():
        raise EvidenceError("resampled values that are not finite", expected="undefined ones to be left out")
    count = len(samples)
    if count < least_resamples(confidence):
        return None
    k = math.floor((count - 1) * (1 - confidence) / 2)
    ordered = np.sort(samples)
    return float(ordered[k]), float(ordered[count - 1 - k])


def least_resamples(confidence: float) -> int:
    """Resamples without which a percentile interval says nothing: one beyond each end, 40 at 95 percent."""
    if not 0 < confidence < 1:
        raise UsageError(f"confidence is {confidence}", expected="a number between 0 and 1, such as 0.95")
    return math.ceil(2 / (1 - confidence) - 1e-9)


def interval_of(
    samples: NDArray[np.float64], *, n: int, confidence: float = 0.95
) -> tuple[Interval | None, str]:
    """Percentile interval of resampled values, shape (m,), NaN where undefined, and why there is none.

    An interval needs n >= 2 images, since every resample of a single one is that image again and would give
    a width of 0, and a value in nearly all resamples, or those that have one no longer stand for all.
    """
    if n < 2:
        return None, f"an interval needs at least 2 images or groups to draw from, there are {n}"
    defined = samples[~np.isnan(samples)]
    if len(samples) < least_resamples(confidence):
        least = least_resamples(confidence)
        return None, f"{len(samples)} resamples are too few for {confidence:g}, which takes {least}"
    if len(defined) < max(least_resamples(confidence), (1 - MOST_UNDEFINED) * len(samples)):
        told = f"only {len(defined)} of {len(samples)} resamples have a value, too few for an interval"
        return None, told
    return percentile_interval(defined, confidence=confidence), ""


def paired_estimate(
    reference: float | None,
    candidate: float | None,
    reference_samples: NDArray[np.float64],
    candidate_samples: NDArray[np.float64],
    *,
    n: int,
    confidence: float = 0.95,
) -> PairedEstimate:
    """Difference of two values that were measured on the same n images, with its bootstrap intervals.

    *_samples: float64 (resamples,), both sides on the same draws, NaN where undefined. An interval needs two
    images, since every resample of a single one is that image again and would give a width of 0. The
    relative interval is that of the ratio within each resample; it is None when the reference is 0 in any.
    Raises EvidenceError when the samples are of unequal number.
    """
    if len(reference_samples) != len(candidate_samples):
        raise EvidenceError(
            f"{len(reference_samples)} resamples of the reference, {len(candidate_samples)} of the candidate",
            expected="the same draws on both sides",
        )
    defined = ~(np.isnan(reference_samples) | np.isnan(candidate_samples))
    before, after = reference_samples[defined], candidate_samples[defined]
    reasons = []
    value = relative = interval = relative_interval = None
    for side, number in (("reference", reference), ("candidate", candidate)):
        if number is None or not math.isfinite(number):
            reasons.append(f"the {side}'s value is undefined")
    if reference is not None and candidate is not None and not reasons:
        value = candidate - reference
        relative = 100 * value / reference if reference != 0 else None
        differences = np.where(defined, candidate_samples - reference_samples, np.nan)
        interval, why = interval_of(differences, n=n, confidence=confidence)
        reasons += [why] if why else []
        if reference == 0:
            reasons.append("the reference's value is 0, which nothing can be a percentage of")
        elif interval is not None and (before == 0).any():
            share = f"{int((before == 0).sum())} of {len(before)}"
            reasons.append(f"the reference's value is 0 in {share} resamples, so it has no relative interval")
        elif interval is not None:
            relative_interval = percentile_interval(100 * (after - before) / before, confidence=confidence)
    return PairedEstimate(
        value=value,
        interval=interval,
        confidence=confidence,
        relative_percent=relative,
        relative_percent_interval=relative_interval,
        reason="; ".join(reasons),
        n=n,
        undefined=int((~defined).sum()),
    )


def two_sided_p(differences: NDArray[np.float64], value: float, units: int) -> float | None:
    """How likely a difference this far from 0 is by chance, from its bootstrap samples, shape (m,), no NaN.

    The greatest of three answers: twice the share of samples on the other side of 0 (the bootstrap's achieved
    significance level, Efron and Tibshirani 1993, chapter 15), and the tail of Student's t of value /
    standard deviation with units - 1 degrees of freedom, units being the images (or groups) that hold what
    is measured. The first alone calls every small class changed, because three images resampled look far
    steadier than they are; where no sample lies on the other side of 0 it has no resolution left, and the
    second decides. The third is 2 / 2**units, the least that changing sides image by image could come to.
    None without samples or with fewer than LEAST_UNITS units.
    """
    if len(differences) == 0 or units < LEAST_UNITS:
        return None
    beyond = min(int((differences <= 0).sum()), int((differences >= 0).sum())) / len(differences)
    if differences.min() == differences.max():
        tail = 1.0 if value == 0 else 0.0
    else:
        tail = float(2 * stdtr(units - 1, -abs(value) / differences.std()))
    return min(1.0, max(2 * beyond, tail, 2.0 ** (1 - units)))


def adjusted_p_values(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """p-values of shape (m,) adjusted to control the false discovery rate (Benjamini and Hochberg 1995).

    The i-th smallest of m becomes p m / i, or that of a larger one where it is less. SciPy's
    `false_discovery_control`, which importing takes a second; tests hold this to it.
    """
    order = np.argsort(p_values, kind="stable")[::-1]
    scaled = p_values[order] * len(p_values) / np.arange(len(p_values), 0, -1)
    result = np.empty_like(p_values)
    result[order] = np.minimum.accumulate(np.minimum(scaled, 1.0))
    return result


def equivalence(value: float | None, interval: Interval | None, limit: float) -> Decision:
    """Whether a difference stays under a limit, all three in the same unit.

    FAIL when |value| >= limit, whatever the interval. PASS only when the whole interval lies strictly between
    -limit and limit (the two one-sided tests of Schuirmann 1987, in their interval form). Otherwise, and
    whenever something is missing or not finite, INCONCLUSIVE.
    Raises UsageError unless the limit is a positive number.
    """
    if not (math.isfinite(limit) and limit > 0):
        raise UsageError(f"the limit is {limit}", expected="a positive number")
    if value is None or not math.isfinite(value):
        return "INCONCLUSIVE"
    if abs(value) >= limit:
        return "FAIL"
    if interval is None or not all(map(math.isfinite, interval)) or interval[0] > interval[1]:
        return "INCONCLUSIVE"
    return "PASS" if -limit < interval[0] and interval[1] < limit else "INCONCLUSIVE"


def images_that_would_decide(
    n: int, interval: Interval | None, value: float | None, limit: float
) -> int | None:
    """How many images would bring the interval inside the limit, if the measured value stayed.

    Each end's distance from the value is taken to shrink as 1/sqrt(n), as a mean's does; this plans a run
    and proves nothing. Returns n itself when `equivalence` decides already, None when it cannot say.
    """
    if equivalence(value, interval, limit) != "INCONCLUSIVE":
        return n
    if value is None or interval is None or n < 1 or not all(map(math.isfinite, (value, *interval))):
        return None
    if interval[0] > interval[1]:
        return None
    shrink = max((interval[1] - value) / (limit - value), (value - interval[0]) / (value + limit))
    needed = n * shrink**2
    return max(n, math.floor(needed)) + 1 if math.isfinite(needed) else None


def binomial_interval(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Exact two-sided interval of a share (Clopper and Pearson 1934), 0 to 1, half of the error on each side.

    For independent trials. Detections of one image are not quite that, so where it matters count images.
    Raises EvidenceError when there were no trials, or the counts do not fit together.
    """
    one_sided = (1 + confidence) / 2
    return (
        binomial_lower_bound(successes, n, one_sided),
        binomial_upper_bound(successes, n, one_sided),
    )


def binomial_lower_bound(successes: int, n: int, confidence: float = 0.95) -> float:
    """One-sided exact lower bound of a share; otherwise as `binomial_interval`."""
    _check_counts(successes, n, confidence)
    return 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, 1 - confidence))


def binomial_upper_bound(successes: int, n: int, confidence: float = 0.95) -> float:
    """One-sided exact upper bound of a share; otherwise as `binomial_interval`."""
    _check_counts(successes, n, confidence)
    return 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, confidence))


def _check_counts(successes: int, n: int, confidence: float) -> None:
    least_resamples(confidence)
    if n < 1 or not 0 <= successes <= n:
        raise EvidenceError(f"{successes} of {n}", expected="a count from 0 to a total of at least 1")
