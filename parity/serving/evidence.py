"""What is known of how both paths serve: the document that criteria judge and reports show.

Times are in milliseconds, rates in answers a second, shares from 0 to 1. What could not be measured is null
with its reason beside it, never 0 or -1.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SideName = Literal["reference", "candidate"]
Work = Literal["image", "tensor"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Value(_Part):
    """A measured value and its interval."""

    value: float
    interval: tuple[float, float] | None = None
    reason: str = Field("", description="Why there is no interval; empty where there is one.")


class Latency(_Part):
    """Latency of the answered requests of a step, ms. Failed requests are not in it."""

    n: int | None = Field(ge=1, description="Null where imported evidence does not tell, as the next ones.")
    mean: float | None
    p50: Value | None
    p90: Value | None
    p95: Value | None
    p99: Value | None
    max: float | None
    confidence: float
    histogram: str | None = Field(
        description="HdrHistogram of microseconds, in its V2 encoding, to merge and redraw."
    )
    over_top: int = Field(0, ge=0, description="Answers slower than the histogram's top, recorded at it.")


class ServerSplit(_Part):
    """What Triton's statistics say of a step: the change between its begin and its end."""

    requests: int = Field(description="Requests that succeeded, by the server's count.")
    failures: int
    inferences: int = Field(description="Images, where each request holds one or more.")
    executions: int = Field(description="Batches that were run.")
    queue_ms: float | None = Field(description="Mean a request; null without requests, as the next ones.")
    compute_input_ms: float | None
    compute_infer_ms: float | None
    compute_output_ms: float | None
    batch_sizes: dict[int, int] = Field(description="Executions by the size of the batch that was formed.")
    cache_hits: int
    reset: bool = Field(
        False, description="Whether a counter fell, so that the server began anew in between."
    )


class GpuUse(_Part):
    """How busy the GPU was in a step, shares from 0 to 1."""

    source: Literal["nv_gpu_utilization", "nvml", "none"]
    samples: int = Field(ge=0)
    mean: float | None
    max: float | None
    reason: str = Field("", description="Why there is nothing, or what is damaged about it.")


class ClientSplit(_Part):
    """Where a client's time goes, mean ms of an answered request. With work `tensor` it only sends.

    Where waiting is not small, the client's own cores are the bottleneck and not the server.
    """

    waiting_ms: float = Field(description="For a thread that encodes or decodes.")
    encoding_ms: float
    sending_ms: float = Field(description="From sending to the answer, over the network and in the server.")
    decoding_ms: float


class LoadStep(_Part):
    """One step of a load run: one side under one load, in one turn (A B A B)."""

    side: SideName
    turn: int = Field(ge=0, description="0 for the first time that this side had this load, then 1, ...")
    loop: Literal["closed", "open"]
    concurrency: int | None = Field(description="Requests under way at a time; null for an open loop.")
    rate: float | None = Field(description="Requests a second that were meant to be sent; null when closed.")
    arrivals: Literal["constant", "poisson"] | None
    warmup_requests: int | None = Field(
        ge=0,
        description="Sent before, and in none of the numbers; null where imported evidence does not tell, "
        "as the next ones.",
    )
    seconds: float | None = Field(ge=0, description="Length of the measured part.")
    sent: int | None = Field(
        ge=0,
        description="Requests that were meant to be sent in the measured part: `ok` and `failed` together.",
    )
    ok: int | None = Field(ge=0)
    failed: dict[str, int] = Field(
        description="Requests without a usable answer, by reason; says nothing where `sent` is null."
    )
    latency: Latency | None = Field(description="Null when nothing was answered.")
    throughput: Value | None = Field(
        description="Usable answers a second that arrived in the measured part, whenever they were sent."
    )
    stable: bool
    stability: str = Field(description="What was looked at, and why the step ended.")
    late_sends: int = Field(0, ge=0, description="Open loop: requests sent over 1 ms after their time.")
    checked: int | None = Field(
        None, ge=0, description="Answers that were decoded: all with work `image`, else a sample."
    )
    client: ClientSplit | None = None
    server: ServerSplit | None = None
    gpu: GpuUse | None = None


