"""How both paths serve, as the report shows it: the latency plot, and latency.csv's rows."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any, Literal

from parity.serving.evidence import GpuUse, LoadStep, SideName
from parity.statistics import binomial_upper_bound

Loop = Literal["closed", "open"]

SIDES: tuple[SideName, ...] = ("reference", "candidate")
QUANTILES = ("p50", "p95", "p99")

LATENCY_COLUMNS = (
    "model",
    "side",
    "turn",
    "loop",
    "concurrency",
    "rate_per_s",
    "arrivals",
    "seconds",
    "warmup_requests",
    "sent",
    "ok",
    "failed",
    "mean_ms",
    "p50_ms",
    "p50_low_ms",
    "p50_high_ms",
    "p90_ms",
    "p90_low_ms",
    "p90_high_ms",
    "p95_ms",
    "p95_low_ms",
    "p95_high_ms",
    "p99_ms",
    "p99_low_ms",
    "p99_high_ms",
    "max_ms",
    "throughput_per_s",
    "throughput_low_per_s",
    "throughput_high_per_s",
    "stable",
    "server_queue_ms",
    "server_compute_input_ms",
    "server_compute_infer_ms",
    "server_compute_output_ms",
    "mean_batch",
    "gpu_mean",
)
"""One row a load step. Latencies are of answered requests only, in milliseconds; `*_low` and `*_high` are the
interval's ends, empty where there is none (report.json has the reason). `failed` are requests without a
usable answer. The `server_*` columns are Triton's own means a request, `mean_batch` images an execution,
`gpu_mean` a share from 0 to 1; they are empty for a side that does not tell."""

# Wong's colours, which the colour-blind can tell apart; light and dark paper both carry them.
_COLORS: dict[SideName, str] = {"reference": "#0072b2", "candidate": "#d55e00"}
_MARKS: dict[SideName, str] = {"reference": "o", "candidate": "s"}
_DASHES = {"p50": ":", "p95": "-", "p99": "--"}
_INK = "#808080"
_AXES: dict[Loop, str] = {"closed": "requests at a time", "open": "requests a second, as sent"}
# Inches. Shown at the 358 px that a phone of 390 px leaves, its smallest letters are over 9 px.
_SIZE = (4.4, 3.5)


def error_rate_bound(step: LoadStep) -> float | None:
    """What the step's true error rate stays under with 95 % confidence, 0 to 1 (Clopper and Pearson 1934).

    None where the counts are not known, or nothing was sent. It takes requests for independent.
    """
    failed = sum(step.failed.values())
    if not step.sent or failed > step.sent:
        return None
    return binomial_upper_bound(failed, step.sent)


def gpu_use(steps: Sequence[LoadStep]) -> tuple[list[LoadStep], dict[tuple[SideName, str], tuple[int, str]]]:
    """Steps whose GPU use is worth a row, and what one sentence says better than a row for each step.

    The second is by side and source, where none of their steps has a value and all have the same reason: how
    many steps, and the reason.
    """
    groups: dict[tuple[SideName, str], list[GpuUse]] = {}
    for step in steps:
        if step.gpu is not None:
            groups.setdefault((step.side, step.gpu.source), []).append(step.gpu)
    unknown = {
        place: (len(own), own[0].reason)
        for place, own in groups.items()
        if all(use.mean is None and use.max is None and use.reason == own[0].reason for use in own)
    }
    return [step for step in steps if step.gpu and (step.side, step.gpu.source) not in unknown], unknown


def latency_rows(model: str, steps: Sequence[LoadStep]) -> Iterator[tuple[Any, ...]]:
    """Rows of latency.csv, in the order of LATENCY_COLUMNS; None for what there is not."""
    for step in steps:
        latency, throughput, server = step.latency, step.throughput, step.server
        quantiles: list[float | None] = []
        for name in ("p50", "p90", "p95", "p99"):
            value = None if latency is None else getattr(latency, name)
            ends = (None, None) if value is None or value.interval is None else value.interval
            quantiles += [None if value is None else value.value, *ends]
        ends = (None, None) if throughput is None or throughput.interval is None else throughput.interval
        yield (
            model,
            step.side,
            step.turn,
            step.loop,
            step.concurrency,
            step.rate,
            step.arrivals,
            step.seconds,
            step.warmup_requests,
            step.sent,
            step.ok,
            None if step.sent is None else sum(step.failed.values()),
            None if latency is None else latency.mean,
            *quantiles,
            None if latency is None else latency.max,
            None if throughput is None else throughput.value,
            *ends,
            step.stable,
            None if server is None else server.queue_ms,
            None if server is None else server.compute_input_ms,
            None if server is None else server.compute_infer_ms,
            None if server is None else server.compute_output_ms,
            None if server is None or not server.executions else server.inferences / server.executions,
            None if step.gpu is None else step.gpu.mean,
        )


def latency_plots(steps: Sequence[LoadStep]) -> dict[Loop, bytes]:
    """An SVG of p50, p95 and p99 of both sides over the load for each loop; empty where nothing was answered.

    Closed and open loops have a picture of their own, since one is over a number of requests and the other
    over a rate. The same steps give the same bytes with the same version of matplotlib.
    """
    answered = [step for step in steps if step.latency is not None]
    return {
        loop: _picture([step for step in answered if step.loop == loop], axis)
        for loop, axis in _AXES.items()
        if any(step.loop == loop for step in answered)
    }


def as_uri(svg: bytes) -> str:
    """An SVG as a data URI, which a page shows as an image."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")


