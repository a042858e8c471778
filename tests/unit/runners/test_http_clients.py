"""Both HTTP clients against a server that misbehaves: one reason, a message that helps, no secret in it."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trustme

from parity.errors import UsageError
from parity.requests import RequestError
from parity.runners.base import ImageResult
from parity.runners.http_endpoint import MOST_ANSWER_BYTES
from tests.http_samples import ANSWER, picture, runner
from tests.scripted_http import HANGS, free_port, http, scripted

Ask = Callable[..., ImageResult]
VARIABLE = "MY_TOKEN"
TOKEN = "very-secret-token"


def by_urllib3(folder: Path, url: str, **changes: Any) -> ImageResult:
    image = picture(folder)
    mine = runner(folder, url, **changes)
    from parity.runners.http_client import HttpClient

    client = HttpClient(mine.endpoint, 2)
    try:
        return mine.endpoint.result(image, client.detect(mine.endpoint.request(image.path.read_bytes())))
    finally:
        client.close()


def by_aiohttp(folder: Path, url: str, **changes: Any) -> ImageResult:
    image = picture(folder)

    async def ask() -> ImageResult:
        async with runner(folder, url, **changes).target() as target:
            payload = target.encode(image, image.path.read_bytes())
            return target.decode(image, payload, await target.send(payload))

    return asyncio.run(ask())


@pytest.fixture(params=[by_urllib3, by_aiohttp])
def ask(request: pytest.FixtureRequest) -> Ask:
    client: Ask = request.param
    return client


def failure(ask: Ask, folder: Path, url: str, **changes: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        ask(folder, url, **changes)
    assert caught.value.exit_code == 4
    assert caught.value.where.startswith(url)
    assert caught.value.remedy, "every failure has a next step"
    return caught.value


def test_an_answer_comes_back_as_boxes(ask: Ask, tmp_path: Path) -> None:
    with scripted(http(200, ANSWER)) as server:
        found = ask(tmp_path, server.url)
    np.testing.assert_array_equal(found.boxes, np.array([[1.5, 2, 30.25, 40]], np.float32))
    assert found.scores.tolist() == [0.75]
    assert found.classes.tolist() == [1]
    assert found.image_id == 1


@pytest.mark.parametrize("sending", ["raw", "multipart"])
def test_the_files_own_bytes_are_sent(ask: Ask, tmp_path: Path, sending: str) -> None:
    with scripted(http(200, ANSWER)) as server:
        ask(tmp_path, server.url, send=sending, form_field="image", path="/v1/find?confidence=0.001")
    ((head, body),) = server.requests
    assert head.startswith("POST /v1/find?confidence=0.001 HTTP/1.1")
    assert "Accept-Encoding: identity" in head
    assert "Authorization" not in head
    file = picture(tmp_path).path.read_bytes()
    if sending == "raw":
        assert body == file
        assert "Content-Type: image/png" in head
    else:
        assert "Content-Type: multipart/form-data; boundary=" in head
        assert b'Content-Disposition: form-data; name="image"; filename="image.png"' in body
        assert body.count(file) == 1


@pytest.mark.parametrize(
    ("answer", "reason", "retryable", "words"),
    [
        (http(503, {"detail": "loading"}), "http-503", True, "HTTP 503 Service Unavailable: loading"),
        (http(502, b"<html>"), "http-502", True, "HTTP 502 Bad Gateway: <html>"),
        (http(504), "http-504", True, "HTTP 504 Gateway Timeout"),
        (http(500, b"oops"), "http-500", False, "see the service's log"),
        (http(404), "http-404", False, "mend `path`"),
        (http(405), "http-405", False, "by POST"),
        (http(413, {"detail": "too large"}), "http-413", False, "too large"),
        (
            http(422, {"detail": [{"loc": ["body", "file"]}]}),
            "http-422",
            False,
            '[{"loc": ["body", "file"]}]',
        ),
        (http(429), "http-429", False, "HTTP 429 Too Many Requests"),
        (http(799), "http-799", False, "HTTP 799"),
        (http(302, Location="http://me:pw@other/x?key=1"), "http-302", False, "to http://other/x"),
        (http(200, b"<html>hello</html>"), "bad-answer", False, "not JSON: '<html>hello</html>'"),
        (http(200, b"\xff\xfe"), "bad-answer", False, "not JSON"),
        (http(204), "bad-answer", False, "not JSON"),
        (http(200, {"boxes": []}), "bad-answer", False, "the answer has no 'detections', but 'boxes'"),
        (
            http(200, gzip.compress(b"{}"), Content_Encoding="gzip"),
            "bad-answer",
            False,
            "Content-Encoding 'gzip'",
        ),
        (http(200, b"", Content_Length=str(MOST_ANSWER_BYTES + 1)), "bad-answer", False, "more than 16 MiB"),
        (http(200, b'{"detections"', Content_Length="5000"), "connection", True, "broken"),
        (b"", "connection", True, "start the service"),
        (b"SSH-2.0-OpenSSH_9.6\r\n" * 3, "not-http", False, "does not speak HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x16\n\n", "not-http", False, "https://"),
    ],
)
def test_what_goes_wrong_has_a_reason(
    ask: Ask, tmp_path: Path, answer: bytes, reason: str, retryable: bool, words: str
) -> None:
    with scripted(answer) as server:
        error = failure(ask, tmp_path, server.url)
    assert (error.reason, error.retryable) == (reason, retryable), str(error)
    assert words in str(error)
    assert "pw" not in str(error) and "key=1" not in str(error)


def test_an_endless_answer_is_not_read_to_its_end(ask: Ask, tmp_path: Path) -> None:
    body = b" " * (MOST_ANSWER_BYTES + 2**20)
    with scripted(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body) as server:
        error = failure(ask, tmp_path, server.url)
    assert error.reason == "bad-answer" and "more than 16 MiB" in str(error)


def test_nothing_listens(ask: Ask, tmp_path: Path) -> None:
    error = failure(ask, tmp_path, f"http://127.0.0.1:{free_port()}")
    assert (error.reason, error.retryable) == ("connection", True)


def test_a_server_that_hangs_is_left_after_the_timeout(ask: Ask, tmp_path: Path) -> None:
    with scripted(HANGS) as server:
        error = failure(ask, tmp_path, server.url, timeout=0.2)
    assert (error.reason, error.retryable) == ("deadline", True)
    assert "within 0.2 s" in str(error)


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_token_is_named_and_not_shown(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv(VARIABLE, TOKEN)
    with scripted(http(status, {"detail": f"bad token {TOKEN}"})) as server:
        error = failure(ask, tmp_path, server.url, token_env=VARIABLE)
    assert f"Authorization: Bearer {TOKEN}" in server.requests[0][0]
    assert error.reason == f"http-{status}" and not error.retryable
    assert "token_env" in str(error)
    assert TOKEN not in str(error) and "bad token [token]" in str(error)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_tls_with_the_right_authority(
    ask: Ask, tmp_path: Path, authority: trustme.CA, tls: ssl.SSLContext
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with scripted(http(200, ANSWER), tls=tls) as server:
        assert ask(tmp_path, server.url, ca=str(tmp_path / "ca.pem")).classes.tolist() == [1]


def test_a_certificate_that_does_not_verify(ask: Ask, tmp_path: Path, tls: ssl.SSLContext) -> None:
    with scripted(http(200, ANSWER), tls=tls) as server:
        error = failure(ask, tmp_path, server.url)
    assert (error.reason, error.retryable) == ("certificate", False)
    assert "does not verify" in str(error) and "`ca`" in str(error)
    assert not server.requests, "nothing was sent to a server that is not trusted"


def test_a_certificate_for_another_host(ask: Ask, tmp_path: Path, authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("detector.example").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with scripted(http(200, ANSWER), tls=context) as server:
        error = failure(ask, tmp_path, server.url, ca=str(tmp_path / "ca.pem"))
    assert error.reason == "certificate"


def test_tls_to_a_port_without_it(ask: Ask, tmp_path: Path) -> None:
    with scripted(http(200, ANSWER)) as server, pytest.raises(RequestError) as caught:
        ask(tmp_path, server.url.replace("http:", "https:"))
    assert caught.value.reason == "tls"


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_file_of_authorities_that_is_none(ask: Ask, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    with pytest.raises(UsageError, match=r"ca\.pem"):
        ask(tmp_path, "https://127.0.0.1:1", ca=str(tmp_path / "ca.pem"))


def test_a_request_shows_neither_its_token_nor_its_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, TOKEN)
    request = runner(tmp_path, "http://127.0.0.1:1", token_env=VARIABLE).endpoint.request(b"picture")
    assert TOKEN in str(request.headers) and b"picture" in request.body
    assert TOKEN not in repr(request) and "picture" not in repr(request)
