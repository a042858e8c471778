"""Triton over HTTP against a server that sends too much."""

from __future__ import annotations

import json

import pytest

from parity.requests import RequestError
from parity.runners import triton_http
from parity.runners.triton_http import MOST_BYTES, HttpTransport
from parity.runners.triton_transport import Connection
from tests.scripted_http import http, scripted

TOLD = {"name": "triton", "version": "2.51.0"}


def asked(answer: bytes) -> dict[str, object]:
    """What is made of that answer to the question for the server's metadata."""
    with scripted(answer) as server:
        address = server.url.removeprefix("http://")
        transport = HttpTransport(Connection(wire="http", address=address, timeout=20))
        try:
            return transport.metadata()
        finally:
            transport.close()


def chunked(*parts: bytes) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body


@pytest.mark.parametrize("answer", [http(200, TOLD), chunked(json.dumps(TOLD).encode())])
def test_an_answer_within_the_limit_is_read_whole(answer: bytes) -> None:
    assert asked(answer) == TOLD


def test_an_answer_that_says_that_it_is_too_long_is_not_read() -> None:
    with pytest.raises(RequestError, match="1,073,741,825 bytes, expected at most") as caught:
        asked(http(200, b"{", Content_Length=str(MOST_BYTES + 1)))
    assert caught.value.reason == "bad-answer"


def test_an_answer_without_a_length_is_read_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_http, "MOST_BYTES", 100_000)
    with pytest.raises(RequestError, match="no end after 100,000 bytes") as caught:
        asked(chunked(*[b" " * 30_000] * 6))
    assert caught.value.reason == "bad-answer"
