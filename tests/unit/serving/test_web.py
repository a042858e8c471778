"""The bounded GET: what it refuses, how it says so, and what it never shows."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import trustme

from parity.errors import EvidenceError, RunnerError, UsageError
from parity.serving.web import Access, checked_url, fetch, shown
from tests.web_server import body, serving

LIMIT = 1000


def get(url: str, access: Access | None = None, limit: int = LIMIT) -> bytes:
    return asyncio.run(fetch(url, access or Access(), limit))


@pytest.fixture(scope="module")
def released() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def says(request: BaseHTTPRequestHandler) -> None:
    """A refusal that quotes the token."""
    token = request.headers["Authorization"].removeprefix("Bearer ")
    request.send_response(401, f"no {token}")
    request.end_headers()


@pytest.fixture(scope="module")
def address(released: threading.Event) -> Iterator[str]:
    def hang(request: BaseHTTPRequestHandler) -> None:
        released.wait(30)

    def drip(request: BaseHTTPRequestHandler) -> None:
        """Each read gets something, so that only a limit on the whole ends it."""
        request.send_response(200)
        request.end_headers()
        while not released.wait(0.02):
            try:
                request.wfile.write(b"#")
            except OSError:
                return

    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            while not released.is_set():
                request.wfile.write(b"#" * 65_536)
        except OSError:
            return

    def short(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100")
        request.end_headers()
        request.wfile.write(b"half")

    def echo(request: BaseHTTPRequestHandler) -> None:
        body(str(request.headers).encode())(request)

    answers = {
        "/fits": body(b"#" * LIMIT),
        "/long": body(b"#" * (LIMIT + 1)),
        "/elsewhere": body(b"", 302, Location="http://user:secret@elsewhere.example/metrics?key=secret"),
        "/busy": body(b"", 503),
        "/hang": hang,
        "/drip": drip,
        "/endless": endless,
        "/short": short,
        "/echo": echo,
        "/says": says,
        "/sends": body(b"", 302, Location="http://x/hidden"),
    }
    with serving(answers) as running:
        yield f"http://{running}"


def test_an_answer_up_to_the_limit_is_taken_whole(address: str) -> None:
    assert get(f"{address}/fits") == b"#" * LIMIT


@pytest.mark.parametrize("path", ["/long", "/endless"])
def test_a_longer_answer_is_refused(address: str, path: str) -> None:
    with pytest.raises(EvidenceError, match="too long"):
        get(f"{address}{path}")


@pytest.mark.parametrize("path", ["/hang", "/drip"])
def test_a_slow_answer_is_given_up(address: str, path: str) -> None:
    with pytest.raises(RunnerError, match=r"no whole answer within 0\.2 s"):
        get(f"{address}{path}", Access(timeout_s=0.2))


def test_a_redirect_is_named_and_not_followed(address: str) -> None:
    with pytest.raises(RunnerError, match=r"redirect to http://elsewhere\.example/metrics") as caught:
        get(f"{address}/elsewhere")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "told"), [("/busy", "HTTP 503"), ("/nothing", "HTTP 404"), ("/short", "no answer")]
)
def test_what_is_no_answer_says_what_it_is(address: str, path: str, told: str) -> None:
    with pytest.raises(RunnerError, match=told) as caught:
        get(f"{address}{path}")
    assert caught.value.where == f"{address}{path}"


def test_a_server_that_is_not_there() -> None:
    with serving({}) as running:
        pass
    with pytest.raises(RunnerError, match="no answer"):
        get(f"http://{running}/metrics")


def test_loopback_is_reached_past_any_proxy(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert get(f"{address}/fits")


def test_headers_are_sent_and_never_shown(address: str) -> None:
    access = Access(headers={"Authorization": "Bearer hidden"})
    assert b"Bearer hidden" in get(f"{address}/echo", access)
    assert "hidden" not in repr(access)
    with pytest.raises(RunnerError) as caught:
        get(f"{address}/busy", access)
    assert "hidden" not in str(caught.value)


def test_a_server_that_says_a_header_back_is_quoted_without_it(address: str) -> None:
    access = Access(headers={"Authorization": "Bearer hidden"})
    with pytest.raises(RunnerError, match=r"HTTP 401 no \[token\]") as caught:
        get(f"{address}/says", access)
    assert "hidden" not in str(caught.value)
    with pytest.raises(RunnerError, match="redirect to http://x/\\[token\\]"):
        get(f"{address}/sends", access)


def test_a_certificate_has_to_verify(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    known = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(known)
    with serving({"/metrics": body(b"ok")}, context) as running:
        assert get(f"https://{running}/metrics", Access(ca_file=known)) == b"ok"
        with pytest.raises(RunnerError, match=r"no answer.*certificate"):
            get(f"https://{running}/metrics")
        with pytest.raises(RunnerError, match="no answer"):
            get(f"http://{running}/metrics")
        with pytest.raises(UsageError, match=r"nowhere\.pem"):
            get(f"https://{running}/metrics", Access(ca_file=tmp_path / "nowhere.pem"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8002/metrics",
        "ftp://triton/metrics",
        "file:///etc/passwd",
        "http://",
        "http://[::1",
        "http://triton:99999/metrics",
        "http://user:secret@triton/metrics",
    ],
)
def test_an_address_that_is_none_or_holds_a_password_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked_url(url)
    assert "secret" not in str(caught.value)


def test_what_is_shown_of_an_address() -> None:
    assert (
        shown("https://user:secret@triton:8002/metrics?token=secret#secret") == "https://triton:8002/metrics"
    )
    assert shown("http://triton/\x1b[31m") == "http://triton/<U+001B>[31m"
