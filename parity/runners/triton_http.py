"""Triton over HTTP. Needs tritonclient's http extra.

tritonclient.http stands on gevent, and its client may be used by one thread only: its sockets belong to the
gevent hub of the thread that opened them (triton-inference-server/server#6650: another thread's use ends in
`greenlet.error`). So every thread that asks gets a client of its own. A thread that ends leaves its hub
behind, with four file descriptors, which only the next one can destroy.
"""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass
from typing import Any

from parity.errors import RunnerError, first_line
from parity.requests import RequestError
from parity.runners.triton_transport import HEALTH_S, Connection

MOST_BYTES = 1 << 30
"""Largest answer that is taken, bytes: as over gRPC."""
CHUNK = 1 << 16


def library() -> Any:
    """The module tritonclient.http. Raises RunnerError when it is not installed."""
    try:
        from tritonclient import http
    except (ImportError, RuntimeError) as error:  # tritonclient turns a missing gevent into the latter
        raise RunnerError(
            f"tritonclient's HTTP client cannot be imported: {error}",
            remedy="pip install 'triton-parity[triton]', or set protocol = 'grpc'",
        ) from error
    return http


def bounded(kind: type[Any]) -> type[Any]:
    """A subclass of tritonclient's client that reads no answer of more than `MOST_BYTES`.

    tritonclient reads answers to their end, and gives its users no place to stop it.
    """

    class Bounded(kind):  # type: ignore[misc]  # tritonclient has no types
        def _get(self, *arguments: Any, **named: Any) -> Any:
            return _limited(super()._get(*arguments, **named))

        def _post(self, *arguments: Any, **named: Any) -> Any:
            return _limited(super()._post(*arguments, **named))

    return Bounded


def _limited(response: Any) -> Any:
    """The response; its `read` counts where its length is not told beforehand. Raises ValueError over it."""
    told = response.get("content-length")
    if told is not None and int(told) > MOST_BYTES:
        raise ValueError(f"{int(told):,} bytes, expected at most {MOST_BYTES:,}")
    if told is None:
        whole = response.read

        def read(length: int | None = None) -> bytes:
            if length is not None:
                return bytes(whole(min(length, MOST_BYTES)))
            body = bytearray()
            while part := whole(CHUNK):
                body += part
                if len(body) > MOST_BYTES:
                    raise ValueError(f"no end after {MOST_BYTES:,} bytes")
            return bytes(body)

        response.read = read
    return response


@dataclass(frozen=True, kw_only=True)
class _Owned:
    """A thread, its client, and the gevent hub that the client's sockets belong to."""

    thread: threading.Thread
    client: Any
    hub: Any


NOT_TRITON = frozenset({"http-404", "http-405", "client", "bad-answer"})
"""What becomes of the question for its metadata where another server answers."""


