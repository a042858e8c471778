"""perf_analyzer's CSV: one line a load, latencies in microseconds."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence

from parity.load.intervals import CONFIDENCE
from parity.load.perf_analyzer.common import MOST_STEPS, GivenLoad, UnusableError, repeated
from parity.serving.evidence import Latency, LoadStep, SideName, Value

CONCURRENCY, RATE, THROUGHPUT = "Concurrency", "Request Rate", "Inferences/Second"
MEAN = "Avg latency"
PERCENTILE = re.compile(r"p([1-9][0-9]?) latency")
NO_WINDOWS = "perf_analyzer's CSV has no windows"
NO_LATENCIES = "perf_analyzer's CSV has no raw latencies"


def steps(data: bytes, side: SideName) -> list[LoadStep]:
    """The lines as steps. Raises UnusableError with everything that is wrong."""
    try:
        header, *rows = list(csv.reader(data.decode("utf-8-sig").splitlines(), strict=True)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnusableError([f"neither CSV nor JSON ({error})"]) from error
    rows = [row for row in rows if row]
    problems = _header_problems(header)
    if not 1 <= len(rows) <= MOST_STEPS:
        problems.append(f"{len(rows)} lines after the header, expected 1 to {MOST_STEPS}")
    if problems:
        raise UnusableError(problems)
    found: list[LoadStep] = []
    for number, row in enumerate(rows, 2):
        try:
            found.append(_step(_numbers(header, row), side))
        except UnusableError as error:
            problems += [f"line {number}: {problem}" for problem in error.problems]
    problems += repeated(found)
    if problems:
        raise UnusableError(problems)
    return found


def _header_problems(header: Sequence[str]) -> list[str]:
    problems = []
    if len({CONCURRENCY, RATE} & set(header)) != 1:
        problems.append(f"expected one column {CONCURRENCY!r} or {RATE!r}")
    if THROUGHPUT not in header:
        problems.append(f"no column {THROUGHPUT!r}")
    if not any(map(PERCENTILE.fullmatch, header)):
        problems.append("no column such as 'p95 latency'")
    if len(set(header)) != len(header):
        problems.append("a column is there twice")
    return problems


def _numbers(header: Sequence[str], row: Sequence[str]) -> dict[str, float]:
    """The columns that count, by name. Raises UnusableError for what is no number of at least 0."""
    if len(row) != len(header):
        raise UnusableError([f"{len(row)} values for {len(header)} columns"])
    numbers, problems = {}, []
    for name, text in zip(header, row, strict=True):
        if name not in {CONCURRENCY, RATE, THROUGHPUT, MEAN} and not PERCENTILE.fullmatch(name):
            continue
        number = _number(text)
        if number is None:
            problems.append(f"{name} is {text[:40]!r}, expected a number of at least 0")
        else:
            numbers[name] = number
    if problems:
        raise UnusableError(problems)
    return numbers


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _step(numbers: Mapping[str, float], side: SideName) -> LoadStep:
    load = GivenLoad(concurrency=numbers.get(CONCURRENCY), rate=numbers.get(RATE))
    percentiles = {
        int(match.group(1)): value / 1e3
        for name, value in numbers.items()
        if (match := PERCENTILE.fullmatch(name))
    }
    rising = [percentiles[rank] for rank in sorted(percentiles)]
    problems = [load.problem] if load.problem else []
    if rising != sorted(rising):
        problems.append("percentiles that do not rise")
    if problems:
        raise UnusableError(problems)
    values = {rank: Value(value=value, reason=NO_LATENCIES) for rank, value in percentiles.items()}
    return load.step(
        side,
        seconds=None,
        ok=None,
        failed={},
        latency=Latency(
            n=None,
            mean=numbers[MEAN] / 1e3 if MEAN in numbers else None,
            p50=values.get(50),
            p90=values.get(90),
            p95=values.get(95),
            p99=values.get(99),
            max=None,
            confidence=CONFIDENCE,
            histogram=None,
        ),
        throughput=Value(value=numbers[THROUGHPUT], reason=NO_WINDOWS),
    )
