"""A detection service as load is put on it: aiohttp, one attempt a request."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from typing_extensions import Self

from parity.dataset import ImageRecord
from parity.errors import RunnerError
from parity.requests import RequestError
from parity.runners import http_problems
from parity.runners.base import ImageResult
from parity.runners.http_endpoint import MOST_ANSWER_BYTES, Endpoint, HttpRequest

KEEP_ALIVE_S = 4.0
"""Shorter than the 5 s after which uvicorn closes an idle connection, so that no request meets its end."""


class HttpTarget:
    """One service. As many connections as requests are under way, which whoever sends them decides."""

    def __init__(self, service: Endpoint) -> None:
        try:
            import aiohttp
        except ImportError as error:
            raise RunnerError(
                f"aiohttp cannot be imported: {error}", remedy="pip install 'triton-parity[load]'"
            ) from error
        self.aiohttp = aiohttp
        self.service = service
        self.session: Any = None

    @property
    def endpoint(self) -> str:
        """Where requests go."""
        return self.service.detect

    async def __aenter__(self) -> Self:
        aiohttp = self.aiohttp
        tls = self.service.tls()
        connector = aiohttp.TCPConnector(
            limit=0, ssl=True if tls is None else tls, keepalive_timeout=KEEP_ALIVE_S
        )
        self.session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self.service.timeout),
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.session.close()

    def encode(self, image: ImageRecord, file: bytes) -> HttpRequest:
        """The request that carries the file."""
        return self.service.request(file)

    async def send(self, payload: HttpRequest) -> bytes:
        """Send once; the answer's body. Raises RequestError."""
        url, timeout = self.service.detect, self.service.timeout
        try:
            async with self.session.post(
                url, data=payload.body, headers=payload.headers, allow_redirects=False
            ) as response:
                return await self._body(response, url)
        except asyncio.TimeoutError as error:
            raise http_problems.too_late(url, timeout) from error
        except self.aiohttp.ClientError as error:
            raise self._problem(error, url) from error

    def decode(self, image: ImageRecord, payload: HttpRequest, answer: bytes) -> ImageResult:
        """The answer as boxes. Raises RequestError with the reason `bad-answer`."""
        return self.service.result(image, answer)

    async def _body(self, response: Any, url: str) -> bytes:
        accepted = 200 <= response.status < 300
        parts: list[bytes] = []
        size = int(response.content_length or 0) if accepted else 0
        if size <= MOST_ANSWER_BYTES:
            size = 0
            async for part in response.content.iter_any():
                parts.append(part)
                size += len(part)
                if size > MOST_ANSWER_BYTES:
                    break
        if not accepted:
            raise http_problems.refused(
                url, response.status, response.headers, b"".join(parts), self.service.token
            )
        if size > MOST_ANSWER_BYTES:
            raise http_problems.too_long(url, MOST_ANSWER_BYTES)
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise http_problems.compressed(url, encoding)
        return b"".join(parts)

    def _problem(self, error: Exception, url: str) -> RequestError:
        """An exception of aiohttp's by what it means."""
        aiohttp = self.aiohttp
        if isinstance(error, (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError)):
            return http_problems.tls_failed(url, error)
        if isinstance(error, aiohttp.ClientResponseError):
            return http_problems.not_http(url, error)
        return http_problems.connection_lost(url, error)
