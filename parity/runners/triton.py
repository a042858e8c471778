"""The candidate: what a backend would ship. OpenCV, our own resize rule and decode, gRPC or HTTP, Triton.

Decoding pictures, the network and the model overlap, since several worker threads carry one image each from
file to boxes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import Self

from parity.config import SECRET, Address, ModelName, RetryCount, Seconds, Wire
from parity.dataset import ImageRecord
from parity.detections import Status
from parity.errors import RunnerError, UsageError
from parity.provenance import package_version
from parity.requests import RequestLedger, Retries
from parity.runners.base import ImageResult, RunnerContext, RunnerSettings
from parity.runners.network import NetworkRunner
from parity.runners.target import Target
from parity.runners.triton_client import TritonClient
from parity.runners.triton_transport import (
    Connection,
    check_connection,
    open_transport,
    server_address,
    token_of,
)

if TYPE_CHECKING:
    from parity.runners.embedded import EmbeddedServer


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


CONSECUTIVE_FAILURES = 5
"""After so many failed requests in a row the server counts as broken, and the run ends."""


class TritonRunner(NetworkRunner):
    """Sends images to a Triton server, its own or one that is already running."""

    Settings: ClassVar[type[RunnerSettings]] = TritonSettings

    def __init__(self, context: RunnerContext, settings: TritonSettings) -> None:
        """Raises UsageError for settings that contradict each other, or a token that is not there."""
        super().__init__(context)
        self.settings = settings
        self.ledger = RequestLedger()
        self.connection = connection_of(settings)
        self.stack = ExitStack()
        self.client: TritonClient | None = None
        self.server: EmbeddedServer | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            connection = self.connection or self._own_server(stack)
            client = TritonClient(
                open_transport(connection),
                model=self.settings.model or self.context.name,
                version=self.settings.version,
                retries=Retries(most=self.settings.retries),
                ledger=self.ledger,
                patience=self.settings.patience,
                gone=lambda: self.server is not None and not self.server.alive(),
                shared_memory=self.settings.shared_memory,
            )
            stack.callback(client.close)
            client.check(self.context.model)
            self.client = client
            self.stack = stack.pop_all()
        return self

    def _own_server(self, stack: ExitStack) -> Connection:
        """Start the embedded server; how to reach it."""
        from parity.runners.embedded import start_embedded

        name = self.settings.model or self.context.name
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
        remaining = iter(images)
        failures = 0
        pool = ThreadPoolExecutor(self.settings.in_flight, thread_name_prefix="parity-triton")
        pending: set[Future[ImageResult]] = set()
        try:
            while True:
                free = self.settings.in_flight - len(pending)
                pending |= {pool.submit(self.answer, image) for image in islice(remaining, free)}
                if not pending:
                    return
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                results = [future.result() for future in done]
                yield from results  # all that was answered, before anything ends the run
                for result in results:
                    failures = failures + 1 if result.status is Status.FAILED else 0
                    if failures:
                        self._stop_if_broken(result, failures)
        finally:
            with self._client.outage.ending():
                pool.shutdown(cancel_futures=True)

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Ask the server, as often as `retries` allows. Thread-safe. Raises RequestError."""
        return self._client.infer(batch)

    def target(self) -> Target:
        """The same server and model as a load is put on them: asynchronous and without retries."""
        from parity.runners.triton_target import TritonTarget

        return TritonTarget(self, self._client)

    @property
    def _client(self) -> TritonClient:
        if self.client is None:
            raise RunnerError("the runner was not entered", where="triton")
        return self.client

    def _stop_if_broken(self, result: ImageResult, failures: int) -> None:
        """End the run when the server is gone or answers nothing any more; the images so far are kept."""
        alive = not self._client.outage.given_up and self._client.live()
        if alive and failures < CONSECUTIVE_FAILURES:
            return
        tail = f"\n{self.server.triton.log_tail()}" if self.server is not None else ""
        raise RunnerError(
            (
                f"Triton stopped answering ({result.message})"
                if not alive
                else f"{failures} requests failed in a row: {result.message}"
            )
            + tail,
            where=self._client.url,
            expected="a server that answers until the last image",
            remedy="see the server's log, then run again; what was answered is kept",
        )

    def provenance(self) -> dict[str, Any]:
        """What ran: server, model, its configuration and tensors, and the engine where it is known."""
        facts: dict[str, Any] = {
            "runner": "triton",
            "url": self._client.url if self.connection else "embedded",
            "retries": self.settings.retries,
            "timeout": self.settings.timeout,
            "bearer": self.settings.token_env is not None,
            "versions": {"tritonclient": package_version("tritonclient")},
            **self._client.provenance(),
        }
        if self.server is not None:
            facts["embedded"] = self.server.provenance(self.settings.model or self.context.name)
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
        token=token_of(settings.token_env),
    )
    check_connection(
        connection or None, tls=settings.tls, ca=settings.ca, token=settings.token_env is not None
    )
    return connection or None
