"""Prometheus metrics of a Triton: scraped, parsed, and read by name and labels.

Triton writes the text format 0.0.4. Its counters have no `_total`, which the library's parser adds; here
names are as they were written. Quantiles of a summary are NaN while the last minute had no request.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from parity.errors import EvidenceError, RunnerError, first_line
from parity.serving.web import Access, checked_url, fetch, shown
from parity.visible import one_line

SIZE_LIMIT = 4 << 20
LINE_LIMIT = 4096
OF_TRITON = re.compile(r"^nv_", re.MULTILINE)
_NAME = re.compile(r"^[A-Za-z_:][A-Za-z0-9_:]*", re.MULTILINE)
# The library's parser passes over what it does not understand, such as a label without a value.
_LINE = re.compile(
    r'(?:#.*|[A-Za-z_:][A-Za-z0-9_:]*(?:\{(?:[A-Za-z_][A-Za-z0-9_]*="(?:[^"\\]|\\.)*"(?:,|(?=\})))*\})?'
    r"[ \t]+[^ \t]+(?:[ \t]+-?[0-9]+)?)?[ \t]*"
)
_SUMS = ("_count", "_sum", "_bucket")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One value of one series. labels: as written, without the name."""

    name: str
    labels: Mapping[str, str]
    value: float

    def __str__(self) -> str:
        labels = ",".join(f'{name}="{value}"' for name, value in self.labels.items())
        return one_line(f"{self.name}{{{labels}}}" if labels else self.name)


@dataclass(frozen=True, kw_only=True)
class Scrape:
    """One answer of /metrics. kinds: counter, gauge, summary, ... by the name of the metric."""

    samples: tuple[Sample, ...]
    kinds: Mapping[str, str]
    where: str = ""

    def select(self, name: str, /, **labels: str) -> list[Sample]:
        """The samples of that name that have all these labels with these values."""
        return [
            sample
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def total(self, name: str, /, **labels: str) -> float | None:
        """The sum of `select`; None where there is no series or its value is NaN.

        On a GPU, Triton splits the counters of a model into series with and without `gpu_uuid`, so the value
        of a model is always a sum.
        """
        found = [sample.value for sample in self.select(name, **labels)]
        total = math.fsum(found) if found and all(map(math.isfinite, found)) else math.nan
        return None if math.isnan(total) else total

    def names(self) -> set[str]:
        """Names of metrics: those of a summary without their endings."""
        return set(self.kinds)


@dataclass(frozen=True, kw_only=True)
class MetricsSource:
    """Where a Triton writes its metrics: http or https, with the path (`/metrics`)."""

    url: str
    access: Access = field(default_factory=Access)

    def __post_init__(self) -> None:
        checked_url(self.url)

    async def text(self) -> str:
        """What is written there now. Raises as `fetch` does, and EvidenceError for text that is no UTF-8."""
        body = await fetch(self.url, self.access, SIZE_LIMIT)
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise EvidenceError(f"not UTF-8: {error.reason}", where=shown(self.url)) from error

    async def scrape(self) -> Scrape:
        """The metrics of now. Raises as `text` and `parse` do."""
        return self.parse(await self.text())

    def parse(self, text: str) -> Scrape:
        """What `text` gave, taken apart. Raises as the function of that name."""
        with self.access.hiding():
            return parse(text, where=shown(self.url))


def parse(text: str, *, where: str) -> Scrape:
    """Metrics from their text format.

    Raises EvidenceError for text that is damaged, is not a Triton's, holds a series twice, or has a counter
    that is negative or not finite.
    """
    if not OF_TRITON.search(text):
        raise EvidenceError(
            "no metric of a Triton server" if text.strip() else "an empty answer",
            where=where,
            expected="metrics such as nv_inference_request_success",
            remedy="give the address of Triton's metrics (port 8002, path /metrics, by default)",
        )
    _check_lines(text, where)
    written = set(_NAME.findall(text))
    samples: list[Sample] = []
    kinds: dict[str, str] = {}
    for family in _families(text, where):
        for raw in family.samples:
            name = raw.name if raw.name in written else raw.name.removesuffix("_total")
            samples.append(Sample(name=name, labels=dict(raw.labels), value=_value(raw, where)))
        kinds[_written_name(family, written)] = family.type
    _check(samples, kinds, where)
    return Scrape(samples=tuple(samples), kinds=kinds, where=where)


def _check_lines(text: str, where: str) -> None:
    """Each has the format's form, and a length that the parser bears, for it takes time by its square."""
    lines = text.split("\n")
    longest = max(map(len, lines))
    if longest > LINE_LIMIT:
        raise EvidenceError(
            f"a line of {longest:,} characters", where=where, expected=f"at most {LINE_LIMIT:,}"
        )
    if lines[-1]:
        raise EvidenceError("metrics that break off", where=where, expected="a line feed at the end")
    for number, line in enumerate(lines, 1):
        if not _LINE.fullmatch(line):
            raise EvidenceError(
                f"damaged metrics: line {number} is {one_line(line)[:200]!r}",
                where=where,
                expected="Prometheus' text format",
                remedy="look at what the server writes there",
            )


def _families(text: str, where: str) -> list[Any]:
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError as error:
        raise RunnerError(
            f"prometheus_client cannot be imported: {error}", remedy="pip install 'triton-parity[load]'"
        ) from error
    try:
        return list(text_string_to_metric_families(text))
    except (ValueError, LookupError, TypeError) as error:  # its answers to text without sense
        raise EvidenceError(
            f"damaged metrics: {one_line(first_line(error))}",
            where=where,
            expected="Prometheus' text format",
            remedy="look at what the server writes there",
        ) from error


def _written_name(family: Any, written: set[str]) -> str:
    """A counter's name as Triton wrote it: the parser takes the ending `_total` away."""
    name = str(family.name)
    total = f"{name}_total"
    return total if family.type == "counter" and name not in written and total in written else name


def _value(raw: Any, where: str) -> float:
    try:
        return float(raw.value)
    except OverflowError as error:
        raise EvidenceError(f"{one_line(raw.name)[:200]} has a value without end", where=where) from error


def _check(samples: Iterable[Sample], kinds: Mapping[str, str], where: str) -> None:
    seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
    problems: list[str] = []
    for sample in samples:
        series = sample.name, frozenset(sample.labels.items())
        if series in seen:
            problems.append(f"{sample} is there twice")
        seen.add(series)
        if _only_grows(sample, kinds) and not (math.isfinite(sample.value) and sample.value >= 0):
            problems.append(f"{sample} is {sample.value}")
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise EvidenceError(
            f"damaged metrics: {problems[0][:300]}{more}",
            where=where,
            expected="each series once, and counters from 0 up",
        )


def _only_grows(sample: Sample, kinds: Mapping[str, str]) -> bool:
    if kinds.get(sample.name) == "counter":
        return True
    stem = next((sample.name.removesuffix(ending) for ending in _SUMS if sample.name.endswith(ending)), "")
    return kinds.get(stem) in ("summary", "histogram")
