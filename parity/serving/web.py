"""One bounded GET: what a server tells of itself, within a size, within a time, from nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from parity.errors import EvidenceError, ParityError, RunnerError, UsageError, first_line
from parity.secrecy import is_loopback, tls_context, without
from parity.visible import one_line

READ_BYTES = 65_536


@dataclass(frozen=True, kw_only=True)
class Access:
    """How a server is reached. timeout_s: for the whole answer. ca_file: PEM of who may vouch for it."""

    timeout_s: float = 5.0
    ca_file: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @contextmanager
    def hiding(self) -> Iterator[None]:
        """Take what the headers hold out of errors: they quote servers, and a server may say it back."""
        try:
            yield
        except ParityError as error:
            for value in self.headers.values():
                secret = value.removeprefix("Bearer ")
                error.found, error.where = without(secret, error.found), without(secret, error.where)
                error.expected = without(secret, error.expected)
            raise


def checked_url(url: str) -> str:
    """The same URL. Raises UsageError for one that is not http or https with a host, or holds a password."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(
            "not an address of the web", where=shown(url), expected="such as http://127.0.0.1:8002/metrics"
        )
    if "@" in parts.netloc:
        raise UsageError(
            "an address with a user or password in it",
            where=shown(url),
            remedy="send it as a header, which no message shows",
        )
    return url


def shown(url: str) -> str:
    """A URL for messages: without user, password, query and fragment, where secrets are."""
    try:
        parts = urlsplit(url)
        return one_line(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))[:200]
    except ValueError:
        return "an address that cannot be read"


async def fetch(url: str, access: Access, limit: int) -> bytes:
    """The body of a 200 answer of at most `limit` bytes; redirects are not followed, loopback gets no proxy.

    Raises RunnerError when the server is not there, takes too long or answers with another status,
    EvidenceError when the answer is over the limit, UsageError for the address.
    """
    where = shown(checked_url(url))
    with access.hiding():
        return await _fetched(url, access, limit, where)


async def _fetched(url: str, access: Access, limit: int, where: str) -> bytes:
    aiohttp = _aiohttp()
    try:
        async with (
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=access.timeout_s),
                trust_env=not is_loopback(urlsplit(url).hostname or ""),
                auto_decompress=False,
            ) as session,
            session.get(
                url,
                allow_redirects=False,
                ssl=True if access.ca_file is None else tls_context(access.ca_file),
                headers={**access.headers, "Accept-Encoding": "identity"},
            ) as answer,
        ):
            if answer.status != 200:
                raise _status(answer, where)
            return await _bounded(answer, limit, where)
    except asyncio.TimeoutError as error:
        raise RunnerError(
            f"no whole answer within {access.timeout_s:g} s",
            where=where,
            remedy="see whether the server hangs, or give it more time",
        ) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise RunnerError(
            f"no answer: {one_line(first_line(error))}",
            where=where,
            expected="a server that listens there",
            remedy="start it, or mend the address",
        ) from error


async def _bounded(answer: Any, limit: int, where: str) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_chunked(READ_BYTES):
        body += chunk
        if len(body) > limit:
            raise EvidenceError(
                "an answer that is too long", where=where, expected=f"at most {limit:,} bytes of text"
            )
    return bytes(body)


def _status(answer: Any, where: str) -> RunnerError:
    if 300 <= answer.status < 400:
        return RunnerError(
            f"a redirect to {shown(answer.headers.get('Location', 'nowhere'))}",
            where=where,
            expected="the answer itself, for redirects are not followed",
            remedy="give the address that it leads to, if that is trusted",
        )
    reason = one_line(answer.reason or "")[:80]
    return RunnerError(f"HTTP {answer.status} {reason}".rstrip(), where=where, expected="HTTP 200")


def _aiohttp() -> Any:
    try:
        import aiohttp
    except ImportError as error:
        raise RunnerError(
            f"aiohttp cannot be imported: {error}", remedy="pip install 'triton-parity[load]'"
        ) from error
    return aiohttp
