"""Does the candidate repeat the reference, ground truth aside? Partners, places, and order of scores."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from parity.criteria.base import HIGHER_IS_LOOSER, LOWER_IS_LOOSER, Parameters, Sense
from parity.criteria.limits import EstimateCriterion


class ReferenceAgreementParameters(Parameters):
    """How many reference detections must have a partner."""

    limit_percent: float = Field(
        99.0, gt=0, le=100, description="Least share, in percent.", json_schema_extra=LOWER_IS_LOOSER
    )


class ReferenceAgreement(EstimateCriterion):
    """Share of reference detections with a candidate of the same class at IoU 0.75 or more."""

    name = "reference_agreement"
    estimate = "agreement.iou_0.75"
    limit = "limit_percent"
    sense: ClassVar[Sense] = "at_least"
    parameters = ReferenceAgreementParameters


class BoxDriftParameters(Parameters):
    """How far boxes may move."""

    limit_pixels: float = Field(
        2.0, gt=0, description="Pixels of the original image.", json_schema_extra=HIGHER_IS_LOOSER
    )


class BoxDrift(EstimateCriterion):
    """99th percentile of the corner shift of matched boxes."""

    name = "box_drift"
    estimate = "agreement.drift_pixels.p99"
    limit = "limit_pixels"
    sense: ClassVar[Sense] = "at_most"
    parameters = BoxDriftParameters


class PseudoTruthParameters(Parameters):
    """How well the candidate must do when the reference is the truth."""

    limit_points: float = Field(
        98.0, gt=0, le=100, description="Least AP in points, 0 to 100.", json_schema_extra=LOWER_IS_LOOSER
    )


class PseudoTruth(EstimateCriterion):
    """AP of the candidate with the reference's detections at the production threshold as ground truth."""

    name = "pseudo_truth"
    estimate = "pseudo_truth.AP"
    limit = "limit_points"
    sense: ClassVar[Sense] = "at_least"
    parameters = PseudoTruthParameters