def _picture(steps: Sequence[LoadStep], axis: str) -> bytes:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: dict[Any, str] = {
        "svg.hashsalt": "parity",
        "svg.fonttype": "path",
        "font.family": "DejaVu Sans",
        **dict.fromkeys(
            ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK
        ),
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=_SIZE, layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, steps)
        figure.legend(loc="outside upper center", fontsize="small", ncols=2, frameon=False, labelcolor=_INK)
        axes.set_xlabel(axis)
        axes.set_ylabel("latency, ms")
        stream = BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None}, transparent=True)
    return stream.getvalue()


def _draw(axes: Any, steps: Sequence[LoadStep]) -> None:
    """Lines through the means over the turns, and every turn's p95 as a mark with its interval."""
    loads = sorted({_position(step) for step in steps})
    for side in SIDES:
        own = [step for step in steps if step.side == side]
        for name in QUANTILES:
            drawn = [(load, _mean(own, load, name)) for load in loads]
            axes.plot(
                [load for load, mean in drawn if mean is not None],
                [mean for _, mean in drawn if mean is not None],
                color=_COLORS[side],
                linestyle=_DASHES[name],
                linewidth=1.6,
                marker="_" if len(loads) == 1 else "",
                markersize=14,
                label=f"{side} {name}",
            )
        for step in own:
            p95 = None if step.latency is None else step.latency.p95
            if p95 is None:
                continue
            bar = None  # a mark without an interval has none, which its caps would belie
            if p95.interval is not None:
                low, high = p95.interval
                bar = [[max(0.0, p95.value - low)], [max(0.0, high - p95.value)]]
            axes.errorbar(
                _position(step),
                p95.value,
                yerr=bar,
                color=_COLORS[side],
                marker=_MARKS[side],
                markersize=4,
                capsize=3,
                linewidth=1,
            )
    axes.set_xscale("log", base=2)
    axes.set_xticks(loads, [f"{load:g}" for load in loads])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, axis="y", color=_INK, alpha=0.25, linewidth=0.6)


def _mean(steps: Sequence[LoadStep], load: float, quantile: str) -> float | None:
    """Mean of a quantile over the turns of one load, ms."""
    answered = [step.latency for step in steps if step.latency is not None and _position(step) == load]
    known = [value for latency in answered if (value := getattr(latency, quantile)) is not None]
    values = [float(value.value) for value in known]
    return sum(values) / len(values) if values else None


def _position(step: LoadStep) -> float:
    return float(step.concurrency if step.concurrency is not None else step.rate or 0.0)
