"""The reference as it is deployed today: a service that takes a picture by POST and answers with boxes.

The service decodes, resizes and thresholds itself; what is sent is the file's own bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, ValidationInfo, field_validator
from typing_extensions import Self

from parity.config import SECRET
from parity.dataset import ImageProblem, ImageRecord
from parity.detections import Status
from parity.errors import ParityError, RunnerError, first_line
from parity.provenance import package_version
from parity.requests import RequestError, RequestLedger, Retries
from parity.runners.base import ImageResult, RunnerContext, RunnerSettings
from parity.runners.bearer import VARIABLE_PATTERN, bearer_token
from parity.runners.http_answers import AnswerReader, AnswerSettings
from parity.runners.http_client import HttpClient
from parity.runners.http_endpoint import Endpoint, HttpRequest, Sending
from parity.runners.in_flight import Watched, answer_in_flight
from parity.runners.outage import Outage
from parity.runners.target import Target
from parity.secrecy import is_loopback
from parity.visible import one_line

OF_PICTURES = frozenset({"http-400", "http-413", "http-415", "http-422"})
"""Reasons that are one picture's own, where the service has answered others."""
PATH_PATTERN = r"^/[!-~]*$"
_SECRET = re.compile(r"token|secret|passw|api_?key|auth|credential|signature", re.IGNORECASE)


class HttpServiceSettings(AnswerSettings):
    """Settings of the runner `http-service`."""

    url: str = Field(description="http:// or https:// address of the service, without user and password.")
    path: str = Field(
        "/detect", pattern=PATH_PATTERN, description="Where pictures are taken by POST; may have a query."
    )
    health: str = Field(
        "/health", pattern=PATH_PATTERN, description="What answers 2xx to GET when all is well."
    )
    send: Sending = Field("multipart", description="A picture as a form's file, or raw as the body.")
    form_field: str = Field(
        "file", pattern=r"^[A-Za-z0-9_.\[\]-]{1,100}$", description="The file's field in a multipart form."
    )
    in_flight: int = Field(8, ge=1, le=256, description="Most images between file and boxes at a time.")
    timeout: float = Field(30.0, gt=0, description="Seconds that one request may take.")
    retries: int = Field(3, ge=0, le=100, description="Further attempts after one that may help to repeat.")
    patience: float = Field(
        60.0, ge=0, description="Seconds to wait for a service that went away; 0: not at all."
    )
    token_env: str | None = Field(
        None,
        pattern=VARIABLE_PATTERN,
        description="Environment variable that holds a bearer token.",
        json_schema_extra=SECRET,
    )
    ca: Path | None = Field(
        None, description="PEM file of the certificates to trust instead of the system's."
    )

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        if "@" in url:
            raise ValueError("no user or password belongs into it; `token_env` names where a token is")
        try:
            parts = urlsplit(url)
            port_is_good = parts.port != 0
        except ValueError as error:
            raise ValueError(f"not an address: {error}") from error
        good = parts.scheme in ("http", "https") and parts.hostname and port_is_good
        if not good or parts.query or parts.fragment or not re.fullmatch(r"[!-~]+", url):
            raise ValueError(
                "expected http://host:port or https://host:port, with a prefix of the path or none"
            )
        return url.rstrip("/")

    @field_validator("token_env")
    @classmethod
    def _not_in_the_clear(cls, variable: str | None, others: ValidationInfo) -> str | None:
        url = str(others.data.get("url", ""))  # empty when there is something wrong with it
        if variable and url.startswith("http:") and not is_loopback(urlsplit(url).hostname or ""):
            raise ValueError("a token would cross the network in clear text: begin `url` with https://")
        return variable

    @field_validator("path", "health")
    @classmethod
    def _no_secret(cls, path: str) -> str:
        if "#" in path:
            raise ValueError("a fragment is never sent")
        if any(_SECRET.search(name) for name, _ in parse_qsl(urlsplit(path).query, keep_blank_values=True)):
            raise ValueError("a secret does not belong into a query; `token_env` names where a token is")
        return path