class MetricSeen(_Part):
    """One metric that a policy or an alert rule names, looked for before, during and after the load."""

    name: str
    wanted_by: list[str]
    present: bool
    moved: bool | None = Field(description="Whether its value changed; null for one that need not.")
    reason: str = ""


class Reconciliation(_Part):
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


class Deviation(_Part):
    """The largest difference between answers that should be equal, and where it was."""

    score: float
    box_pixels: float
    lowest_iou: float | None
    where: str


class BatchInvariance(_Part):
    """The same image in every batch size and row, beside others, alone and under concurrency."""

    images: int = Field(ge=0)
    max_batch: int = Field(ge=0)
    sizes: list[int] = Field([], description="Batch sizes that were sent.")
    checks: int = Field(ge=0, description="Answers that were compared with the image's own alone.")
    concurrent: int = Field(0, ge=0, description="Of the checks, those of requests sent at the same time.")
    formed: dict[int, int] | None = Field(
        None, description="Executions that these requests came to, by batch size; null when nobody tells."
    )
    differing: int = Field(ge=0)
    failed: int = Field(ge=0, description="Requests that gave no answer.")
    largest: Deviation | None
    differing_images: list[str] = Field(description="File names, at most 100.")
    noise_score: float = Field(description="Differences up to here are noise: scores, as shares.")
    noise_pixels: float = Field(description="Differences up to here are noise: corners, in pixels.")
    reason: str = ""


class UnderLoad(_Part):
    """Answers kept from the load run against the quiet run's answers for the same images."""

    side: SideName
    sampled: int = Field(ge=0, description="Answers that were kept, failed ones among them.")
    images: int = Field(ge=0, description="Different images among those that could be compared.")
    failed: int = Field(0, ge=0, description="Kept answers that were none, or not finite.")
    compared: int = Field(0, ge=0, description="Kept answers that were held to the quiet run's.")
    uncompared: list[str] = Field(
        [], description="File names of which nothing could be compared, at most 100."
    )
    differing: int = Field(ge=0)
    largest: Deviation | None
    differing_images: list[str] = Field(description="File names, at most 100.")
    noise_score: float
    noise_pixels: float
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


class DrillStep(_Part):
    """One step of a rehearsed rollback."""

    name: str = Field(description="One of DRILL_STEPS.")
    seconds: float = Field(ge=0)
    ok: bool
    message: str


class Drill(_Part):
    """A rehearsed rollback: off, the candidate gone, answers go on and are equal, on again."""

    model: str = ""
    created: str = Field("", description="When it began, ISO 8601, UTC.")
    reference: str = Field("", description="The runner that answered while the candidate was away.")
    candidate: str = ""
    removal: Literal["killed", "disconnected"] | None = Field(
        None, description="Killed: the candidate's server was ended. Disconnected: its client was closed."
    )
    steps: list[DrillStep]
    images: int = Field(ge=0, description="Images that each step asked for.")
    unanswered: int = Field(ge=0, description="Answers that did not come, over all steps.")
    unequal: int = Field(ge=0, description="Answers that differ by more than noise, over all steps.")


class Imported(_Part):
    """Evidence that another tool measured, such as perf_analyzer, and what it lacks."""

    tool: str
    file: str
    sha256: str
    lacks: list[str]


class ServingEvidence(_Part):
    """All of it, for one model."""

    work: Work = Field(description="image: from the file's bytes to boxes. tensor: the request alone.")
    images: int = Field(ge=0, description="Different images that were sent.")
    reference_endpoint: str
    candidate_endpoint: str
    steps: list[LoadStep] = []
    metrics: list[MetricSeen] = []
    reconciliation: Reconciliation | None = None
    batches: BatchInvariance | None = None
    under_load: list[UnderLoad] = []
    drill: Drill | None = None
    imported: list[Imported] = []
