"""A detection service over HTTP: where it is, what it is sent, and how its answers read.

Nothing here waits for the network, so that the client of `parity run` (urllib3) and the one that puts load
on the service (aiohttp) send the same bytes and read answers the same way.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from parity.dataset import ImageRecord
from parity.provenance import package_version
from parity.runners import http_problems
from parity.runners.base import ImageResult
from parity.runners.http_answers import AnswerReader
from parity.runners.json_fields import AnswerError
from parity.secrecy import HIDDEN, tls_context, without

Sending = Literal["multipart", "raw"]
MOST_ANSWER_BYTES = 16 * 2**20
"""A longer answer is not read: 300 detections take some 60 kB."""
SIGNATURES = ((b"\xff\xd8\xff", "jpeg"), (b"\x89PNG", "png"), (b"BM", "bmp"), (b"RIFF", "webp"))
"""How the files that the data sets may hold begin, and what their media type is called."""


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    """One picture, ready to be sent by POST. headers: those that hold the token, which no `repr` shows."""

    body: bytes = field(repr=False)
    headers: dict[str, str] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One service and one model of it.

    detect, health: addresses, without secrets. sending: how a picture goes into a request; form_field: its
    field in a multipart form. timeout: seconds, from sending to the last byte. token: for the Authorization
    header. ca: certificates to trust instead of the system's.
    """

    detect: str
    health: str
    sending: Sending
    form_field: str
    timeout: float
    answers: AnswerReader
    token: str = field(default="", repr=False)
    ca: Path | None = None

    @cached_property
    def headers(self) -> dict[str, str]:
        """Headers of every request. An answer that is not compressed cannot grow when it is read."""
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"triton-parity/{package_version('triton-parity') or 'source'}",
        }
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers

    def request(self, file: bytes) -> HttpRequest:
        """The file as it is, in a form or as the body."""
        kind = next((name for start, name in SIGNATURES if file.startswith(start)), None)
        media = f"image/{kind}" if kind else "application/octet-stream"
        if self.sending == "raw":
            return HttpRequest(body=file, headers={**self.headers, "Content-Type": media})
        from urllib3 import encode_multipart_formdata

        name = f"image.{kind}" if kind else "image"
        body, content_type = encode_multipart_formdata({self.form_field: (name, file, media)})
        return HttpRequest(body=body, headers={**self.headers, "Content-Type": content_type})

    def result(self, image: ImageRecord, body: bytes) -> ImageResult:
        """The answer as boxes. Raises RequestError with the reason `bad-answer` for one without sense."""
        if self.token:
            # Before anything of it is shown or shortened: a service may answer with what it was sent.
            body = body.replace(self.token.encode(), HIDDEN.encode())
        try:
            found = self.answers.read(body, width=image.width, height=image.height)
        except AnswerError as error:
            problem = without(self.token, error.found)
            raise http_problems.bad_answer(self.detect, problem, error.remedy) from error
        return ImageResult(
            image_id=image.image_id,
            boxes=found.boxes,
            scores=found.scores,
            classes=found.classes,
            nonfinite=found.nonfinite,
        )

    def tls(self) -> ssl.SSLContext | None:
        """What its certificate is held to; None for plain HTTP. Raises UsageError for a bad `ca`."""
        return tls_context(self.ca) if self.detect.startswith("https:") else None
