"""The criteria by name: small files, and this explicit dict."""

from __future__ import annotations

from parity.criteria.accuracy_under_load import AccuracyUnderLoad
from parity.criteria.base import (
    ClassEvidence,
    Criterion,
    CriterionResult,
    Estimate,
    Needs,
    Outcome,
    PairEvidence,
    Parameters,
)
from parity.criteria.batch_invariance import BatchInvariance
from parity.criteria.box_agreement import BoxAgreement
from parity.criteria.confidence_shift import ConfidenceShift
from parity.criteria.error_rate import ErrorRate
from parity.criteria.existing_tests import ExistingTests
from parity.criteria.finite_outputs import FiniteOutputs
from parity.criteria.gpu_utilisation import GpuUtilisation
from parity.criteria.image_coverage import ImageCoverage
from parity.criteria.ledger_reconciles import LedgerReconciles
from parity.criteria.map_variance import MapVariance
from parity.criteria.metrics_available import MetricsAvailable
from parity.criteria.noise_floor import NoiseFloor
from parity.criteria.operating_point import FlipRate, OperatingPoint
from parity.criteria.p95_latency import P95Latency
from parity.criteria.reference_agreement import BoxDrift, PseudoTruth, ReferenceAgreement
from parity.criteria.rollback_drill import RollbackDrill
from parity.criteria.throughput import Throughput
from parity.criteria.worst_class import WorstClass

__all__ = [
    "CRITERIA",
    "ClassEvidence",
    "Criterion",
    "CriterionResult",
    "Estimate",
    "Needs",
    "Outcome",
    "PairEvidence",
    "Parameters",
]

_ALL: tuple[Criterion, ...] = (
    ImageCoverage(),
    FiniteOutputs(),
    MapVariance(),
    WorstClass(),
    OperatingPoint(),
    FlipRate(),
    BoxAgreement(),
    ReferenceAgreement(),
    BoxDrift(),
    PseudoTruth(),
    ConfidenceShift(),
    NoiseFloor(),
    P95Latency(),
    Throughput(),
    ErrorRate(),
    GpuUtilisation(),
    MetricsAvailable(),
    BatchInvariance(),
    AccuracyUnderLoad(),
    LedgerReconciles(),
    RollbackDrill(),
    ExistingTests(),
)

CRITERIA: dict[str, Criterion] = {criterion.name: criterion for criterion in _ALL}
