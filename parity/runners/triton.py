"""The candidate: what a backend would ship. OpenCV, our own resize rule and decode, gRPC, Triton.

Decoding pictures, the network and the model overlap, since several worker threads carry one image each from
file to boxes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from itertools import islice
from types import TracebackType
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import Self

from parity.config import NAME_PATTERN
from parity.dataset import ImageRecord
from parity.detections import Status
from parity.errors import RunnerError
from parity.provenance import package_version
from parity.runners.base import ImageResult, RunnerContext, RunnerSettings
from parity.runners.network import NetworkRunner
from parity.runners.triton_client import TritonClient


class TritonSettings(RunnerSettings):
    """Settings of the runner `triton`."""

    url: str | None = Field(
        None,
        pattern=r"^[^\s/@]+:[0-9]{1,5}$",
        description="host:port of a running server's gRPC; none: parity starts one.",
    )
    model: str | None = Field(
        None, pattern=NAME_PATTERN, description="Name in the model repository; none: the run file's name."
    )
    version: str = Field("", description="Model version; empty: the server's choice.")
    precision: Literal["fp32", "fp16", "int8"] = Field(
        "fp32", description="Precision of the graph that the embedded server runs."
    )
    calibration_images: int = Field(100, ge=1, description="Images that INT8 is calibrated on.")
    in_flight: int = Field(8, ge=1, le=256, description="Most images between file and boxes at a time.")
    timeout: float = Field(30.0, gt=0, description="Seconds that one request may take.")


CONSECUTIVE_FAILURES = 5
"""After so many failed requests in a row the server counts as broken, and the run ends."""


class TritonRunner(NetworkRunner):
    """Sends images to a Triton server, its own or one that is already running."""

    Settings: ClassVar[type[RunnerSettings]] = TritonSettings

    def __init__(self, context: RunnerContext, settings: TritonSettings) -> None:
        super().__init__(context)
        self.settings = settings
        self.stack = ExitStack()
        self.client: TritonClient | None = None
        self.server: Any = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            url = self.settings.url
            if url is None:
                from parity.runners.embedded import start_embedded

                name = self.settings.model or self.context.name
                self.server = stack.enter_context(
                    start_embedded(
                        {name: self.context},
                        {name: self.settings.precision},
                        self.settings.calibration_images,
                    )
                )
                url = self.server.grpc_url
            self.client = TritonClient(
                url,
                model=self.settings.model or self.context.name,
                version=self.settings.version,
                timeout=self.settings.timeout,
            )
            stack.callback(self.client.close)
            self.client.check(self.context.model)
            self.stack = stack.pop_all()
        return self

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
        with ThreadPoolExecutor(self.settings.in_flight, thread_name_prefix="parity-triton") as pool:
            pending: set[Future[ImageResult]] = set()
            try:
                while True:
                    free = self.settings.in_flight - len(pending)
                    pending |= {pool.submit(self.answer, image) for image in islice(remaining, free)}
                    if not pending:
                        return
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    for future in done:
                        result = future.result()
                        yield result
                        failures = failures + 1 if result.status is Status.FAILED else 0
                        if result.status is Status.FAILED:
                            self._stop_if_broken(result, failures)
            finally:
                for future in pending:
                    future.cancel()

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Ask the server. Raises RunnerError."""
        return self._client.infer(batch)

    @property
    def _client(self) -> TritonClient:
        if self.client is None:
            raise RunnerError("the runner was not entered", where="triton")
        return self.client

    def _stop_if_broken(self, result: ImageResult, failures: int) -> None:
        """End the run when the server is gone or answers nothing any more; the images so far are kept."""
        alive = self._client.live()
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
            "url": self._client.url if self.settings.url else "embedded",
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
