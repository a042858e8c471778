"""The connection of `parity run` to a detection service: urllib3, used by many threads at once."""

from __future__ import annotations

import http.client
from time import monotonic
from typing import Any

from parity.errors import RunnerError
from parity.requests import RequestError
from parity.runners import http_problems
from parity.runners.http_endpoint import MOST_ANSWER_BYTES, Endpoint, HttpRequest
from parity.secrecy import without
from parity.visible import one_line

CHUNK = 1 << 16
MOST_HEALTH = 4000
LIVE_S = 5.0
"""Seconds in which a service that is still there says so, however long a detection may take."""


class HttpClient:
    """A thread-safe client of one service. It asks once; whether to ask again is the caller's to decide."""

    def __init__(self, endpoint: Endpoint, connections: int) -> None:
        try:
            import urllib3
        except ImportError as error:
            raise RunnerError(
                f"urllib3 cannot be imported: {error}", remedy="pip install 'triton-parity[http]'"
            ) from error
        self.endpoint = endpoint
        self.urllib3 = urllib3
        self.pool = urllib3.PoolManager(maxsize=connections, ssl_context=endpoint.tls(), retries=False)

    def close(self) -> None:
        """Close all connections."""
        self.pool.clear()

    def detect(self, request: HttpRequest) -> bytes:
        """Send a picture; the answer's body. Raises RequestError."""
        endpoint = self.endpoint
        return self._ask("POST", endpoint.detect, request.headers, request.body, endpoint.timeout)

    def health(self, timeout: float | None = None) -> str:
        """What the service says of its health, at most 4,000 characters, as one line. Raises RequestError."""
        endpoint = self.endpoint
        body = self._ask("GET", endpoint.health, endpoint.headers, None, timeout or endpoint.timeout)
        text = without(endpoint.token, body.decode("utf-8", errors="replace"))
        return one_line(text[:MOST_HEALTH])

    def live(self) -> bool:
        """Whether the service still says that it is well."""
        try:
            self.health(min(LIVE_S, self.endpoint.timeout))
        except RequestError:
            return False
        return True

    def _ask(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, timeout: float
    ) -> bytes:
        deadline = monotonic() + timeout
        try:
            response = self.pool.request(
                method,
                url,
                body=body,
                headers=headers,
                timeout=self.urllib3.Timeout(total=timeout),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            try:
                return self._body(response, url, timeout, deadline)
            finally:
                response.close()  # which an answer that was read to its end has done: its connection lives on
        except self.urllib3.exceptions.HTTPError as error:
            raise self._problem(error, url, timeout) from error

    def _body(self, response: Any, url: str, timeout: float, deadline: float) -> bytes:
        """The body of a 2xx answer, whole. Raises RequestError for another status or body."""
        accepted = 200 <= response.status < 300
        encoding = response.headers.get("Content-Encoding", "identity")
        most = MOST_ANSWER_BYTES if accepted else CHUNK
        parts: list[bytes] = []
        size = int(response.length_remaining or 0) if accepted else 0
        if size <= most:
            size = 0
            while size <= most and (part := response.read1(CHUNK, decode_content=False)):
                parts.append(part)
                size += len(part)
                if monotonic() > deadline:
                    raise http_problems.too_late(url, timeout)
        if not accepted:
            token = self.endpoint.token
            raise http_problems.refused(url, response.status, response.headers, b"".join(parts), token)
        if size > most:
            raise http_problems.too_long(url, most)
        if encoding != "identity":
            raise http_problems.compressed(url, encoding)
        return b"".join(parts)

    def _problem(self, error: Exception, url: str, timeout: float) -> RequestError:
        """urllib3's exception by what it means."""
        exceptions = self.urllib3.exceptions
        cause = (
            error.args[1] if isinstance(error, exceptions.ProtocolError) and len(error.args) > 1 else error
        )
        if isinstance(error, exceptions.SSLError):
            return http_problems.tls_failed(url, error)
        refused = isinstance(error, exceptions.NewConnectionError)  # which counts as a timeout for urllib3
        if isinstance(cause, (exceptions.TimeoutError, TimeoutError)) and not refused:
            return http_problems.too_late(url, timeout)
        if isinstance(cause, http.client.HTTPException) and not isinstance(
            cause, (OSError, http.client.IncompleteRead)
        ):
            return http_problems.not_http(url, cause)
        return http_problems.connection_lost(url, cause)
