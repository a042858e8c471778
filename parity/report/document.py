"""The one result document, `report.json`: every view of a run is made from it and from nothing else.

Numbers are plain JSON numbers; what could not be computed is null and has its reason beside it, never
-1, 0 or NaN.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from parity.criteria.base import CriterionResult, Estimate, Interval, Outcome
from parity.serving.evidence import ServingEvidence

__all__ = ["CriterionResult", "Estimate", "Interval", "Outcome", "Report"]

SCHEMA_VERSION = "1.2"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ApSet(_Part):
    """COCO's summary of one side, as fractions from 0 to 1."""

    AP: float | None
    AP50: float | None
    AP75: float | None
    APs: float | None
    APm: float | None
    APl: float | None
    AR1: float | None
    AR10: float | None
    AR100: float | None
    undefined: dict[str, str] = Field(description="Reason for each value that is null.")


class Difference(_Part):
    """Candidate minus reference, with its paired bootstrap interval."""

    value: float | None = Field(description="Absolute difference, as a fraction.")
    interval: Interval | None
    confidence: float | None
    relative_percent: float | None = Field(description="Difference in percent of the reference's value.")
    relative_percent_interval: Interval | None
    reason: str = Field("", description="Why something here is null.")


class ClassAccuracy(_Part):
    """AP@[.50:.95] of one class on both sides."""

    category_id: int
    name: str
    boxes: int = Field(description="Ground truth boxes that are not crowd regions.")
    reference: float | None
    candidate: float | None
    difference: Difference
    p_value: float | None = Field(description="Two-sided, from the bootstrap; null without a difference.")
    adjusted_p_value: float | None = Field(description="By Benjamini and Hochberg, over the classes.")


class Accuracy(_Part):
    """Both sides and their differences; `difference` has the same keys as a side."""

    evaluator: str
    reference: ApSet
    candidate: ApSet
    difference: dict[str, Difference]
    classes: list[ClassAccuracy]
    resamples: int
    seed: int


class Agreement(_Part):
    """Reference against candidate detections, without ground truth.

    Counted over detections whose score reaches `score` on their own side. `moved` and `rescored` are
    matched pairs beyond the tolerances; a pair can be both.
    """

    score: float
    iou: float
    moved_iou: float = Field(description="A matched pair under this IoU counts as moved.")
    rescored_by: float = Field(description="A matched pair whose scores differ by more counts as rescored.")
    reference_detections: int
    candidate_detections: int
    matched: int
    missing: int
    extra: int
    moved: int
    rescored: int
    agreeing: int
    box_drift_pixels: dict[str, float] | None = Field(description="p50, p95, p99 and max over matched pairs.")
    score_drift: dict[str, float] | None
    lowest_iou: float | None


class Box(_Part):
    """One box of the gallery, corners in pixels of the original image."""

    side: Literal["reference", "candidate"]
    kind: Literal["matched", "missing", "extra", "moved", "rescored"]
    name: str
    score: float
    x1: float
    y1: float
    x2: float
    y2: float


class WorstImage(_Part):
    """An image on which the sides differ much, with the boxes of both."""

    image_id: int
    file_name: str
    width: int
    height: int
    differing: int
    lowest_iou: float | None
    picture: str | None = Field(description="Path of the picture relative to the report's folder.")
    boxes: list[Box]


class ImageFailure(_Part):
    """An image that one side did not answer."""

    image_id: int
    file_name: str
    side: Literal["reference", "candidate"]
    status: str
    message: str


class ImageCounts(_Part):
    """How many images there were and what became of them; `failures` names at most the first 100."""

    in_dataset: int
    attempted: int
    answered_by_both: int
    failed_on_reference: int
    failed_on_candidate: int
    failures: list[ImageFailure]


class Pair(_Part):
    """Everything about one model's reference and candidate."""

    model: str
    verdict: Outcome
    sentence: str = Field(description="The verdict in one sentence that a manager can repeat.")
    images: ImageCounts
    accuracy: Accuracy | None = Field(description="Null where only serving was measured.")
    agreement: Agreement | None = Field(description="Null where only serving was measured.")
    estimates: list[Estimate] = Field(description="Everything else that was measured, with intervals.")
    serving: ServingEvidence | None = Field(None, description="How both paths serve; null if not measured.")
    criteria: list[CriterionResult]
    worst_images: list[WorstImage]
    timings: dict[str, float] = Field(description="Seconds a step took.")
    provenance: dict[str, Any]


class Report(_Part):
    """A whole run."""

    schema_version: str = SCHEMA_VERSION
    run_id: str
    created: str = Field(description="UTC time, ISO 8601.")
    command: str
    phase: str
    verdict: Outcome
    rehearsal: bool = Field(description="True when a candidate was not a TensorRT engine behind Triton.")
    partial: bool = Field(description="True when fewer images were asked for than the data set has.")
    dataset: str
    unjudged: dict[str, str] = Field(
        {},
        description="Criteria of the phase that this report says nothing of, with the command that judges.",
    )
    notes: list[str]
    error: str | None = Field(description="What stopped the run before its end, if anything did.")
    pairs: list[Pair]
