"""The criteria by name: one small file each, and this explicit dict."""

from __future__ import annotations

from parity.criteria.base import Criterion, CriterionResult, Outcome, PairEvidence, Parameters
from parity.criteria.box_agreement import BoxAgreement
from parity.criteria.finite_outputs import FiniteOutputs
from parity.criteria.image_coverage import ImageCoverage
from parity.criteria.map_variance import MapVariance

__all__ = ["CRITERIA", "Criterion", "CriterionResult", "Outcome", "PairEvidence", "Parameters"]

CRITERIA: dict[str, Criterion] = {
    criterion.name: criterion
    for criterion in (ImageCoverage(), FiniteOutputs(), MapVariance(), BoxAgreement())
}
