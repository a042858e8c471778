"""What one step of a load run came to, and loads in words."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

SideName = Literal["reference", "candidate"]


class Part(BaseModel):
    """Base of all serving evidence: unknown fields and numbers that are not finite are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Value(Part):
    """A measured value and its interval."""

    value: float
    interval: tuple[float, float] | None = None
    reason: str = Field("", description="Why there is no interval; empty where there is one.")


class Latency(Part):
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


class ServerSplit(Part):
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


class GpuUse(Part):
    """How busy the GPU was in a step, shares from 0 to 1."""

    source: Literal["nv_gpu_utilization", "nvml", "none"]
    samples: int = Field(ge=0)
    mean: float | None
    max: float | None
    reason: str = Field("", description="Why there is nothing, or what is damaged about it.")


class ClientSplit(Part):
    """Where a client's time goes, mean ms of an answered request. With work `tensor` it only sends.

    Where waiting is not small, the client's own cores are the bottleneck and not the server.
    """

    waiting_ms: float = Field(description="For a thread that encodes or decodes.")
    encoding_ms: float
    sending_ms: float = Field(description="From sending to the answer, over the network and in the server.")
    decoding_ms: float


class LoadStep(Part):
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


class AnyLoad(Protocol):
    """What has a load: a step of a run, or a load that is still to be put on."""

    @property
    def concurrency(self) -> int | None:
        """Requests under way at a time; None for an open loop."""
        ...

    @property
    def rate(self) -> float | None:
        """Requests a second; None for a closed loop."""
        ...

    @property
    def arrivals(self) -> str | None:
        """How an open loop's requests are spread."""
        ...


def load_name(load: AnyLoad) -> str:
    """A load in words: `8 at a time`, or `20/s, poisson`."""
    if load.concurrency is not None:
        return f"{load.concurrency} at a time"
    return f"{load.rate:g}/s, {load.arrivals}"