class HttpTransport:
    """One of tritonclient's HTTP clients a thread, with one connection each."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.library = library()
        self._threads = threading.local()
        self._lock = threading.Lock()
        self._owned: list[_Owned] = []

    def live(self) -> bool:
        """Whether the server is live."""
        return self._says("is_server_live")

    def ready(self, model: str, version: str) -> bool:
        """Whether the model is ready."""
        return self._says("is_model_ready", model, version)

    def metadata(self) -> dict[str, Any]:
        """The server's name and version; the first question, so that it also tells a Triton from others."""
        try:
            answer = self._ask("get_server_metadata")
        except RequestError as error:
            if error.reason in NOT_TRITON:
                found = f"what answers there is no Triton ({error.reason})"
                raise self.connection.error(found, "not-triton") from error
            raise
        if not isinstance(answer, dict):
            raise self.connection.error("what answers there is no Triton (bad-answer)", "not-triton")
        return answer

    def index(self) -> list[dict[str, Any]]:
        """The models of the repository."""
        return list(self._ask("get_model_repository_index"))

    def model_metadata(self, model: str, version: str) -> dict[str, Any]:
        """Versions, platform and tensors."""
        return dict(self._ask("get_model_metadata", model, version))

    def model_config(self, model: str, version: str) -> dict[str, Any]:
        """The configuration, in the form that gRPC gives it, so that its digest is the same."""
        return _as_protobuf_writes_it(self._ask("get_model_config", model, version))

    def infer(self, model: str, version: str, tensor: Any, output: Any) -> Any:
        """Send once."""
        return self._ask("infer", model, [tensor], model_version=version, outputs=[output])

    def register(self, name: str, key: str, size: int) -> None:
        """Have the server map a region."""
        self._ask("register_system_shared_memory", name, key, size)

    def unregister(self, name: str) -> None:
        """Have the server forget a region."""
        self._ask("unregister_system_shared_memory", name)

    def close(self) -> None:
        """Close this thread's connection and those of threads that have ended."""
        self._discard()
        self._reap()

    def _says(self, question: str, *arguments: str) -> bool:
        try:
            return bool(self._ask(question, *arguments, within=min(HEALTH_S, self.connection.timeout)))
        except RequestError:
            return False

    def _ask(self, method: str, *arguments: Any, within: float | None = None, **options: Any) -> Any:
        """Call a method of this thread's client, within the time that a request may take from end to end."""
        import gevent

        client = self._client()
        seconds = within or self.connection.timeout
        try:
            # The client's own limit is one of each read, so that a trickle of bytes would never end.
            with gevent.Timeout(seconds, TimeoutError(f"no answer within {seconds:g} s")):
                return getattr(client, method)(*arguments, headers=self.connection.headers(), **options)
        except self.library.InferenceServerException as error:
            raise status_error(error, self.connection) from error
        except Exception as error:  # sockets, TLS, HTTP and JSON: four libraries' exceptions
            self._discard()  # what a broken exchange left on the connection must not meet the next request
            raise self._translated(error) from error
        except BaseException:
            self._discard()
            raise

    def _client(self) -> Any:
        client = getattr(self._threads, "client", None)
        if client is None:
            import gevent.ssl

            connection = self.connection
            try:
                client = bounded(self.library.InferenceServerClient)(
                    connection.address,
                    concurrency=1,
                    connection_timeout=connection.timeout,
                    network_timeout=connection.timeout,
                    ssl=connection.tls,
                    ssl_options={"ca_certs": str(connection.ca)} if connection.ca else None,
                    ssl_context_factory=gevent.ssl.create_default_context if connection.tls else None,
                )
            except Exception as error:  # the URL parser's exceptions have no common base
                raise RunnerError(
                    f"not a usable address: {first_line(error)}",
                    where=connection.address,
                    expected="host:port of Triton's HTTP",
                ) from error
            self._threads.client = client
            self._reap()
            with self._lock:
                self._owned.append(
                    _Owned(thread=threading.current_thread(), client=client, hub=gevent.get_hub())
                )
        return client

    def _discard(self) -> None:
        """Close this thread's client; the next request opens another."""
        client, self._threads.client = getattr(self._threads, "client", None), None
        if client is not None:
            client.close()
            with self._lock:
                self._owned = [owned for owned in self._owned if owned.client is not client]

    def _reap(self) -> None:
        """Free what threads that have ended left behind."""
        with self._lock:
            ended = [owned for owned in self._owned if not owned.thread.is_alive()]
            self._owned = [owned for owned in self._owned if owned.thread.is_alive()]
        for owned in ended:
            owned.client.close()
            owned.hub.destroy(destroy_loop=True)

    def _translated(self, error: Exception) -> RequestError:
        from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError

        found = " ".join(first_line(error).split())
        if isinstance(error, HTTPConnectionClosed) or (
            isinstance(error, HTTPParseError) and "connection closed" in str(error)
        ):
            return self.connection.error(found, "connection", error)
        if isinstance(error, HTTPParseError):
            return self.connection.error(f"the answer is not HTTP ({found})", "not-http", error)
        return network_error(error, found, self.connection)


def status_error(error: Any, connection: Connection) -> RequestError:
    """An exception of tritonclient as ours; its status is HTTP's, None for its own checks."""
    status = error.status()
    found = " ".join(str(error.message()).split())[:500]
    return connection.error(found, f"http-{status}" if str(status or "").isdigit() else "client", error)


def network_error(error: Exception, found: str, connection: Connection) -> RequestError:
    """What the standard library's sockets and TLS say, for gevent and asyncio alike."""
    if isinstance(error, TimeoutError):
        return connection.error(str(error) or "no answer in time", "deadline", error)
    if isinstance(error, ssl.SSLCertVerificationError):
        why = getattr(error, "verify_message", "") or "it cannot be checked"
        return connection.error(f"the server's certificate does not verify: {why}", "certificate", error)
    if isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return connection.error(f"TLS fails ({found})", "tls", error)
    if isinstance(error, OSError):
        return connection.error(found, "connection", error)
    return connection.error(f"the answer makes no sense ({found})", "bad-answer", error)


def _as_protobuf_writes_it(told: dict[str, Any]) -> dict[str, Any]:
    """Triton's own JSON through its protobuf; as it is where tritonclient has no gRPC."""
    try:
        from google.protobuf.json_format import MessageToDict, ParseDict
        from tritonclient.grpc import model_config_pb2
    except (ImportError, RuntimeError):
        return dict(told)
    message = ParseDict(told, model_config_pb2.ModelConfig(), ignore_unknown_fields=True)
    return dict(MessageToDict(message, preserving_proto_field_name=True))
