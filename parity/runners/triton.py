"""The candidate: what a backend would ship. OpenCV, our own resize rule and decode, gRPC or HTTP, Triton.

Decoding pictures, the network and the model overlap, since several worker threads carry one image each from
file to boxes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import Self

from parity.config import SECRET, Address, ModelName, RetryCount, Seconds, Wire
from parity.dataset import ImageRecord
from parity.errors import RunnerError, UsageError
from parity.provenance import package_version
from parity.requests import RequestLedger, Retries
from parity.runners.base import ImageResult, RunnerContext, RunnerSettings
from parity.runners.bearer import bearer_token
from parity.runners.in_flight import Watched, answer_in_flight
from parity.runners.network import NetworkRunner
from parity.runners.target import Target
from parity.runners.triton_client import TritonClient
from parity.runners.triton_transport import (
    Connection,
    check_connection,
    open_transport,
    server_address,
)

if TYPE_CHECKING:
    from parity.runners.embedded import EmbeddedServer


METRICS_PORT = 8002
"""Triton's default."""


class TritonSettings(RunnerSettings):
    """Settings of the runner `triton`. TRITON_* in the environment fills in those that it names."""

    enabled: bool = Field(True, description="false: the reference answers in the candidate's place.")
    protocol: Wire = Field("grpc", description="What is spoken to the server.")
    url: Address | None = Field(
        None, description="host:port of a running server's gRPC; without an address parity starts a server."
    )
    http_url: Address | None = Field(None, description="host:port of a running server's HTTP.")
    tls: bool = Field(False, description="Encrypt, and verify the server's certificate.")
    ca: Path | None = Field(None, description="PEM file of the authority behind that certificate.")
    token_env: str | None = Field(
        None,
        pattern=r"^[A-Z_][A-Z0-9_]*$",
        description="Name of the environment variable that holds a bearer token.",
        json_schema_extra=SECRET,
    )
    model: ModelName | None = Field(
        None, description="Name in the model repository; none: the run file's name."
    )
    version: str = Field(
        "", pattern=r"^[0-9]{0,19}$", description="Model version; empty: the server's choice."
    )
    metrics_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s@?#]+$",
        description="Its Prometheus metrics, for `parity load`; none: port 8002 of the same host.",
    )
    precision: Literal["fp32", "fp16", "int8"] = Field(
        "fp32", description="Precision of the graph that the embedded server runs."
    )
    calibration_images: int = Field(100, ge=1, description="Images that INT8 is calibrated on.")
    in_flight: int = Field(8, ge=1, le=256, description="Most images between file and boxes at a time.")
    timeout: Seconds = Field(30.0, description="Seconds that one attempt of a request may take.")
    retries: RetryCount = Field(3, description="Further attempts of a request that may help.")
    patience: float = Field(60.0, ge=0, description="Seconds to wait for a server that went away.")
    shared_memory: bool = Field(
        False, description="Hand tensors over in system shared memory; the server is on this machine."
    )


