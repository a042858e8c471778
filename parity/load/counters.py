"""What a server's counters say of a model between two scrapes, also where it began anew in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from parity.serving.prometheus import Scrape
from parity.visible import one_line

SUCCESS = "nv_inference_request_success"
FAILURE = "nv_inference_request_failure"
INFERENCES = "nv_inference_count"
CACHE_HITS = "nv_cache_num_hits_per_model"


@dataclass(frozen=True, kw_only=True)
class ServerTotals:
    """The change of a model's counters. failure: by Triton's reason. resets: series that fell or vanished."""

    success: int
    failure: Mapping[str, int]
    inferences: int
    cache_hits: int
    resets: tuple[str, ...]


def unusable(scrapes: Sequence[Scrape], *, model: str, version: str = "") -> str:
    """Why nothing can be made of the scrapes; empty when they count the model and there are two at least."""
    if len(scrapes) < 2:
        return f"{len(scrapes)} scrapes of the server, expected one before and one after"
    labels = {"model": model, **({"version": version} if version else {})}
    for name in (SUCCESS, FAILURE, INFERENCES):
        if not any(scrape.select(name, **labels) for scrape in scrapes):
            counted = sorted({s.labels.get("model", "?") for scrape in scrapes for s in scrape.select(name)})
            of = f"{model!r} version {version}" if version else repr(model)
            return one_line(f"no {name} of {of}; the server counts {', '.join(counted) or 'no model'}")
    return ""


def server_totals(scrapes: Sequence[Scrape], *, model: str, version: str = "") -> ServerTotals:
    """The change from the first scrape to the last, summed over versions and GPUs of the model.

    Where a series falls or vanishes the server began anew: it is named, and what counts is what came after,
    as in Prometheus. Raises nothing: a series that appears began at 0.
    """
    labels = {"model": model, **({"version": version} if version else {})}
    changes: Counter[tuple[str, str]] = Counter()
    resets: dict[str, None] = {}
    for earlier, later in pairwise(scrapes):
        for name in (SUCCESS, FAILURE, INFERENCES, CACHE_HITS):
            old, new = _series(earlier, name, labels), _series(later, name, labels)
            fell = (each for each, (value, _) in old.items() if new.get(each, (0, ""))[0] < value)
            resets.update(dict.fromkeys(fell))
            for series, (value, why) in new.items():
                before = old.get(series, (0, ""))[0]
                changes[name, why] += value - before if value >= before else value
    return ServerTotals(
        success=changes[SUCCESS, ""],
        failure={why: count for (name, why), count in sorted(changes.items()) if name == FAILURE},
        inferences=changes[INFERENCES, ""],
        cache_hits=changes[CACHE_HITS, ""],
        resets=tuple(resets),
    )


def _series(scrape: Scrape, name: str, labels: Mapping[str, str]) -> dict[str, tuple[int, str]]:
    return {
        str(sample): (round(sample.value), one_line(sample.labels.get("reason", "")))
        for sample in scrape.select(name, **labels)
    }
