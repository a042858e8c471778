"""How a Triton server is spoken to: one small protocol, and what gRPC and HTTP have in common.

`triton_grpc.py` and `triton_http.py` implement it. Whatever goes wrong comes out as a RequestError with a
reason that does not depend on the protocol, and with advice for the reader.
"""

from __future__ import annotations

import contextlib
import http.client
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from parity.config import Wire
from parity.errors import UsageError, join_problems
from parity.requests import RequestError
from parity.secrecy import is_loopback, tls_context, without

__all__ = [
    "AWAY",
    "HEALTH_S",
    "Connection",
    "Transport",
    "check_connection",
    "open_transport",
    "server_address",
    "speaks_http",
    "tls_context",
]

HEALTH_S = 2.0
"""Seconds that the question whether a server or a model is ready may take."""

AWAY = frozenset({"unavailable", "deadline", "connection", "http-502", "http-503", "http-504"})
"""Reasons that may be gone by the next attempt; nothing else is tried again."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where a server is and how to get in.

    address: host:port of the protocol. timeout: seconds that one request may take. ca: PEM file of the
    authority that signed the server's certificate, None for those that the system trusts. token: sent as
    bearer, or empty; it is in no message and no `repr`.
    """

    wire: Wire
    address: str
    timeout: float
    tls: bool = False
    ca: Path | None = None
    token: str = field(default="", repr=False)

    def headers(self) -> dict[str, str]:
        """Headers of one request: a new dict each time, since tritonclient writes into it."""
        return {"authorization": f"Bearer {self.token}"} if self.token else {}

    def error(self, found: str, reason: str, cause: BaseException | None = None) -> RequestError:
        """What became of a request, with advice, and without the token that a server may have echoed."""
        expected, remedy = _advice(self, reason)
        error = RequestError(
            without(self.token, f"{reason}: {found}"),
            reason=reason,
            retryable=reason in AWAY,
            where=self.address,
            expected=expected,
            remedy=remedy,
        )
        error.__cause__ = cause
        return error

    @property
    def host(self) -> str:
        """The address without its port, and without the brackets of IPv6."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def loopback(self) -> bool:
        """Whether the address cannot lead to another machine."""
        return is_loopback(self.host)


class Transport(Protocol):
    """One server over one protocol; thread-safe. All but `live` and `ready` raise RequestError.

    library: tritonclient's module of the protocol, whose `InferInput` and `InferRequestedOutput` `infer`
    takes.
    """

    connection: Connection
    library: Any

    def live(self) -> bool:
        """Whether the server says within `HEALTH_S` that it is live."""
        ...

    def ready(self, model: str, version: str) -> bool:
        """Whether the server says within `HEALTH_S` that the model is ready."""
        ...

    def metadata(self) -> dict[str, Any]:
        """The server's name and version."""
        ...

    def index(self) -> list[dict[str, Any]]:
        """The models of the repository: name, version, state, reason."""
        ...

    def model_metadata(self, model: str, version: str) -> dict[str, Any]:
        """Versions, platform, inputs and outputs of a model."""
        ...

    def model_config(self, model: str, version: str) -> dict[str, Any]:
        """The configuration as protobuf writes it in JSON, whichever the protocol."""
        ...

    def infer(self, model: str, version: str, tensor: Any, output: Any) -> Any:
        """Send once and wait: tritonclient's InferResult."""
        ...

    def register(self, name: str, key: str, size: int) -> None:
        """Have the server map a system shared memory region of so many bytes."""
        ...

    def unregister(self, name: str) -> None:
        """Have the server forget a region."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...


def open_transport(connection: Connection) -> Transport:
    """The transport of the connection's protocol.

    Raises RunnerError when tritonclient lacks it, UsageError for a `ca` that is not a certificate.
    """
    if connection.tls:
        tls_context(connection.ca)  # gRPC tells of a bad file only when it connects, and not clearly
    if connection.wire == "grpc":
        from parity.runners.triton_grpc import GrpcTransport

        return GrpcTransport(connection)
    from parity.runners.triton_http import HttpTransport

    return HttpTransport(connection)


def speaks_http(connection: Connection) -> bool:
    """Whether something at the address answers a request in HTTP/1.1, whatever the answer is."""
    host, port = connection.host, connection.address.rpartition(":")[2]
    within = min(HEALTH_S, connection.timeout)
    try:
        link = (
            http.client.HTTPSConnection(host, int(port), timeout=within, context=tls_context(connection.ca))
            if connection.tls
            else http.client.HTTPConnection(host, int(port), timeout=within)
        )
        with contextlib.closing(link):
            link.request("GET", "/v2/health/live")
            return bool(link.getresponse().status)
    except (OSError, http.client.HTTPException, ValueError):
        return False


def server_address(wire: Wire, url: str | None, http_url: str | None) -> str | None:
    """The address of the protocol in use; None without any, where parity starts its own server.

    Raises UsageError when only the other protocol's address is named.
    """
    mine, other = (url, http_url) if wire == "grpc" else (http_url, url)
    if mine is None and other is not None:
        key, port = ("url", 8001) if wire == "grpc" else ("http_url", 8000)
        raise UsageError(
            f"only the other protocol's address is set ({other})",
            where=f"protocol = {wire!r}",
            expected=f"`{key}`, host:{port} where Triton has its usual ports",
            remedy=f"set `{key}`, or protocol = {'http' if wire == 'grpc' else 'grpc'!r}",
        )
    return mine


def check_connection(connection: Connection | None, *, tls: bool, ca: Path | None, token: bool) -> None:
    """Raise UsageError for settings that contradict each other. connection: None for the embedded one."""
    problems = []
    if ca is not None and not tls:
        problems.append("`ca` is set, and `tls` is not")
    if connection is None and (tls or token):
        problems.append("the embedded server has neither TLS nor tokens: set `url` or `http_url`")
    if connection is not None and token and not tls and not connection.loopback:
        problems.append(f"a token would go to {connection.address} in clear text: set tls = true")
    if problems:
        raise UsageError(join_problems(problems), where="runner triton")


def _advice(connection: Connection, reason: str) -> tuple[str, str]:
    """What would have been right, and what to do."""
    grpc = connection.wire == "grpc"
    key = "url" if grpc else "http_url"
    port = (
        "the gRPC port of a running Triton server (8001 by default; 8000 is HTTP)"
        if grpc
        else "the HTTP port of a running Triton server (8000 by default; 8001 is gRPC)"
    )
    signed = connection.ca or "an authority that this system trusts"
    if reason == "certificate":
        return (
            f"a certificate signed by {signed}, for the host of the address",
            f"name the authority's certificate with `ca`, and in `{key}` the host that it is for",
        )
    if reason in ("tls", "not-grpc", "not-http", "not-triton"):
        return port, f"mend `{key}`, `protocol` or `tls`; tls is {str(connection.tls).lower()}"
    if reason in ("unauthenticated", "permission-denied", "http-401", "http-403"):
        return "leave to ask this server", "name the variable that holds a valid token with `token_env`"
    if reason in AWAY:
        return port, (
            "start the server, or mend "
            f"`{key}`, `protocol` or `tls`, which is {str(connection.tls).lower()}; "
            "without any address parity starts its own"
        )
    return "", "see the server's log"
