"""What the runner `triton` refuses before it asks anybody."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from parity.errors import UsageError
from parity.runners.triton import TritonSettings, connection_of
from parity.runners.triton_transport import Connection, open_transport

TOKEN_ENV = "MY_TOKEN"


def connection(**settings: Any) -> Connection | None:
    return connection_of(TritonSettings.model_validate(settings))


def test_without_an_address_parity_starts_a_server() -> None:
    assert connection() is None
    assert connection(protocol="http") is None


def test_the_address_is_that_of_the_protocol() -> None:
    both = {"url": "gpu:8001", "http_url": "gpu:8000"}
    grpc, http = connection(**both), connection(**both, protocol="http")
    assert grpc is not None and http is not None
    assert (grpc.address, http.address) == ("gpu:8001", "gpu:8000")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"http_url": "gpu:8000"}, r"protocol = 'grpc'.*gpu:8000"),
        ({"url": "gpu:8001", "protocol": "http"}, "`http_url`, host:8000"),
        ({"url": "gpu:8001", "ca": Path("ca.pem")}, "`ca` is set, and `tls` is not"),
        ({"tls": True}, "the embedded server has neither TLS nor tokens"),
        ({"token_env": TOKEN_ENV}, "the embedded server has neither TLS nor tokens"),
        ({"url": "gpu:8001", "token_env": TOKEN_ENV}, "in clear text"),
        ({"url": "127.0.0.2.example:8001", "token_env": TOKEN_ENV}, "in clear text"),
        ({"enabled": False}, "switched off"),
    ],
)
def test_contradictions(settings: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_ENV, "abc")
    with pytest.raises(UsageError) as caught:
        connection(**settings)
    assert re.search(words, str(caught.value), re.DOTALL), str(caught.value)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_token_may_stay_on_this_machine_in_clear_text(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_ENV, "abc")
    found = connection(url=f"{host}:8001", token_env=TOKEN_ENV)
    assert found is not None and found.headers() == {"authorization": "Bearer abc"}
    assert "abc" not in repr(found)


@pytest.mark.parametrize("token", ["", "q q", "q\nq", "\u00e9"])
def test_no_token_to_send(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_ENV, token)
    with pytest.raises(UsageError, match=TOKEN_ENV) as caught:
        connection(url="localhost:8001", token_env=TOKEN_ENV)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("wire", ["grpc", "http"])
def test_an_authority_that_is_none(wire: Any, tmp_path: Path) -> None:
    for path in (tmp_path / "gone.pem", tmp_path / "text.pem"):
        (tmp_path / "text.pem").write_text("no certificate")
        with pytest.raises(UsageError, match=path.name):
            open_transport(Connection(wire=wire, address="localhost:1", timeout=1, tls=True, ca=path))


@pytest.mark.parametrize(
    ("reason", "again"),
    [
        ("unavailable", True),
        ("deadline", True),
        ("connection", True),
        ("http-502", True),
        ("http-503", True),
        ("http-504", True),
        ("http-500", False),
        ("http-429", False),
        ("internal", False),
        ("invalid-argument", False),
        ("resource-exhausted", False),
        ("certificate", False),
        ("not-grpc", False),
        ("client", False),
    ],
)
def test_what_is_tried_again(reason: str, again: bool) -> None:
    assert Connection(wire="grpc", address="a:1", timeout=1).error("x", reason).retryable is again
