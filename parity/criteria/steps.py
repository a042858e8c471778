"""What criteria have in common that rest on single steps of a load run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import Field

from parity.criteria.base import HIGHER_IS_LOOSER, LOWER_IS_LOOSER, Parameters
from parity.serving.evidence import LoadStep, load_name

MOST_REASONS = 3
"""Reasons of failures that a message names, the commonest first."""


class StepParameters(Parameters):
    """What a step must be like to count."""

    least_requests: int = Field(
        200, ge=20, description="Answers that every step needs.", json_schema_extra=LOWER_IS_LOOSER
    )
    most_failed_percent: float = Field(
        1.0,
        ge=0,
        lt=5,
        description="Of a step's requests; beyond it the answers left may be the lucky ones.",
        json_schema_extra=HIGHER_IS_LOOSER,
    )


def unreliable(step: LoadStep, parameters: StepParameters) -> str:
    """Why a step shows nothing, or ""."""
    failed = sum(step.failed.values())
    if step.latency is None or step.throughput is None:
        return f"nothing was answered{reasons([step])}"
    if step.ok is None or step.latency.n is None:
        return "it is not known how many requests were answered and how many failed"
    if 100 * failed > parameters.most_failed_percent * (failed + step.ok):
        return f"{failed} of {failed + step.ok} requests failed{reasons([step])}"
    if not step.stable:
        return f"did not come to rest ({step.stability})"
    if step.latency.n < parameters.least_requests:
        return f"{step.latency.n} answers, {parameters.least_requests} are needed"
    return ""


def failed_share(step: LoadStep) -> float:
    """Failed requests of all that ended, 0 to 1; 0 where none is known."""
    failed = sum(step.failed.values())
    return failed / (failed + (step.ok or 0)) if failed else 0.0


def reasons(steps: Iterable[LoadStep]) -> str:
    """Why requests failed, the commonest reason first: ` (7 unavailable, 3 deadline)`; empty if none did."""
    totals: Counter[str] = Counter()
    for step in steps:
        totals.update(step.failed)
    known = [(reason, count) for reason, count in sorted(totals.items()) if count]
    known.sort(key=lambda entry: -entry[1])
    told = [f"{count} {reason}" for reason, count in known[:MOST_REASONS]]
    others = sum(count for _, count in known[MOST_REASONS:])
    told += [f"{others} of other reasons"] if others else []
    return f" ({', '.join(told)})" if told else ""


def step_name(step: LoadStep) -> str:
    """A step in words: `candidate, 8 at a time, turn 0`."""
    return f"{step.side}, {load_name(step)}, turn {step.turn}"
