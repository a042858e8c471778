"""For a data set of n images: which limit of the AP difference can it prove, and how many images would do?

The answer is extrapolated from an interval on n0 images, that of an earlier comparison or of simulated
detections, by one assumption: each end's distance from the value shrinks as 1/sqrt(n), as a mean's does,
while the value stays. That plans a comparison and proves nothing.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from parity.accuracy.bootstrap import paired_bootstrap
from parity.accuracy.coco import evaluate, index_truth
from parity.criteria.map_variance import MapVarianceParameters
from parity.dataset import GroundTruth
from parity.errors import UsageError
from parity.files import write_whole
from parity.policies import load as load_policy
from parity.progress import Step
from parity.report.document import Pair, Report
from parity.simulation import DRIFTS, Drift, drifted, simulate
from parity.statistics import Interval, paired_estimate

GRID = (*(step * 10**power for power in range(2, 6) for step in (1, 2, 5)), 10**6)
"""Numbers of images that every plan has a row for."""

LEAST_IMAGES = load_policy("comparison").parameters(MapVarianceParameters, "map_variance").least_images
"""Fewer are never enough for PASS of `parity compare`, however narrow the interval."""


@dataclass(frozen=True, kw_only=True)
class PlanRow:
    """With this many images, the smallest limit that the whole interval would stay inside, in percent.

    None for fewer than LEAST_IMAGES, which prove nothing.
    """

    images: int
    provable_percent: float | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one source says about a data set.

    source: where the interval comes from. images: in the data set planned for. measured_images: those the
    interval rests on. observed_percent, interval_percent: the AP difference in percent of the reference's AP.
    half_width_percent: half of the interval's width. rows: by rising number of images, GRID and `images`
    itself. needed: images for `limit_percent`. What could not be computed is None or empty, and `reason`
    says why.
    """

    source: str
    images: int
    measured_images: int
    confidence: float | None
    observed_percent: float | None
    interval_percent: Interval | None
    half_width_percent: float | None
    limit_percent: float
    rows: tuple[PlanRow, ...]
    needed: int | None
    reason: str

    def provable_percent(self, images: float) -> float | None:
        """The smallest limit that so many images can prove; None for too few, or without rows."""
        if not self.rows or self.observed_percent is None or self.interval_percent is None:
            return None
        if images < LEAST_IMAGES:
            return None
        return _provable(self.observed_percent, self.interval_percent, self.measured_images / images)


def plan_from_report(report: Report, images: int, limit_percent: float, model: str | None = None) -> Plan:
    """Plan from an earlier comparison's AP difference; `model` may be left out when there is only one.

    Raises UsageError for a model that the report has not, or when it does not say which.
    """
    pair = _pair(report, model)
    if pair.accuracy is None:
        raise UsageError(
            f"accuracy of {pair.model!r} was not measured",
            where=f"report {report.run_id}",
            expected="the report of `parity run` or `parity compare`",
        )
    difference = pair.accuracy.difference["AP"]
    return _plan(
        source=f"report {report.run_id}, {pair.model}",
        images=images,
        measured_images=pair.images.answered_by_both,
        confidence=difference.confidence,
        value=difference.relative_percent,
        interval=difference.relative_percent_interval,
        limit_percent=limit_percent,
        why=difference.reason,
    )


def plan_by_simulation(
    truth: GroundTruth,
    image_sizes: Mapping[int, tuple[int, int]],
    category_ids: Iterable[int],
    *,
    limit_percent: float = 0.1,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    per_image: int = 100,
    drifts: Sequence[Drift] = DRIFTS,
    threads: int | None = None,
    step: Step | None = None,
) -> list[Plan]:
    """Plan from simulated detections on real annotations, one plan for each assumed drift.

    image_sizes: width and height in pixels by image id, of all images. The evaluator and the bootstrap are
    the real ones. step: advanced by the resamples done, `resamples * len(drifts)` in all.
    Raises UsageError and EvidenceError as `simulate`, `evaluate` and `paired_bootstrap` do.
    """
    classes = tuple(category_ids)
    reference = simulate(truth, image_sizes, classes, per_image=per_image, seed=seed)
    index = index_truth(truth, image_ids=image_sizes, category_ids=classes)
    before = evaluate(index, reference)
    plans = []
    for number, drift in enumerate(drifts, start=1):
        after = evaluate(index, drifted(reference, image_sizes, drift, seed=seed + number))
        samples = paired_bootstrap(before, after, resamples=resamples, seed=seed, threads=threads, step=step)
        estimate = paired_estimate(
            before.values["AP"],
            after.values["AP"],
            *samples.metric("AP"),
            n=len(index.image_ids),
            confidence=confidence,
        )
        plans.append(
            _plan(
                source=f"simulated, assuming the drift of an {drift.name}",
                images=len(index.image_ids),
                measured_images=len(index.image_ids),
                confidence=confidence,
                value=estimate.relative_percent,
                interval=estimate.relative_percent_interval,
                limit_percent=limit_percent,
                why=estimate.reason,
            )
        )
    return plans


