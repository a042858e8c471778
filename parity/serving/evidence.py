"""What is known of how both paths serve: the document that criteria judge and reports show.

Times are in milliseconds, rates in answers a second, shares from 0 to 1. What could not be measured is null
with its reason beside it, never 0 or -1.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from parity.serving.load_step import (
    ClientSplit,
    GpuUse,
    Latency,
    LoadStep,
    Part,
    ServerSplit,
    SideName,
    Value,
    load_name,
)

__all__ = [
    "DRILL_STEPS",
    "BatchInvariance",
    "ClientSplit",
    "Deviation",
    "Drill",
    "DrillStep",
    "GpuUse",
    "Imported",
    "Latency",
    "LoadStep",
    "MetricSeen",
    "Reconciliation",
    "ServerSplit",
    "ServingEvidence",
    "SideName",
    "UnderLoad",
    "Value",
    "Work",
    "load_name",
]

Work = Literal["image", "tensor"]


class MetricSeen(Part):
    """One metric that a policy or an alert rule names, looked for before, during and after the load."""

    name: str
    wanted_by: list[str]
    present: bool
    moved: bool | None = Field(description="Whether its value changed; null for one that need not.")
    reason: str = ""


class Reconciliation(Part):
    """The client's ledger against the change of the server's counters."""

    client_requests: int
    client_ok: int
    client_failed: dict[str, int]
    server_success: int | None = Field(description="Change of nv_inference_request_success; null if unknown.")
    server_failure: dict[str, int] = Field(description="Change of nv_inference_request_failure, by reason.")
    server_inferences: int | None
    explained: list[str] = Field(description="Differences with their cause.")
    unexplained: list[str]
    resets: list[str] = Field(description="Counters that fell in between.")
    cache_hits: int = 0
    reason: str = Field("", description="Why nothing can be said, if so.")


class Deviation(Part):
    """The largest difference between answers that should be equal, and where it was."""

    score: float = Field(ge=0)
    box_pixels: float = Field(ge=0)
    lowest_iou: float | None
    where: str


class BatchInvariance(Part):
    """The same image in every batch size and row, beside others, alone and under concurrency."""

    images: int = Field(ge=0)
    max_batch: int = Field(ge=0)
    sizes: list[int] = Field([], description="Batch sizes of which answers came and were compared.")
    checks: int = Field(ge=0, description="Answers that were compared with the image's own alone.")
    detections: int = Field(
        0, ge=0, description="Detections in the answers alone whose loss would be more than noise."
    )
    places: int = Field(
        0, ge=0, description="Pairs of a batch size, up to 8 or the maximum, and a row in such a batch."
    )
    places_seen: int = Field(
        0,
        ge=0,
        description="Of these, how many one and the same image was compared in, beside other images: of the "
        "images with such detections, the one that was in most.",
    )
    concurrent: int = Field(0, ge=0, description="Of the checks, those of requests sent at the same time.")
    formed: dict[int, int] | None = Field(
        None, description="Executions that these requests came to, by batch size; null when nobody tells."
    )
    differing: int = Field(ge=0)
    failed: int = Field(ge=0, description="Requests that gave no answer.")
    largest: Deviation | None
    differing_images: list[str] = Field(description="File names, at most 100.")
    noise_score: float = Field(ge=0, description="Differences up to here are noise: scores, as shares.")
    noise_pixels: float = Field(ge=0, description="Differences up to here are noise: corners, in pixels.")
    reason: str = ""


class UnderLoad(Part):
    """Answers kept from the load run against the quiet run's answers for the same images."""

    side: SideName
    sampled: int = Field(ge=0, description="Answers that were kept, failed ones among them.")
    images: int = Field(ge=0, description="Different images among those that could be compared.")
    failed: int = Field(0, ge=0, description="Kept answers that were none, or not finite.")
    compared: int = Field(0, ge=0, description="Kept answers that were held to the quiet run's.")
    detections: int = Field(
        0,
        ge=0,
        description="Detections in the quiet answers to those whose loss would be more than noise.",
    )
    uncompared: list[str] = Field(
        [], description="File names of which nothing could be compared, at most 100."
    )
    differing: int = Field(ge=0)
    largest: Deviation | None
    differing_images: list[str] = Field(description="File names, at most 100.")
    noise_score: float = Field(ge=0)
    noise_pixels: float = Field(ge=0)
    reason: str = ""


DRILL_STEPS = (
    "candidate answers",
    "switch off",
    "take the candidate away",
    "answers go on",
    "switch on again",
    "candidate answers again",
)
"""The steps of a rehearsed rollback, in their order; one that lacks any shows nothing."""


class DrillStep(Part):
    """One step of a rehearsed rollback."""

    name: str = Field(description="One of DRILL_STEPS.")
    seconds: float = Field(ge=0)
    ok: bool
    message: str


class Drill(Part):
    """A rehearsed rollback: off, the candidate gone, answers go on and are equal, on again."""

    model: str = ""
    created: str = Field("", description="When it began, ISO 8601, UTC.")
    reference: str = Field("", description="The runner that answered while the candidate was away.")
    candidate: str = ""
    tensorrt: bool = Field(False, description="Whether the server said that it is a TensorRT engine.")
    removal: Literal["killed", "disconnected"] | None = Field(
        None, description="Killed: the candidate's server was ended. Disconnected: its client was closed."
    )
    steps: list[DrillStep]
    images: int = Field(ge=0, description="Images that each step asked for.")
    unanswered: int = Field(ge=0, description="Answers that did not come, over all steps.")
    unequal: int = Field(ge=0, description="Answers that differ by more than noise, over all steps.")
    detections: int = Field(
        0,
        ge=0,
        description="Detections in the answers of before whose loss would be more than noise: of the side "
        "that has fewer.",
    )
    noise_score: float | None = Field(
        None, ge=0, description="Of both sides the larger difference of two quiet runs; null when unknown."
    )
    noise_pixels: float | None = Field(None, ge=0, description="The same of corners, in pixels.")


class Imported(Part):
    """Evidence that another tool measured, such as perf_analyzer, and what it lacks."""

    tool: str
    file: str
    sha256: str
    lacks: list[str]


class ServingEvidence(Part):
    """All of it, for one model."""

    work: Work = Field(description="image: from the file's bytes to boxes. tensor: the request alone.")
    images: int = Field(ge=0, description="Different images that were sent.")
    reference_endpoint: str
    candidate_endpoint: str
    steps: list[LoadStep] = Field(default_factory=list)
    metrics: list[MetricSeen] = Field(default_factory=list)
    reconciliation: Reconciliation | None = None
    batches: BatchInvariance | None = None
    under_load: list[UnderLoad] = Field(default_factory=list)
    drill: Drill | None = None
    imported: list[Imported] = Field(default_factory=list)
