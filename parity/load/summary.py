"""From a step's tally to its evidence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parity.load.histogram import record
from parity.load.intervals import CONFIDENCE, Estimate, nearest_rank, quantile_estimate, rate_estimate
from parity.load.observers import Observed
from parity.load.plan import Load
from parity.load.stability import WINDOWS, Seen
from parity.load.tally import Tally
from parity.serving.evidence import ClientSplit, Latency, LoadStep, SideName, Value


def step_of(
    tally: Tally,
    *,
    side: SideName,
    load: Load,
    turn: int,
    stable: bool,
    stability: str,
    observed: Observed,
) -> LoadStep:
    """The evidence of a step that has ended. Raises RunnerError without the histogram's library."""
    return LoadStep(
        side=side,
        turn=turn,
        loop=load.loop,
        concurrency=load.concurrency,
        rate=load.rate,
        arrivals=load.arrivals,
        warmup_requests=tally.warmed_up,
        seconds=sum(window.seconds for window in tally.windows),
        sent=tally.ok + sum(tally.failed.values()),
        ok=tally.ok,
        failed=dict(sorted(tally.failed.items())),
        latency=latency_of(np.array(tally.latencies, np.float64)),
        throughput=_throughput(tally),
        stable=stable,
        stability=stability,
        late_sends=tally.late_sends,
        checked=tally.checked,
        client=_client(tally),
        server=observed.server,
        gpu=observed.gpu,
    )


def latency_of(seconds: NDArray[np.float64]) -> Latency | None:
    """Latencies (n,), s, in their order of arrival, as evidence in ms; None without any."""
    if not len(seconds):
        return None
    encoded, over = record(seconds)
    milliseconds = seconds * 1e3
    return Latency(
        n=len(seconds),
        mean=float(milliseconds.mean()),
        p50=value_of(quantile_estimate(milliseconds, 0.50)),
        p90=value_of(quantile_estimate(milliseconds, 0.90)),
        p95=value_of(quantile_estimate(milliseconds, 0.95)),
        p99=value_of(quantile_estimate(milliseconds, 0.99)),
        max=float(milliseconds.max()),
        confidence=CONFIDENCE,
        histogram=encoded,
        over_top=over,
    )


def value_of(estimate: Estimate) -> Value:
    """An estimate as evidence."""
    return Value(value=estimate.value, interval=estimate.interval, reason=estimate.reason)


def seen(tally: Tally) -> list[Seen]:
    """The last closed windows, as many as the rule of stability looks at."""
    return [Seen(rate=window.rate, p95=_p95(tally.of(window))) for window in tally.windows[-WINDOWS:]]


def _p95(latencies: NDArray[np.float64]) -> float | None:
    return nearest_rank(np.sort(latencies), 0.95) * 1e3 if len(latencies) else None


def _throughput(tally: Tally) -> Value | None:
    windows = tally.windows
    if not windows or not any(window.answers for window in windows):
        return None
    counts = np.array([window.answers for window in windows], np.float64)
    return value_of(rate_estimate(counts, np.array([window.seconds for window in windows], np.float64)))


def _client(tally: Tally) -> ClientSplit | None:
    if not tally.ok:
        return None
    times, each = tally.client, 1e3 / tally.ok
    return ClientSplit(
        waiting_ms=times.waiting * each,
        encoding_ms=times.encoding * each,
        sending_ms=times.sending * each,
        decoding_ms=times.decoding * each,
    )
