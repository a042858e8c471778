"""Can the rollout be watched? Each metric that it is judged by has to be there, and to move."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from parity.criteria.base import LOWER_IS_LOOSER, Outcome, Parameters, Sense
from parity.criteria.serving import Finding, ServingCriterion, inconclusive, named
from parity.serving.evidence import MetricSeen, ServingEvidence

OF_GPUS = ("nv_gpu_", "nv_energy_")
"""How the names of those metrics begin that Triton has of GPUs alone."""

NOT_SCRAPED = "not scraped"
"""How a metric's reason begins when the server's metrics were never read."""


class MetricsAvailableParameters(Parameters):
    """Whether a GPU belongs to the phase; any other metric that is needed and missing is a failure."""

    gpu: bool = Field(
        True,
        description="false: where no GPU is seen, its metrics are not asked for.",
        json_schema_extra=LOWER_IS_LOOSER,
    )


class MetricsAvailable(ServingCriterion):
    """Metrics that a policy or an alert rule names and that are missing, or stood still under load.

    A GPU's metrics where no GPU was seen are missing for want of one, which shows nothing: INCONCLUSIVE, as
    where nobody could read the server's metrics.
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
        gpu = _gpu_seen(serving)
        if not gpu and not parameters.gpu:
            metrics = [metric for metric in metrics if not metric.name.startswith(OF_GPUS)]
            if not metrics:
                return inconclusive("No metric was looked for but a GPU's, and no GPU was seen.")
        broken = [metric for metric in metrics if not metric.present or metric.moved is False]
        unknown = [metric for metric in broken if not gpu and metric.name.startswith(OF_GPUS)]
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


def _gpu_seen(serving: ServingEvidence) -> bool:
    return any(step.gpu is not None and step.gpu.samples > 0 for step in serving.steps)


def _told(metrics: list[MetricSeen]) -> str:
    return named(
        f"{metric.name} ({metric.reason or ('stood still' if metric.present else 'missing')}"
        f"{', wanted by ' + ', '.join(metric.wanted_by) if metric.wanted_by else ''})"
        for metric in metrics
    )
