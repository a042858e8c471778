"""Triton's statistics extension: where the time of requests went on the server, and in which batches.

The server's counters only grow until it starts anew; what a step did is their change over it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from parity.errors import EvidenceError, RunnerError, first_line
from parity.secrecy import is_loopback
from parity.serving.evidence import ServerSplit
from parity.serving.web import Access, fetch, shown
from parity.visible import one_line

SIZE_LIMIT = 4 << 20
NS_A_MS = 1e6

Count = Annotated[int, Field(ge=0, lt=2**64)]


class _Told(BaseModel):
    # What protobuf leaves out as JSON is 0, and numbers of 64 bits are text there.
    model_config = ConfigDict(extra="ignore", frozen=True)


class Spent(_Told):
    """How often something was done, and how long that took in all, ns."""

    count: Count = 0
    ns: Count = 0


class Inferences(_Told):
    """Requests of one version by what became of them, and the parts of their time."""

    success: Spent = Spent()
    fail: Spent = Spent()
    queue: Spent = Spent()
    compute_input: Spent = Spent()
    compute_infer: Spent = Spent()
    compute_output: Spent = Spent()
    cache_hit: Spent = Spent()


class Batches(_Told):
    """Executions of one batch size: `compute_infer.count` of them."""

    batch_size: Annotated[int, Field(ge=1, lt=2**31)]
    compute_infer: Spent = Spent()


class VersionStatistics(_Told):
    """All counters of one version of one model since it was loaded."""

    name: str
    version: str
    inference_count: Count = 0
    execution_count: Count = 0
    inference_stats: Inferences = Inferences()
    batch_stats: tuple[Batches, ...] = ()

    def counters(self) -> dict[str, int]:
        """Everything that only grows, by a name."""
        stats = self.inference_stats
        return {
            "inference_count": self.inference_count,
            "execution_count": self.execution_count,
            **{f"{part}.count": getattr(stats, part).count for part in Inferences.model_fields},
            **{f"{part}.ns": getattr(stats, part).ns for part in Inferences.model_fields},
            **{f"batch {batch.batch_size}": batch.compute_infer.count for batch in self.batch_stats},
        }


class ModelStatistics(_Told):
    """One answer of the extension: one version or more of one model."""

    model_stats: tuple[VersionStatistics, ...] = Field(min_length=1)

    def by_version(self) -> dict[str, dict[str, int]]:
        """The counters of each version."""
        return {each.version: each.counters() for each in self.model_stats}

    def executions_by_size(self) -> dict[int, int]:
        """How many batches of each size were run so far, over all versions."""
        sizes: Counter[int] = Counter()
        for each in self.model_stats:
            for batch in each.batch_stats:
                sizes[batch.batch_size] += batch.compute_infer.count
        return dict(sizes)

    def requests(self) -> int:
        """Requests that ended, over all versions."""
        return sum(
            each.inference_stats.success.count + each.inference_stats.fail.count for each in self.model_stats
        )


@dataclass(frozen=True, kw_only=True)
class StatisticsSource:
    """Where a Triton is asked for statistics. url: host:port. version: one of them; empty: all, summed."""

    url: str
    model: str
    version: str = ""
    protocol: Literal["grpc", "http"] = "grpc"
    tls: bool = False
    access: Access = field(default_factory=Access)

    async def read(self) -> ModelStatistics:
        """The counters of now. Raises RunnerError without an answer, EvidenceError for one without sense."""
        with self.access.hiding():
            if self.protocol == "grpc":
                # The synchronous client in a thread: asked twice a step, it needs no event loop of its own.
                return parse(await asyncio.to_thread(self._ask), self.model, where=self.url)
            url = f"{'https' if self.tls else 'http'}://{self.url}/v2/models/{quote(self.model, safe='')}"
            version = f"/versions/{quote(self.version, safe='')}" if self.version else ""
            document = await fetch(f"{url}{version}/stats", self.access, SIZE_LIMIT)
            return parse(document, self.model, where=shown(url))

    def _ask(self) -> dict[str, Any]:
        try:
            from tritonclient import grpc
        except (ImportError, RuntimeError) as error:  # tritonclient turns a missing grpc into the latter
            raise RunnerError(
                f"tritonclient cannot be imported: {error}", remedy="pip install 'triton-parity[triton]'"
            ) from error
        own = is_loopback(self.url.rpartition(":")[0])
        options = [
            ("grpc.max_receive_message_length", SIZE_LIMIT),
            ("grpc.enable_http_proxy", 0 if own else 1),
        ]
        certificates = str(self.access.ca_file) if self.access.ca_file else None
        try:
            with grpc.InferenceServerClient(
                self.url, ssl=self.tls, root_certificates=certificates, channel_args=options
            ) as client:
                answer: dict[str, Any] = client.get_inference_statistics(
                    self.model,
                    self.version,
                    headers={name.lower(): value for name, value in self.access.headers.items()},
                    as_json=True,
                    client_timeout=self.access.timeout_s,
                )
                return answer
        except Exception as error:  # grpc raises bare exceptions on malformed addresses
            raise RunnerError(
                f"no statistics of the model {self.model!r}: {one_line(first_line(error))}",
                where=self.url,
                expected="the gRPC port of a running Triton server that has the model",
            ) from error


def parse(document: bytes | Mapping[str, Any], model: str, *, where: str) -> ModelStatistics:
    """Statistics from their JSON. Raises EvidenceError when damaged, or not of this model alone."""
    try:
        if isinstance(document, bytes):
            told = ModelStatistics.model_validate_json(document)
        else:
            told = ModelStatistics.model_validate(document)
    except ValidationError as error:
        detail = error.errors()[0]
        place = ".".join(map(str, detail["loc"])) or "the whole"
        raise EvidenceError(
            f"damaged statistics: {one_line(place)[:100]}: {detail['msg']}",
            where=where,
            expected="an answer of Triton's statistics extension",
        ) from error
    versions = [each.version for each in told.model_stats]
    if {each.name for each in told.model_stats} != {model} or len(set(versions)) != len(versions):
        found = one_line(", ".join(f"{each.name} {each.version}" for each in told.model_stats))[:200]
        raise EvidenceError(f"statistics of {found}", where=where, expected=f"each version of {model!r} once")
    return told


def split(before: ModelStatistics, after: ModelStatistics) -> ServerSplit:
    """What the server did in between, over all versions that were asked for.

    Where a counter fell or its version is gone, the server or the model began anew: then `reset` is set, and
    what is counted is what came after that, as Prometheus counts. A new start that has already counted more
    than the old one had cannot be told from no new start.
    """
    first, last = before.by_version(), after.by_version()
    reset = bool(set(first) - set(last))
    changes: dict[str, int] = {}
    for version, counters in last.items():
        earlier = first.get(version, {})
        if any(counters.get(name, 0) < value for name, value in earlier.items()):
            earlier, reset = {}, True
        for name, value in counters.items():
            changes[name] = changes.get(name, 0) + value - earlier.get(name, 0)
    return ServerSplit(
        requests=changes["success.count"],
        failures=changes["fail.count"],
        inferences=changes["inference_count"],
        executions=changes["execution_count"],
        queue_ms=_mean_ms(changes, "queue"),
        compute_input_ms=_mean_ms(changes, "compute_input"),
        compute_infer_ms=_mean_ms(changes, "compute_infer"),
        compute_output_ms=_mean_ms(changes, "compute_output"),
        batch_sizes={
            int(name.removeprefix("batch ")): count
            for name, count in sorted(changes.items(), key=lambda item: (len(item[0]), item[0]))
            if name.startswith("batch ") and count
        },
        cache_hits=changes["cache_hit.count"],
        reset=reset,
    )


def _mean_ms(changes: Mapping[str, int], part: str) -> float | None:
    count = changes[f"{part}.count"]
    return changes[f"{part}.ns"] / count / NS_A_MS if count else None
