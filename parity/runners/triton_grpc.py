"""Triton over gRPC. Needs tritonclient's grpc extra, and not its http extra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parity.errors import RunnerError
from parity.requests import RequestError
from parity.runners.triton_transport import HEALTH_S, Connection, speaks_http

MOST_BYTES = 1 << 30
"""Largest answer that is taken, bytes; the largest output of a detector's batch is a tenth of it."""

RECONNECT_MS = 500
"""Longest pause before a lost connection is tried anew; gRPC's own rule grows it to two minutes."""


def library() -> Any:
    """The module tritonclient.grpc. Raises RunnerError when it is not installed."""
    try:
        from tritonclient import grpc
    except (ImportError, RuntimeError) as error:  # tritonclient turns a missing grpc into the latter
        raise RunnerError(
            f"tritonclient cannot be imported: {error}", remedy="pip install 'triton-parity[triton]'"
        ) from error
    return grpc


def channel_options(connection: Connection) -> list[tuple[str, int]]:
    """Settings of gRPC itself, for the blocking and the asynchronous client."""
    return [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", MOST_BYTES),
        ("grpc.initial_reconnect_backoff_ms", RECONNECT_MS),
        ("grpc.max_reconnect_backoff_ms", RECONNECT_MS),
        # A proxy of the environment is for other machines; it would not find this one's loopback.
        ("grpc.enable_http_proxy", int(not connection.loopback)),
    ]


class GrpcTransport:
    """One gRPC client of tritonclient for all threads, since it is thread-safe."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.library = library()
        try:
            self.client = self.library.InferenceServerClient(
                connection.address,
                ssl=connection.tls,
                root_certificates=None if connection.ca is None else str(connection.ca),
                channel_args=channel_options(connection),
            )
        except Exception as error:  # grpc raises bare exceptions on malformed addresses
            raise RunnerError(
                f"not a usable address: {error}",
                where=connection.address,
                expected="host:port of Triton's gRPC",
            ) from error

    def live(self) -> bool:
        """Whether the server is live."""
        return self._says(self.client.is_server_live)

    def ready(self, model: str, version: str) -> bool:
        """Whether the model is ready."""
        return self._says(self.client.is_model_ready, model, version)

    def metadata(self) -> dict[str, Any]:
        """The server's name and version; the first question, so that it also tells HTTP from gRPC."""
        try:
            return dict(self._ask(self.client.get_server_metadata, as_json=True))
        except RequestError as error:
            if error.retryable and speaks_http(self.connection):
                raise self.connection.error("the server answers in HTTP, not in gRPC", "not-grpc") from error
            raise

    def index(self) -> list[dict[str, Any]]:
        """The models of the repository."""
        return list(self._ask(self.client.get_model_repository_index, as_json=True).get("models", []))

    def model_metadata(self, model: str, version: str) -> dict[str, Any]:
        """Versions, platform and tensors."""
        return dict(self._ask(self.client.get_model_metadata, model, version, as_json=True))

    def model_config(self, model: str, version: str) -> dict[str, Any]:
        """The configuration."""
        return dict(self._ask(self.client.get_model_config, model, version, as_json=True).get("config", {}))

    def infer(self, model: str, version: str, tensor: Any, output: Any) -> Any:
        """Send once."""
        return self._ask(self.client.infer, model, [tensor], model_version=version, outputs=[output])

    def register(self, name: str, key: str, size: int) -> None:
        """Have the server map a region."""
        self._ask(self.client.register_system_shared_memory, name, key, size)

    def unregister(self, name: str) -> None:
        """Have the server forget a region."""
        self._ask(self.client.unregister_system_shared_memory, name)

    def close(self) -> None:
        """Close the connection."""
        self.client.close()

    def _says(self, question: Callable[..., Any], *arguments: Any) -> bool:
        try:
            return bool(
                self._ask(question, *arguments, client_timeout=min(HEALTH_S, self.connection.timeout))
            )
        except RequestError:
            return False

    def _ask(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        options.setdefault("client_timeout", self.connection.timeout)
        try:
            return call(*arguments, headers=self.connection.headers(), **options)
        except self.library.InferenceServerException as error:
            raise translated(error, self.connection) from error


def translated(error: Any, connection: Connection) -> RequestError:
    """An exception of tritonclient as ours; its status is gRPC's code, None for its own checks."""
    code = str(error.status() or "client").removeprefix("StatusCode.").lower().replace("_", "-")
    found = " ".join(str(error.message()).split())
    reason = "deadline" if code == "deadline-exceeded" else code
    # What will not mend itself hides behind gRPC's UNAVAILABLE as well.
    if code == "unavailable" and "CERTIFICATE_VERIFY_FAILED" in found:
        reason, found = "certificate", "the server's certificate does not verify"
    elif code == "unavailable" and "Hostname Verification Check" in found:
        reason, found = "certificate", "the server's certificate does not verify: it is for another host"
    elif code == "unavailable" and ("SSL_ERROR" in found or "Ssl handshake" in found or "TSI_" in found):
        reason = "tls"
    elif code == "unavailable" and "http1" in found:
        reason = "not-grpc"
    return connection.error(found, reason, error)
