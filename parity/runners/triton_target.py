"""Triton as load is put on it: tritonclient's asynchronous clients, no retries."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from parity.dataset import ImageProblem, ImageRecord
from parity.detections import Status
from parity.errors import first_line
from parity.requests import RequestError
from parity.runners.base import ImageResult
from parity.runners.preprocess import Placement
from parity.runners.triton_client import TritonClient
from parity.runners.triton_grpc import channel_options
from parity.runners.triton_grpc import library as grpc_library
from parity.runners.triton_grpc import translated as grpc_error
from parity.runners.triton_http import library as http_library
from parity.runners.triton_http import network_error, status_error
from parity.runners.triton_memory import Loan
from parity.runners.triton_target_memory import TargetMemory
from parity.runners.triton_transport import Connection, tls_context

if TYPE_CHECKING:
    from parity.runners.triton import TritonRunner


@dataclass(frozen=True, kw_only=True)
class Payload:
    """One image ready to send.

    inputs, outputs: of tritonclient; with shared memory, in which `memory` holds the input, each request has
    an output of its own. placement: where its pixels lie.
    """

    inputs: list[Any]
    outputs: list[Any]
    placement: Placement
    memory: Loan | None = None


class TritonTarget:
    """A checked model on its server, over the runner's own protocol; tensors as the runner hands them over.

    With the runner's `shared_memory` they are in memory that the server maps. To be entered once.
    """

    def __init__(self, runner: TritonRunner, client: TritonClient) -> None:
        """runner: entered, and used for preparing and decoding. client: its client."""
        self._runner = runner
        self._client = client
        self._connection = client.transport.connection
        self._library = grpc_library() if self._connection.wire == "grpc" else http_library()
        # gRPC takes the time limit with each request; HTTP's is the session's.
        limit = {"client_timeout": self._connection.timeout} if self._connection.wire == "grpc" else {}
        self._limit: dict[str, Any] = limit
        self._stub: Any = None
        self._memory = TargetMemory(client, self._library, self._ask) if client.regions is not None else None

    @property
    def endpoint(self) -> str:
        """Protocol, host:port and model."""
        return f"{self._connection.wire}://{self._connection.address}/{self._client.model}"

    async def __aenter__(self) -> Self:
        wire = self._connection.wire
        self._stub = _grpc_client(self._connection) if wire == "grpc" else _http_client(self._connection)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._memory is not None:
                await self._memory.close()
        finally:
            stub, self._stub = self._stub, None
            await stub.close()

    def encode(self, image: ImageRecord, file: bytes) -> Payload:
        """Decode, resize, and make the request's tensors. file: as the image reader has checked it.

        Raises ImageProblem for pixels that cannot be decoded, RequestError without room in shared memory.
        """
        pixels = _pixels(image, file)
        if self._memory is not None:
            size = self._runner.context.model.input_size
            given, placement, memory = self._memory.input(size, partial(self._runner.prepare, pixels))
            return Payload(inputs=[given], outputs=[], placement=placement, memory=memory)
        tensor, placement = self._runner.prepare(pixels)
        given, wanted = self._client.input_of(self._library, tensor[None])
        return Payload(inputs=[given], outputs=[wanted], placement=placement)

    async def send(self, payload: Payload) -> Any:
        """Send once; tritonclient's result, unread, and its memory if it is shared. Raises RequestError."""
        if self._memory is not None and payload.memory is not None:
            return await self._memory.infer(
                payload.memory, lambda wanted: self._infer(payload.inputs, [wanted])
            )
        return await self._infer(payload.inputs, payload.outputs)

    def decode(self, image: ImageRecord, payload: Payload, answer: Any) -> ImageResult:
        """The runner's own decoding. Raises RequestError for an output that is not what the head gives."""
        if self._memory is not None:
            output = self._memory.contents(answer)
        else:
            output = self._client.output_of(answer, 1)
        decoded = self._runner.interpret(output[0], payload.placement)
        return ImageResult(
            image_id=image.image_id,
            boxes=decoded.boxes,
            scores=decoded.scores,
            classes=decoded.classes,
            nonfinite=decoded.nonfinite,
        )

    async def _infer(self, inputs: list[Any], outputs: list[Any]) -> Any:
        return await self._ask(
            "infer", self._client.model, inputs, outputs=outputs, model_version=self._client.version
        )

    async def _ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of tritonclient's asynchronous client. Raises RequestError."""
        connection = self._connection
        try:
            return await getattr(self._stub, method)(
                *arguments,
                headers=connection.headers() if connection.token else None,
                **options,
                **self._limit,
            )
        except self._library.InferenceServerException as error:
            raise self._translated(error) from error
        except Exception as error:  # sockets, TLS and HTTP: three libraries' exceptions
            raise _aiohttp_error(error, connection) from error

    def _translated(self, error: Any) -> RequestError:
        translate = grpc_error if self._connection.wire == "grpc" else status_error
        return translate(error, self._connection)


def _pixels(image: ImageRecord, file: bytes) -> NDArray[np.uint8]:
    try:
        pixels = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageProblem(Status.UNREADABLE, "OpenCV refuses to decode it") from error
    if pixels is None or pixels.shape != (image.height, image.width, 3):
        raise ImageProblem(Status.UNREADABLE, "OpenCV cannot decode it to its annotated size")
    return np.asarray(pixels, np.uint8)


def _grpc_client(connection: Connection) -> Any:
    from tritonclient.grpc import aio

    return aio.InferenceServerClient(
        connection.address,
        ssl=connection.tls,
        root_certificates=None if connection.ca is None else str(connection.ca),
        channel_args=channel_options(connection),
    )


def _http_client(connection: Connection) -> Any:
    from tritonclient.http import aio

    return aio.InferenceServerClient(
        connection.address,
        conn_limit=0,  # the load decides how many requests are under way
        conn_timeout=connection.timeout,
        ssl=connection.tls,
        ssl_context=tls_context(connection.ca) if connection.tls else True,
    )


def _aiohttp_error(error: Exception, connection: Connection) -> RequestError:
    """Exceptions of aiohttp, which hide those of sockets and TLS, or tell of an answer that is not HTTP."""
    import aiohttp

    found = " ".join(first_line(error).split())
    if isinstance(error, asyncio.TimeoutError):  # a class of its own before Python 3.11
        return connection.error(f"no answer within {connection.timeout:g} s", "deadline", error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return network_error(error.certificate_error, found, connection)
    if isinstance(error, aiohttp.ClientSSLError):
        return connection.error(f"TLS fails ({found})", "tls", error)
    if isinstance(error, (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError)):
        return connection.error(found, "connection", error)
    if isinstance(error, aiohttp.ClientResponseError):
        return connection.error(f"the answer is not HTTP ({found})", "not-http", error)
    return network_error(error, found, connection)
