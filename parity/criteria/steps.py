"""What criteria have in common that rest on single steps of a load run."""

from __future__ import annotations

from pydantic import Field

from parity.criteria.base import HIGHER_IS_LOOSER, LOWER_IS_LOOSER, Parameters
from parity.serving.evidence import LoadStep, load_name


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
    if step.latency is None or step.throughput is None:
        return "nothing was answered"
    if step.ok is None or step.latency.n is None:
        return "it is not known how many requests were answered and how many failed"
    if not step.stable:
        return f"did not come to rest ({step.stability})"
    if step.latency.n < parameters.least_requests:
        return f"{step.latency.n} answers, {parameters.least_requests} are needed"
    failed = sum(step.failed.values())
    if 100 * failed > parameters.most_failed_percent * (failed + step.ok):
        return f"{failed} of {failed + step.ok} requests failed"
    return ""


def step_name(step: LoadStep) -> str:
    """A step in words: `candidate, 8 at a time, turn 0`."""
    return f"{step.side}, {load_name(step)}, turn {step.turn}"
