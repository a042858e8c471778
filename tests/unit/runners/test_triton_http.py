"""Triton over HTTP, where what answers is something else."""

from __future__ import annotations

import pytest

from parity.requests import RequestError
from parity.runners.triton_http import HttpTransport
from parity.runners.triton_transport import Connection
from tests.scripted_http import http, scripted


@pytest.mark.parametrize(
    "answer",
    [http(404, {"detail": "Not Found"}), http(200, [1]), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"],
)
def test_another_server_is_told_from_triton(answer: bytes) -> None:
    with scripted(answer, answer) as server:
        transport = HttpTransport(
            Connection(wire="http", address=server.url.removeprefix("http://"), timeout=5.0)
        )
        with pytest.raises(RequestError, match="no Triton") as caught:
            transport.metadata()
        transport.close()
    assert "8000 by default" in str(caught.value) and not caught.value.retryable
