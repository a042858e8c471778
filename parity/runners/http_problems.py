"""What can go wrong between parity and a detection service, each as one RequestError.

The same for every client, so that a reason means the same in a run's ledger and in a load run's. `url` is
where the request went, without secrets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from parity.requests import RequestError
from parity.secrecy import without
from parity.visible import one_line

RETRYABLE = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
SHOWN = 200
"""Characters of a service's own words that a message shows."""
REMEDIES: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "see `send` and `form_field` in the run file, or the image",
    HTTPStatus.UNAUTHORIZED: "name the variable that holds the service's token with `token_env`",
    HTTPStatus.FORBIDDEN: "see whether the token in the variable of `token_env` may do this",
    HTTPStatus.NOT_FOUND: "mend `path` or `health` in the run file; the service's /docs may list them",
    HTTPStatus.METHOD_NOT_ALLOWED: "mend `path`: it has to take a picture by POST",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "raise the service's limit, or leave the image out of the data set",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "see `send` in the run file",
    HTTPStatus.UNPROCESSABLE_ENTITY: "see `send` and `form_field` in the run file, or the image",
}
"""What to do about a status; about any other, to see the service's log."""


def refused(
    url: str, status: int, headers: Mapping[str, str], body: bytes, token: str | None
) -> RequestError:
    """A status other than 2xx. body: its first bytes. token: never shown, even where the service says it."""
    if 300 <= status < 400:
        return RequestError(
            f"HTTP {status}, a redirection to {_address(headers.get('Location', ''))}",
            reason=f"http-{status}",
            retryable=False,
            where=url,
            expected="an answer; no redirection is followed, for it would take picture and token elsewhere",
            remedy="put the address that answers into the run file's `url`",
        )
    words = _words(body, token)
    return RequestError(
        f"HTTP {_named(status)}{f': {words}' if words else ''}",
        reason=f"http-{status}",
        retryable=status in RETRYABLE,
        where=url,
        expected="HTTP 200",
        remedy=REMEDIES.get(status, "see the service's log, and whether it is overloaded"),
    )


def connection_lost(url: str, error: BaseException) -> RequestError:
    """Nothing listens, a name is unknown, or the connection broke."""
    return RequestError(
        f"no connection, or a broken one ({one_line(str(error))[:SHOWN] or type(error).__name__})",
        reason="connection",
        retryable=True,
        where=url,
        expected="a running detection service",
        remedy="start the service, or mend `url` in the run file",
    )


def too_late(url: str, timeout: float) -> RequestError:
    """No whole answer in time."""
    return RequestError(
        f"no answer within {timeout:g} s",
        reason="deadline",
        retryable=True,
        where=url,
        expected="a service that answers in time",
        remedy="see what the service does, or raise `timeout` in the run file",
    )


def tls_failed(url: str, error: BaseException) -> RequestError:
    """A certificate that does not verify, or a port that does not speak TLS."""
    said = one_line(str(error))[:SHOWN]
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return RequestError(
            f"the service's certificate does not verify ({said})",
            reason="certificate",
            retryable=False,
            where=url,
            expected="one for this host that the system, or the run file's `ca`, trusts",
            remedy="name the file of the authority that signed it with `ca`",
        )
    return RequestError(
        f"TLS failed ({said})",
        reason="tls",
        retryable=False,
        where=url,
        expected="a service that speaks TLS",
        remedy="for a port without TLS, begin `url` with http://",
    )


def not_http(url: str, error: BaseException) -> RequestError:
    """Something answers that is not an HTTP server."""
    return RequestError(
        f"what answers there does not speak HTTP ({one_line(str(error))[:SHOWN]})",
        reason="not-http",
        retryable=False,
        where=url,
        expected="a detection service over HTTP",
        remedy="mend the port in the run file's `url`; a TLS port needs https://",
    )


def bad_answer(url: str, found: str, remedy: str) -> RequestError:
    """A whole answer that the run file's description does not fit."""
    return RequestError(
        found,
        reason="bad-answer",
        retryable=False,
        where=url,
        expected="an answer as the run file describes it",
        remedy=remedy,
    )


def too_long(url: str, most: int) -> RequestError:
    """An answer over the limit, which is not read to its end."""
    return bad_answer(
        url,
        f"an answer of more than {most / 2**20:g} MiB",
        "point `path` at the endpoint that answers with detections",
    )


def compressed(url: str, encoding: str) -> RequestError:
    """An answer in an encoding that nobody asked for."""
    return bad_answer(
        url,
        f"an answer with Content-Encoding {one_line(encoding)[:SHOWN]!r}",
        "have the service, or the proxy before it, honour Accept-Encoding: identity",
    )


def _address(location: str) -> str:
    """A redirection's target without what may be secret in it: user, password and query."""
    try:
        target = urlsplit(location)
    except ValueError:
        return "what is no address"
    host = target.netloc.rpartition("@")[2]
    return one_line(f"{target.scheme}://{host}{target.path}" if host else target.path)[:SHOWN]


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _words(body: bytes, token: str | None) -> str:
    """What the service says itself, in one short line: FastAPI's `detail`, or the text as it is."""
    text = body.decode("utf-8", errors="replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and "detail" in document:
        detail = document["detail"]
        text = detail if isinstance(detail, str) else json.dumps(detail)
    return one_line(without(token, text))[:SHOWN]
