"""Estimates: values over images with the interval that resampling the images gives them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from parity.accuracy.sums import quantiles, resampled_quantiles, resampled_sums
from parity.criteria import Estimate
from parity.statistics import Interval, binomial_interval, interval_of

Sums = NDArray[np.float64]
Function = Callable[[Sums], NDArray[np.float64]]
LEVELS = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
RISING = ("median", "95th percentile", "99th percentile", "greatest")
FALLING = ("median", "reached by 95 %", "reached by 99 %", "least")


@dataclass(frozen=True, kw_only=True)
class What:
    """What is estimated: a name that is unique within the pair, and the words for people."""

    group: str
    name: str
    label: str
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How intervals are drawn. images: how many there are. units: images, or groups, that are drawn from."""

    images: int
    units: int
    resamples: int
    seed: int
    confidence: float
    groups: NDArray[np.int64] | None

    def sums(self, *per_image: NDArray[np.float64]) -> tuple[Sums, Sums]:
        """Sums of columns, (images,) each, as measured, (1, k), and on every resample, (resamples, k)."""
        columns = np.stack(per_image, axis=1)
        drawn = resampled_sums(columns, resamples=self.resamples, seed=self.seed, groups=self.groups)
        return columns.sum(axis=0, keepdims=True), drawn

    def of_function(
        self, what: What, sums: tuple[Sums, Sums], function: Function, undefined: str
    ) -> Estimate:
        """A function of sums, (m, k) to (m,), NaN where undefined; `undefined` says when that is."""
        value = float(function(sums[0])[0])
        if not np.isfinite(value):
            return self.missing(what, undefined)
        return self.of_samples(what, value, function(sums[1]))

    def of_share(
        self, what: What, sums: tuple[Sums, Sums], part: int, whole: int, undefined: str
    ) -> Estimate:
        """A share of counts in percent: column `part` of column `whole`.

        Where all or none are in the part, every resample says the same, and the bootstrap's width would be 0
        however few there were. So the interval is never narrower than the exact binomial one.
        """
        found = self.of_function(what, sums, lambda s: 100 * ratio(s[:, part], s[:, whole]), undefined)
        if found.interval is None:
            return found
        exact = binomial_interval(int(sums[0][0, part]), int(sums[0][0, whole]), self.confidence)
        wide = min(found.interval[0], 100 * exact[0]), max(found.interval[1], 100 * exact[1])
        return found.model_copy(update={"interval": wide})

    def of_quantiles(
        self, what: What, values: NDArray[np.float64], images: NDArray[np.int64], *, falling: bool = False
    ) -> list[Estimate]:
        """Median, p95, p99 and the extreme of values of single pairs, whose images are at `images`.

        falling: count from the greatest down, so that p99 is what 99 percent of the pairs reach.
        """
        sign = -1.0 if falling else 1.0
        keys = (*LEVELS, "min" if falling else "max")
        whats = [
            replace(what, name=f"{what.name}.{key}", label=f"{what.label}, {word}")
            for key, word in zip(keys, FALLING if falling else RISING, strict=True)
        ]
        if len(values) == 0:
            return [self.missing(each, "no pair to measure") for each in whats]
        levels = list(LEVELS.values())
        seen = sign * quantiles(sign * values, levels)
        drawn = sign * resampled_quantiles(
            sign * values,
            images,
            levels,
            self.images,
            resamples=self.resamples,
            seed=self.seed,
            groups=self.groups,
        )
        found = [self.of_samples(each, float(seen[i]), drawn[:, i]) for i, each in enumerate(whats[:-1])]
        extreme = float(sign * (sign * values).max())
        why = "resampling cannot go beyond the extreme value that was seen"
        return [*found, self.estimate(whats[-1], extreme, None, why)]

    def of_samples(self, what: What, value: float, samples: NDArray[np.float64]) -> Estimate:
        """A value with the interval of its resamples, (resamples,), NaN where undefined."""
        return self.estimate(what, value, *interval_of(samples, n=self.units, confidence=self.confidence))

    def estimate(self, what: What, value: float | None, interval: Interval | None, reason: str) -> Estimate:
        """An estimate on these images."""
        return Estimate(
            group=what.group,
            name=what.name,
            label=what.label,
            value=value,
            unit=what.unit,
            interval=interval,
            confidence=None if interval is None else self.confidence,
            n=self.units,
            reason=reason,
        )

    def missing(self, what: What, reason: str) -> Estimate:
        """An estimate that could not be made."""
        return self.estimate(what, None, None, reason)


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Part / whole, NaN where whole is 0."""
    result: NDArray[np.float64] = np.full(len(part), np.nan)
    np.divide(part, whole, out=result, where=whole != 0)
    return result
