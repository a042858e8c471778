"""Can the rollout be watched? Each metric that it is judged by has to be there, and to move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from parity.criteria.base import FEWER_IS_LOOSER, LOWER_IS_LOOSER, Outcome, Parameters, Sense, in_order
from parity.criteria.serving import Finding, ServingCriterion, inconclusive, named
from parity.load.metrics import NOT_SCRAPED
from parity.serving.evidence import LoadStep, MetricSeen, ServingEvidence
from parity.serving.gpu import NO_GPU, PREFIXES

MetricName = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=200)]


class MetricsAvailableParameters(Parameters):
    """Which metrics are asked for beside those of the alert rules, and whether a GPU belongs to the phase.

    Any metric that is asked for and missing is a failure, but for a GPU's.
    """

    metrics: Annotated[tuple[MetricName, ...], AfterValidator(in_order)] = Field(
        (), description="Names, looked for as the alert rules' are.", json_schema_extra=FEWER_IS_LOOSER
    )
    gpu: bool = Field(
        True,
        description="false: where there surely is no GPU, its metrics are not asked for.",
        json_schema_extra=LOWER_IS_LOOSER,
    )


class MetricsAvailable(ServingCriterion):
    """Metrics that a policy or an alert rule names and that are missing, or stood still under load.

    A GPU's metrics where no GPU was seen are missing for want of one, which shows nothing: INCONCLUSIVE, as
    where nobody could read the server's metrics, or looked for one that the policy names. That there surely
    is no GPU takes a server that writes no metric of one, and no reading of one in any step, not even a
    damaged one.
    """

    name = "metrics_available"
    unit = "metrics"
    sense: ClassVar[Sense] = "at_most"
    parameters = MetricsAvailableParameters

    def limit(self, parameters: MetricsAvailableParameters) -> float:
        """None may be missing."""
        return 0.0

    def find(self, serving: ServingEvidence, parameters: MetricsAvailableParameters) -> Finding:
        """Judge all metrics together."""
        metrics = serving.metrics
        if not metrics:
            return inconclusive("No metric was looked for.")
        unread = [metric for metric in metrics if metric.reason.startswith(NOT_SCRAPED)]
        if unread:
            return inconclusive(f"Metrics were not read: {_told(unread)}.", n=len(metrics))
        forgotten = sorted(set(parameters.metrics) - {metric.name for metric in metrics})
        if forgotten:
            return inconclusive(f"Not looked for, though the policy names it: {named(forgotten)}.")
        gpu = any(step.gpu is not None and step.gpu.samples > 0 for step in serving.steps)
        if not parameters.gpu and _surely_without_gpu(serving.steps):
            metrics = [metric for metric in metrics if not _for_want_of_gpu(metric)]
            if not metrics:
                return inconclusive("No metric was looked for but a GPU's, and no GPU was seen.")
        broken = [metric for metric in metrics if not metric.present or metric.moved is False]
        unknown = [metric for metric in broken if not gpu and metric.name.startswith(PREFIXES)]
        failing = [metric for metric in broken if metric not in unknown]
        if failing:
            outcome = Outcome.FAIL
            message = f"Of {len(metrics)} metrics, {len(failing)} cannot be relied on: {_told(failing)}."
        elif unknown:
            outcome = Outcome.INCONCLUSIVE
            message = f"No GPU was seen, so nothing is shown of {_told(unknown)}; all others are there."
        else:
            left_out = len(serving.metrics) - len(metrics)
            told = f"; {left_out} of a GPU are not asked for, since none was seen" if left_out else ""
            outcome = Outcome.PASS
            message = f"All {len(metrics)} metrics are there, and move as they should{told}."
        return Finding(outcome=outcome, message=message, observed=float(len(broken)), n=len(metrics))


def _surely_without_gpu(steps: Sequence[LoadStep]) -> bool:
    """Whether every step was watched for a GPU or could not be, and nothing told of one."""
    uses = [step.gpu for step in steps if step.gpu is not None]
    return bool(uses) and all(use.source == "none" and use.samples == 0 for use in uses)


def _for_want_of_gpu(metric: MetricSeen) -> bool:
    return not metric.present and metric.name.startswith(PREFIXES) and metric.reason.startswith(NO_GPU)


def _told(metrics: list[MetricSeen]) -> str:
    return named(
        f"{metric.name} ({metric.reason or ('stood still' if metric.present else 'missing')}"
        f"{', wanted by ' + ', '.join(metric.wanted_by) if metric.wanted_by else ''})"
        for metric in metrics
    )
