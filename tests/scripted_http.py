"""A tiny TCP server that answers each request with the next bytes of a script, whatever they are."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

HANGS = b"never"
"""In place of an answer: the connection stays open and silent."""

TLS_HELLO = b"\x16"


def http(status: int, body: Any = b"", **headers: str) -> bytes:
    """An HTTP answer; body: bytes, or what is written as JSON (NaN as NaN, as Python's writer does)."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Content_Length": str(len(data)), "Connection": "close", **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + data


class Scripted(socketserver.ThreadingTCPServer):
    """Requests are kept as (head, body). The last answer of the script is given again and again."""

    daemon_threads = True
    block_on_close = False

    allow_reuse_address = True

    def __init__(self, script: tuple[bytes, ...], tls: ssl.SSLContext | None, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Conversation)
        self.script = list(script)
        self.tls = tls
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.requests: list[tuple[str, bytes]] = []

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.server_address[1]}"

    def stop(self) -> None:
        """Listen no more; what hangs ends."""
        self.over.set()
        self.shutdown()
        self.server_close()

    def next_answer(self) -> bytes:
        with self.lock:
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that does not like the certificate just leaves."""


class _Conversation(socketserver.StreamRequestHandler):
    server: Scripted

    def setup(self) -> None:
        if self.server.tls is not None:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self) -> None:
        if self.server.tls is None and self.connection.recv(1, socket.MSG_PEEK) == TLS_HELLO:
            self.wfile.write(http(400))
            return
        lines = list(iter(self.rfile.readline, b"\r\n"))
        head = b"".join(lines).decode("latin-1")
        size = next(
            (int(n.split(":")[1]) for n in head.split("\r\n") if n.lower().startswith("content-length")), 0
        )
        body = self.rfile.read(size)
        with self.server.lock:
            self.server.requests.append((head, body))
        answer = self.server.next_answer()
        if answer == HANGS:
            self.server.over.wait(60)
        else:
            with contextlib.suppress(OSError):
                self.wfile.write(answer)


@contextmanager
def scripted(*script: bytes, tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[Scripted]:
    """Serve the script on a loopback port, a free one by default."""
    with Scripted(script, tls, port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.stop()
            thread.join()


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
