"""Triton as load is put on it: tritonclient's asynchronous clients, no retries."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
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
from parity.runners.triton_transport import Connection, tls_context

if TYPE_CHECKING:
    from parity.runners.triton import TritonRunner


@dataclass(frozen=True, kw_only=True)
class Payload:
    """One image ready to send. inputs, outputs: of tritonclient. placement: where its pixels lie."""

    inputs: list[Any]
    outputs: list[Any]
    placement: Placement


class TritonTarget:
    """A checked model on its server, over the runner's own protocol, tensors in the request.

    Shared memory is left to the runner: regions belong to one request at a time, and what is encoded here may
    be sent many times over, also at once.
    """

    def __init__(self, runner: TritonRunner, client: TritonClient) -> None:
        """runner: entered, and used for preparing and decoding. client: its client."""
        self._runner = runner
        self._client = client
        self._connection = client.transport.connection
        self._library = grpc_library() if self._connection.wire == "grpc" else http_library()
        # gRPC takes the time limit with each request; HTTP's is the session's.
        limit = {"client_timeout": self._connection.timeout} if self._connection.wire == "grpc" else {}
        self._options: dict[str, Any] = {"model_version": client.version, **limit}
        self._stub: Any = None

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
        stub, self._stub = self._stub, None
        await stub.close()

    def encode(self, image: ImageRecord, file: bytes) -> Payload:
        """Decode, resize, and make the request's tensors. file: as the image reader has checked it.

        Raises ImageProblem for pixels that cannot be decoded.
        """
        tensor, placement = self._runner.prepare(_pixels(image, file))
        wanted_input, wanted_output = self._client.input_of(self._library, tensor[None])
        return Payload(inputs=[wanted_input], outputs=[wanted_output], placement=placement)

    async def send(self, payload: Payload) -> Any:
        """Send once; tritonclient's result, unread. Raises RequestError."""
        connection = self._connection
        try:
            return await self._stub.infer(
                self._client.model,
                payload.inputs,
                outputs=payload.outputs,
                headers=connection.headers() if connection.token else None,
                **self._options,
            )
        except self._library.InferenceServerException as error:
            raise self._translated(error) from error
        except Exception as error:  # sockets, TLS and HTTP: three libraries' exceptions
            raise _aiohttp_error(error, connection) from error

    def decode(self, image: ImageRecord, payload: Payload, answer: Any) -> ImageResult:
        """The runner's own decoding. Raises RequestError for an output that is not what the head gives."""
        output = self._client.output_of(answer, 1)
        decoded = self._runner.interpret(output[0], payload.placement)
        return ImageResult(
            image_id=image.image_id,
            boxes=decoded.boxes,
            scores=decoded.scores,
            classes=decoded.classes,
            nonfinite=decoded.nonfinite,
        )

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
