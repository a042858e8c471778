"""A TLS-terminating proxy, as ingresses are: real handshakes in front of a real server."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import trustme

REFUSAL = b'{"error":"who are you, %s?"}'


class Authority:
    """An authority of its own, with its certificate as a file."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.path = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.path))

    def context(self, host: str, *protocols: str) -> ssl.SSLContext:
        """A server's, with a certificate for the host."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(host).configure_cert(context)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context


@contextlib.contextmanager
def proxied(address: str, context: ssl.SSLContext, token: str | None = None) -> Iterator[str]:
    """host:port where TLS leads to `address`.

    token: HTTP/1.1 requests that do not have it get 401, and theirs echoed.
    """
    host, _, port = address.partition(":")
    ready = threading.Event()
    found: list[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while block := await reader.read(65536):
                writer.write(block)
                await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b""
        if token is not None:
            head = await reader.readuntil(b"\r\n\r\n")
            given = re.search(rb"(?i)authorization: bearer (\S+)", head)
            if given is None or given[1] != token.encode():
                body = REFUSAL % (given[1] if given else b"stranger")
                writer.write(b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                writer.close()
                return
        with contextlib.suppress(OSError):
            await through(head, reader, writer)

    async def through(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(host, int(port))
        forth.write(head)
        await asyncio.gather(pipe(reader, forth), pipe(back, writer))

    async def run() -> None:
        stop = asyncio.Event()
        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
            outer = f"localhost:{server.sockets[0].getsockname()[1]}"
            found.append((outer, asyncio.get_running_loop(), stop))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(10)
    outer, loop, stop = found[0]
    try:
        yield outer
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