class HttpServiceRunner:
    """Sends images to a running service and reads its answers as the run file describes them."""

    Settings: ClassVar[type[RunnerSettings]] = HttpServiceSettings
    remote: ClassVar[bool] = True
    """Nothing is started here, so whether it is there can be asked before anything that is."""

    def __init__(self, context: RunnerContext, settings: HttpServiceSettings) -> None:
        self.context = context
        self.settings = settings
        self.ledger = RequestLedger()
        self.retries = Retries(most=settings.retries)
        self.endpoint = Endpoint(
            detect=settings.url + settings.path,
            health=settings.url + settings.health,
            sending=settings.send,
            form_field=settings.form_field,
            timeout=settings.timeout,
            answers=AnswerReader(
                settings=settings,
                names=context.model.names,
                score_floor=context.score_floor,
                max_detections=context.max_detections,
            ),
            token=bearer_token(settings.token_env),
            ca=settings.ca,
        )
        self.outage = Outage(ready=self._live, gone=lambda: False, patience=settings.patience)
        self.client: HttpClient | None = None
        self.health = ""
        self._answered = False
        self._refused: set[int] = set()
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.client = HttpClient(self.endpoint, self.settings.in_flight)
            stack.callback(self.client.close)
            with self.context.progress.step(f"{self.context.name}: asking the service", 1) as step:
                self.health = self.client.health()
                step.advance()
            self.stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stack.close()

    def predict(self, images: Iterable[ImageRecord]) -> Iterator[ImageResult]:
        """Results in the order in which they finish; at most `in_flight` images are under way."""
        self._refused.clear()
        server = Watched(
            what="the service",
            where=self.endpoint.detect,
            live=lambda: not self.outage.given_up and self._live(),
            ending=self.outage.ending,
            excused=lambda result: result.image_id in self._refused,
        )
        return answer_in_flight(images, self.answer, most=self.settings.in_flight, server=server)

    def answer(self, image: ImageRecord) -> ImageResult:
        """Carry one image from file to boxes. Failures become the image's status; nothing is raised."""
        try:
            request = self.endpoint.request(self.context.reader.file(image))
            result = self.retries.ask(lambda: self._attempt(image, request), self.ledger)
            self._answered = True
            return result
        except ImageProblem as problem:
            return ImageResult(image_id=image.image_id, status=problem.status, message=problem.message)
        except ParityError as error:
            if self._answered and isinstance(error, RequestError) and error.reason in OF_PICTURES:
                self._refused.add(image.image_id)
            return ImageResult(image_id=image.image_id, status=Status.FAILED, message=_told(error))
        except Exception as error:  # noqa: BLE001  # one picture that breaks a library must not end the run
            return ImageResult(image_id=image.image_id, status=Status.FAILED, message=first_line(error))

    def target(self) -> Target:
        """The same service as load is put on it. The runner has to stay entered while it is used."""
        from parity.runners.http_target import HttpTarget

        return HttpTarget(self.endpoint)

    def provenance(self) -> dict[str, Any]:
        """What was asked and how; a service does not tell what it runs, but for its health."""
        settings = self.settings
        return {
            "runner": "http-service",
            "backend": "a running service",
            "url": settings.url,
            "path": settings.path,
            "health": self.health,
            "send": settings.send,
            "answer": {name: getattr(settings, name) for name in AnswerSettings.model_fields},
            # Not called by its header's name: a report takes what stands under that for a secret.
            "signs_in": "with a bearer token" if settings.token_env else "no",
            "device": None,
            "precision": None,
            "weights_sha256": None,
            "reason": "a running service does not tell its device, precision and weights",
            "versions": {"urllib3": package_version("urllib3")},
        }

    @property
    def _client(self) -> HttpClient:
        if self.client is None:
            raise RunnerError("the runner was not entered", where="http-service")
        return self.client

    def _live(self) -> bool:
        return self._client.live()

    def _attempt(self, image: ImageRecord, request: HttpRequest) -> ImageResult:
        self.outage.pass_()
        try:
            return self.endpoint.result(image, self._client.detect(request))
        except RequestError as error:
            if error.retryable and self.settings.patience:
                self.outage.notice(error)
            raise


def _told(error: ParityError) -> str:
    """A whole message as one line, for the table of images."""
    return one_line("; ".join(line.strip() for line in str(error).splitlines()))