def plot(plans: Sequence[Plan], path: Path) -> None:
    """Write an SVG: the provable limit against the number of images, a line for each plan that has one.

    The same plans give the same bytes with the same version of matplotlib. Letters are drawn as outlines,
    so no font is needed to see them. Raises UsageError without plans or with plans of different data sets.
    """
    if len({(plan.images, plan.limit_percent) for plan in plans}) != 1:
        raise UsageError(f"{len(plans)} plans to draw", expected="plans for one data set and one limit")
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "parity", "svg.fonttype": "path", "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(8, 5), layout="constrained")
        axes = figure.add_subplot(xscale="log", yscale="log")
        images, limit = plans[0].images, plans[0].limit_percent
        least, most = min(GRID[0], max(images, 1)), max(GRID[-1], images)
        across = np.geomspace(least, most, 200).tolist()
        for plan, color, dashes in zip(plans, _COLORS * len(plans), _DASHES * len(plans), strict=False):
            drawn = [(n, p) for n in across if (p := plan.provable_percent(n)) is not None]
            label = plan.source if plan.rows else f"{plan.source}: undefined"
            xs, ys = [n for n, _ in drawn], [p for _, p in drawn]
            axes.plot(xs, ys, color=color, linestyle=dashes, linewidth=2, label=label)
        if not any(plan.rows for plan in plans):
            axes.set_ylim(limit / 10, limit * 10)
        axes.axhline(limit, color="#b00020", linewidth=1.2, label=f"limit, {limit:g} %")
        axes.axvline(
            max(images, 1), color="#555555", linewidth=1.2, label=f"this data set, {images:,} images"
        )
        axes.set_xlim(least, most)
        axes.set_xlabel("images")
        axes.set_ylabel("smallest provable AP variance, % of the reference's AP")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
        axes.legend(fontsize="small", framealpha=1)
        stream = BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None}, facecolor="white")
    write_whole(path, stream.getvalue())


# Wong's colours, which the colour-blind can tell apart; dashes tell them apart in print.
_COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000"]
_DASHES = ["-", "--", "-.", ":"]


def _plan(
    *,
    source: str,
    images: int,
    measured_images: int,
    confidence: float | None,
    value: float | None,
    interval: Interval | None,
    limit_percent: float,
    why: str,
) -> Plan:
    """Extrapolate one interval, or say why that cannot be done."""
    if not (math.isfinite(limit_percent) and limit_percent > 0):
        raise UsageError(f"the limit is {limit_percent} %", expected="a positive number of percent")
    rows: tuple[PlanRow, ...] = ()
    needed = None
    if value is None or interval is None:
        reason = why or "the AP difference has no interval"
    elif measured_images < 1 or not all(map(math.isfinite, (value, *interval))):
        reason = f"the AP difference was measured on {measured_images} images"
    elif interval[0] == interval[1]:
        seen = "no AP difference was seen at all" if value == 0 else "the interval has no width"
        reason = f"{seen} on {measured_images} images, so there is nothing to extrapolate from"
    else:
        rows = tuple(
            PlanRow(
                images=n,
                provable_percent=None
                if n < LEAST_IMAGES
                else _provable(value, interval, measured_images / n),
            )
            for n in sorted({*GRID, images} - {0})
        )
        needed = _needed(value, interval, measured_images, limit_percent)
        reason = (
            ""
            if needed is not None
            else f"the change seen, {value:+.4f} %, is not under the limit of {limit_percent:g} %; if it is "
            "real, no number of images brings its interval inside"
        )
    return Plan(
        source=source,
        images=images,
        measured_images=measured_images,
        confidence=confidence,
        observed_percent=value,
        interval_percent=interval,
        half_width_percent=None if interval is None else (interval[1] - interval[0]) / 2,
        limit_percent=limit_percent,
        rows=rows,
        needed=needed,
        reason=reason,
    )


def _provable(value: float, interval: Interval, share: float) -> float:
    """The end farther from 0 when distances from the value shrink by sqrt(share), share = n0 / n."""
    return max(abs(value + (end - value) * math.sqrt(share)) for end in interval)


def _needed(value: float, interval: Interval, n: int, limit: float) -> int | None:
    """Fewest images, at least LEAST_IMAGES, with which the interval would lie inside the limit."""
    if abs(value) >= limit:
        return None
    shrink = max((interval[1] - value) / (limit - value), (value - interval[0]) / (limit + value), 0.0)
    return max(LEAST_IMAGES, math.floor(n * shrink**2) + 1)


def _pair(report: Report, model: str | None) -> Pair:
    names = [pair.model for pair in report.pairs]
    if model is None and len(names) == 1:
        return report.pairs[0]
    for pair in report.pairs:
        if pair.model == model:
            return pair
    near = difflib.get_close_matches(model or "", names, 1)
    raise UsageError(
        f"no model {model!r} in the report" if model else f"the report has {len(names)} models",
        expected=f"one of {', '.join(names) or 'none: the run stopped before any was judged'}",
        remedy=f"did you mean {near[0]!r}?" if near else "name the model",
    )
