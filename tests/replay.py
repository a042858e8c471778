"""Scrapes of a real server, and how they become the input of promtool's unit tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

STEP_S = 15
TARGET = {"job": "triton", "instance": "triton:8002"}

Series = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Scrape:
    """One answer of /metrics: values by series (name and sorted labels), and which names only ever grow."""

    values: Mapping[Series, float]
    growing: frozenset[str]

    def names(self) -> set[str]:
        """Names of all series."""
        return {name for name, _ in self.values}

    def labels(self, name: str) -> dict[str, set[str]]:
        """Labels of the series of that name, with their values."""
        found: dict[str, set[str]] = {}
        for series, labels in self.values:
            for label, value in labels if series == name else ():
                found.setdefault(label, set()).add(value)
        return found

    def value(self, name: str, **labels: str) -> float:
        """The value of one series."""
        return self.values[name, tuple(sorted(labels.items()))]

    def mapped(self, change: Callable[[Series, float], float | None]) -> Scrape:
        """The same with every value changed; None leaves the series out."""
        changed = {series: change(series, value) for series, value in self.values.items()}
        return replace(self, values={series: value for series, value in changed.items() if value is not None})


def read(text: str) -> Scrape:
    """A scrape from the text that the server wrote."""
    written = {re.split(r"[{ ]", line, maxsplit=1)[0] for line in text.splitlines()}
    values, growing = {}, set()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            # The parser gives every counter the ending that OpenMetrics wants and Triton does not write.
            name = sample.name if sample.name in written else sample.name.removesuffix("_total")
            assert name in written
            values[name, tuple(sorted(sample.labels.items()))] = sample.value
            if family.type == "counter" or (family.type == "summary" and "quantile" not in sample.labels):
                growing.add(name)
    return Scrape(values, frozenset(growing))


def continued(first: Scrape, second: Scrape, steps: int) -> list[Scrape]:
    """What a server would write that goes on as between two scrapes; everything but counters stays."""

    def after(step: int) -> Scrape:
        def grown(series: Series, value: float) -> float:
            if series[0] not in second.growing:
                return value
            return value + step * (value - first.values.get(series, 0.0))

        return second.mapped(grown)

    return [after(step) for step in range(steps)]


def input_series(answers: Sequence[Scrape | None]) -> list[dict[str, str]]:
    """Promtool's `input_series` for scrapes every 15 s; None is a scrape that failed."""
    every: dict[Series, list[str]] = {}
    for answer in answers:
        for series in answer.values if answer else ():
            every.setdefault(series, [])
    for answer in answers:
        for series, written in every.items():
            value = answer.values.get(series) if answer else None
            written.append("stale" if value is None else repr(value).replace("nan", "NaN"))
    up = {"series": notation("up", TARGET), "values": " ".join("1" if each else "0" for each in answers)}
    return [up] + [
        {"series": notation(name, {**TARGET, **dict(labels)}), "values": " ".join(written)}
        for (name, labels), written in every.items()
    ]


def notation(name: str, labels: Mapping[str, str]) -> str:
    """A series as PromQL writes it."""
    return f"{name}{{{','.join(f'{label}={value!r}' for label, value in labels.items())}}}"


def expectation(expression: str, minutes: float, samples: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """A `promql_expr_test` that expects a 1 for each of these label sets and nothing else."""
    expected = [{"labels": notation("", labels), "value": 1} for labels in samples]
    return {"expr": expression, "eval_time": f"{int(minutes * 60)}s", "exp_samples": expected}
