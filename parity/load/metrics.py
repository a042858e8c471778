"""Which metrics somebody relies on, and whether a server has them and moves them under load.

A metric that an alert rule names and the server lacks makes the alert silent for the wrong reason.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from parity.serving.evidence import MetricSeen
from parity.serving.gpu import NO_GPU, PREFIXES, has_gpu_metrics
from parity.serving.prometheus import Sample, Scrape

NOT_SCRAPED = "not scraped"
ENDINGS = ("_count", "_sum", "_bucket")

ALERTED: Mapping[str, tuple[str, ...]] = {
    "nv_inference_request_summary_us": ("ParityLatencyP95High", "ParityLatencyMissing"),
    "nv_inference_request_success": (
        "ParityErrorRateHigh",
        "ParityTritonRestarts",
        "ParityRequestsMissing",
        "ParityLatencyMissing",
        "ParityFailuresMissing",
        "ParityNoTraffic",
    ),
    "nv_inference_request_failure": (
        "ParityErrorRateHigh",
        "ParityFailuresMissing",
        "ParityNoTraffic",
    ),
    "nv_gpu_utilization": ("ParityGpuMissing",),
    "nv_gpu_memory_total_bytes": ("ParityGpuUnreadable",),
}
"""What the alert rules of deploy/prometheus name, with the alerts that fall silent without it."""

NEED_NOT_MOVE = ("nv_inference_request_failure", "nv_cache_")
"""How the names of those begin that stay where they are when all is well."""


def wanted_metrics(policy: Collection[str] = ()) -> dict[str, list[str]]:
    """Each metric with who names it. policy: names that a policy adds."""
    wanted = {name: [f"alert {alert}" for alert in alerts] for name, alerts in ALERTED.items()}
    for name in policy:
        wanted.setdefault(name, []).append("policy")
    return wanted


def metrics_seen(
    wanted: Mapping[str, Sequence[str]],
    scrapes: Sequence[Scrape],
    *,
    model: str,
    version: str = "",
    reason: str = "",
) -> list[MetricSeen]:
    """Each wanted metric in the scrapes from before, during and after the load, in their order.

    Of metrics that are counted by model, only this model's (and version's, unless empty) are looked at. A
    metric is present when every scrape has it. Counters, summaries and histograms have to move, but for
    those that count what should not happen; gauges need not. One of unknown type cannot be told to be any
    of these and counts as still. reason: why the scrape from before or after is not among them, if so. Then,
    and without two scrapes, nothing was looked at: the reason of every metric begins with NOT_SCRAPED.
    Where the server writes nothing of any GPU, the reason of GPU metrics begins with NO_GPU.
    """
    if reason or len(scrapes) < 2:
        why = f"{NOT_SCRAPED}: {reason or f'{len(scrapes)} scrapes, expected one before and one after'}"
        return [
            MetricSeen(name=name, wanted_by=list(by), present=False, moved=None, reason=why)
            for name, by in wanted.items()
        ]
    return [_seen(name, list(by), scrapes, model, version) for name, by in wanted.items()]


def _seen(name: str, by: list[str], scrapes: Sequence[Scrape], model: str, version: str) -> MetricSeen:
    found = [_samples(scrape, name, model, version) for scrape in scrapes]
    missing = sum(not samples for samples in found)
    if missing:
        reason = _why_missing(name, missing, scrapes)
        return MetricSeen(name=name, wanted_by=by, present=False, moved=None, reason=reason)
    moved, reason = _moved(name, _kind(scrapes[-1], name), found)
    return MetricSeen(name=name, wanted_by=by, present=True, moved=moved, reason=reason)


def _why_missing(name: str, missing: int, scrapes: Sequence[Scrape]) -> str:
    if name.startswith(PREFIXES) and not any(map(has_gpu_metrics, scrapes)):
        return f"{NO_GPU}: the server writes no metric of one"
    if any(name in scrape.names() for scrape in scrapes):
        return f"not written for this model in {missing} of {len(scrapes)} scrapes"
    return "the server does not write it"


def _samples(scrape: Scrape, name: str, model: str, version: str) -> list[Sample]:
    """The metric's samples, endings included, without those of other models and versions."""
    names = {name, *(f"{name}{ending}" for ending in ENDINGS if name in scrape.kinds)}
    return [
        sample
        for sample in scrape.samples
        if sample.name in names
        and sample.labels.get("model", model) == model
        and (not version or sample.labels.get("version", version) == version)
    ]


def _kind(scrape: Scrape, name: str) -> str:
    """The type; sums and counts of a summary, when they are named themselves, are counters."""
    if name in scrape.kinds:
        return scrape.kinds[name]
    stems = (name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending))
    return "counter" if any(scrape.kinds.get(stem) in ("summary", "histogram") for stem in stems) else ""


def _moved(name: str, kind: str, found: Sequence[Sequence[Sample]]) -> tuple[bool | None, str]:
    """Whether it moved, None where it need not; and why it did not."""
    if kind == "gauge" or name.startswith(NEED_NOT_MOVE):
        return None, ""
    counted = {"counter": name, "summary": f"{name}_count", "histogram": f"{name}_count"}.get(kind)
    if counted is None:
        return False, f"the server tells no type of it ({kind or 'none'}), so it may have to move"
    totals = [_total(samples, counted) for samples in found]
    if len(set(totals)) == 1:
        return False, f"{counted} stayed at {totals[0]:g} in {len(found)} scrapes"
    quantiles = [s.value for samples in found[1:] for s in samples if s.name == name]
    if kind == "summary" and not any(map(math.isfinite, quantiles)):
        return False, "its quantiles had no value under load"
    return True, ""


def _total(samples: Sequence[Sample], name: str) -> float:
    return math.fsum(sample.value for sample in samples if sample.name == name)