class TritonRunner(NetworkRunner):
    """Sends images to a Triton server, its own or one that is already running."""

    Settings: ClassVar[type[RunnerSettings]] = TritonSettings

    def __init__(self, context: RunnerContext, settings: TritonSettings) -> None:
        """Raises UsageError for settings that contradict each other, or a token that is not there."""
        super().__init__(context)
        self.settings = settings
        self.ledger = RequestLedger()
        self.connection = connection_of(settings)
        self.reached: Connection | None = None
        self.stack = ExitStack()
        self.client: TritonClient | None = None
        self.server: EmbeddedServer | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            connection = self.connection or self._own_server(stack)
            client = TritonClient(
                open_transport(connection),
                model=self.served_model,
                version=self.settings.version,
                retries=Retries(most=self.settings.retries),
                ledger=self.ledger,
                patience=self.settings.patience,
                gone=lambda: self.server is not None and not self.server.alive(),
                shared_memory=self.settings.shared_memory,
            )
            stack.callback(client.close)
            client.check(self.context.model)
            self.client, self.reached = client, connection
            self.stack = stack.pop_all()
        return self

    def _own_server(self, stack: ExitStack) -> Connection:
        """Start the embedded server; how to reach it."""
        from parity.runners.embedded import start_embedded

        name = self.served_model
        self.server = stack.enter_context(
            start_embedded(
                {name: self.context}, {name: self.settings.precision}, self.settings.calibration_images
            )
        )
        address = self.server.grpc_url if self.settings.protocol == "grpc" else self.server.triton.http_url
        return Connection(wire=self.settings.protocol, address=address, timeout=self.settings.timeout)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stack.close()

    def predict(self, images: Iterable[ImageRecord]) -> Iterator[ImageResult]:
        """Results in the order in which they finish; at most `in_flight` images are under way."""
        client = self._client
        server = Watched(
            what="Triton",
            where=client.url,
            live=lambda: not client.outage.given_up and client.live(),
            log_tail=lambda: self.server.triton.log_tail() if self.server is not None else "",
            ending=client.outage.ending,
        )
        return answer_in_flight(images, self.answer, most=self.settings.in_flight, server=server)

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Ask the server, as often as `retries` allows. Thread-safe. Raises RequestError."""
        return self._client.infer(batch)

    def target(self) -> Target:
        """The same server and model as a load is put on them: asynchronous and without retries."""
        from parity.runners.triton_target import TritonTarget

        return TritonTarget(self, self._client)

    @property
    def remote(self) -> bool:
        """Whether the server runs already, so that nothing is started here."""
        return self.connection is not None

    @property
    def served_model(self) -> str:
        """The model's name on the server."""
        return self.settings.model or self.context.name

    @property
    def metrics_url(self) -> str:
        """Where the server's Prometheus metrics are: as set, or on Triton's own port of the same host."""
        if self.settings.metrics_url is not None:
            return self.settings.metrics_url
        if self.server is not None:
            return self.server.triton.metrics_url
        host = self._client.url.rpartition(":")[0]
        return f"http://{host}:{METRICS_PORT}/metrics"

    @property
    def _client(self) -> TritonClient:
        if self.client is None:
            raise RunnerError("the runner was not entered", where="triton")
        return self.client

    def provenance(self) -> dict[str, Any]:
        """What ran: server, model, its configuration and tensors, and the engine where it is known."""
        facts: dict[str, Any] = {
            "runner": "triton",
            "url": self._client.url if self.connection else "embedded",
            "retries": self.settings.retries,
            "timeout": self.settings.timeout,
            "signs_in": "with a bearer token" if self.settings.token_env else "no",
            "versions": {"tritonclient": package_version("tritonclient")},
            **self._client.provenance(),
        }
        if self.server is not None:
            facts["embedded"] = self.server.provenance(self.served_model)
            facts["precision"] = self.settings.precision
        else:
            facts["precision"] = "as the engine was built"
            facts["engine_sha256"] = None
            facts["engine_sha256_reason"] = "a running server does not tell the digest of what it loaded"
        return facts


def connection_of(settings: TritonSettings) -> Connection | None:
    """How to reach the server that the settings name; None for the embedded one.

    Raises UsageError for settings that contradict each other, or a token that is not there.
    """
    if not settings.enabled:
        raise UsageError(
            "the runner is switched off (enabled = false)",
            where="runner triton",
            remedy="`parity run` has the reference answer in its place; elsewhere switch it on",
        )
    address = server_address(settings.protocol, settings.url, settings.http_url)
    connection = address and Connection(
        wire=settings.protocol,
        address=address,
        timeout=settings.timeout,
        tls=settings.tls,
        ca=settings.ca,
        token=bearer_token(settings.token_env),
    )
    check_connection(
        connection or None, tls=settings.tls, ca=settings.ca, token=settings.token_env is not None
    )
    return connection or None
