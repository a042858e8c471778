"""Runner http-service against scripted servers: retries, what each failure costs, and what is told."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from parity.config import settings_problems
from parity.detections import Status
from parity.errors import RunnerError, UsageError
from parity.report.text import without_secrets
from parity.requests import LedgerCounts, RequestError, Retries
from parity.runners.base import ImageResult
from parity.runners.http_endpoint import HttpRequest
from parity.runners.http_service import HttpServiceRunner, HttpServiceSettings
from parity.runners.target import Servable
from tests import report_samples as samples
from tests.http_samples import ANSWER, ONE, picture, runner
from tests.scripted_http import HANGS, free_port, http, scripted

VARIABLE = "MY_TOKEN"
WELL = http(200, {"status": "ok"})
GOOD = http(200, ANSWER)


def one_image(mine: HttpServiceRunner, folder: Path) -> ImageResult:
    mine.retries = Retries(most=mine.retries.most, first_wait_s=0, longest_wait_s=0)
    with mine:
        (result,) = mine.predict([picture(folder)])
    return result


def test_a_503_costs_a_retry_and_not_the_image(tmp_path: Path) -> None:
    with scripted(WELL, http(503), GOOD) as server:
        mine = runner(tmp_path, server.url)
        result = one_image(mine, tmp_path)
    assert result.status is Status.OK and len(result.scores) == 1
    assert mine.ledger.counts() == LedgerCounts(retried=1, attempts=2, lost_attempts={"http-503": 1})


@pytest.mark.parametrize("lost", [b"", http(502), http(504)])
def test_what_may_help_is_tried_as_often_as_asked(tmp_path: Path, lost: bytes) -> None:
    with scripted(WELL, lost, lost, lost, WELL) as server:
        mine = runner(tmp_path, server.url, retries=2)
        result = one_image(mine, tmp_path)
    counts = mine.ledger.counts()
    assert result.status is Status.FAILED
    assert (counts.attempts, sum(counts.failed.values())) == (3, 1)


@pytest.mark.parametrize(("retries", "patience"), [(1000, 0), (1, 60)])
def test_a_service_that_restarts_costs_retries_and_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, retries: int, patience: float
) -> None:
    pictures = [picture(tmp_path, number) for number in range(6)]
    noticed = threading.Event()
    with ExitStack() as servers:
        server = servers.enter_context(scripted(WELL, GOOD))
        mine = servers.enter_context(runner(tmp_path, server.url, in_flight=2, patience=patience))
        mine.retries = Retries(most=retries, first_wait_s=0.02, longest_wait_s=0.05)
        results = mine.predict(pictures)
        first = next(results)  # others are sent only when the next one is asked for
        ask = mine._client.detect

        def watched(request: HttpRequest) -> bytes:
            try:
                return ask(request)
            except RequestError:
                noticed.set()
                raise

        def restart() -> None:
            noticed.wait(60)
            servers.enter_context(scripted(GOOD, port=server.server_address[1]))

        monkeypatch.setattr(mine.client, "detect", watched)
        server.stop()
        restarting = threading.Thread(target=restart)
        restarting.start()
        rest = list(results)
        restarting.join()
    assert [result.status for result in (first, *rest)] == [Status.OK] * len(pictures)
    counts = mine.ledger.counts()
    assert counts.requests == len(pictures) and counts.retried > 0 and not counts.failed
    assert set(counts.lost_attempts) == {"connection"}


def test_it_can_be_put_under_load(tmp_path: Path) -> None:
    with scripted(WELL) as server, runner(tmp_path, server.url) as mine:
        servable: Servable = mine
        assert servable.target().endpoint == f"{server.url}/detect"


@pytest.mark.parametrize(
    ("answer", "reason"), [(http(500), "http-500"), (http(422), "http-422"), (http(200, {}), "bad-answer")]
)
def test_what_no_retry_can_mend_is_asked_once(tmp_path: Path, answer: bytes, reason: str) -> None:
    with scripted(WELL, answer, WELL) as server:
        mine = runner(tmp_path, server.url)
        result = one_image(mine, tmp_path)
    assert result.status is Status.FAILED
    assert f"{server.url}/detect: " in result.message and "; to do: " in result.message
    assert "\n" not in result.message
    assert mine.ledger.counts() == LedgerCounts(failed={reason: 1}, attempts=1, lost_attempts={reason: 1})


def test_a_nan_is_counted_and_the_rest_is_kept(tmp_path: Path) -> None:
    poisoned = {"detections": [ONE, {**ONE, "confidence": float("nan")}]}
    with scripted(WELL, http(200, poisoned)) as server:
        result = one_image(runner(tmp_path, server.url), tmp_path)
    assert result.status is Status.OK
    assert (len(result.scores), result.nonfinite) == (1, 1)


def test_a_picture_that_cannot_be_used_is_not_sent(tmp_path: Path) -> None:
    image = picture(tmp_path)
    image.path.write_bytes(b"no picture")
    with scripted(WELL, GOOD) as server, runner(tmp_path, server.url) as mine:
        (result,) = mine.predict([image])
    assert result.status is Status.UNREADABLE
    assert len(server.requests) == 1, "only its health was asked for"
    assert mine.ledger.counts().requests == 0


def test_a_wrong_mapping_ends_the_run_after_some_images(tmp_path: Path) -> None:
    with (
        scripted(WELL, http(200, {"boxes": []})) as server,
        runner(tmp_path, server.url, in_flight=1) as mine,
    ):
        server.script = [http(200, {"boxes": []})]
        with pytest.raises(RunnerError, match=r"5 requests failed in a row.*list_field") as caught:
            list(mine.predict([picture(tmp_path, number) for number in range(20)]))
    assert caught.value.exit_code == 4


def test_pictures_that_a_service_refuses_do_not_make_it_broken(tmp_path: Path) -> None:
    """Once it has answered one, that is: before, a setting is the likelier cause, and ends the run."""
    pictures = [picture(tmp_path, number) for number in range(12)]
    refusal = http(422, {"detail": "no such codec"})
    with scripted(WELL, GOOD, refusal) as server, runner(tmp_path, server.url, in_flight=1) as mine:
        results = list(mine.predict(pictures))
    assert [result.status for result in results] == [Status.OK, *[Status.FAILED] * 11]
    assert mine.ledger.counts().failed == {"http-422": 11}
    with scripted(WELL, refusal) as server, runner(tmp_path, server.url, in_flight=1) as mine:
        with pytest.raises(RunnerError):
            list(mine.predict(pictures))
        assert mine.ledger.counts().requests <= 5


def test_a_service_that_hangs_is_told_from_one_that_fails(tmp_path: Path) -> None:
    with scripted(WELL, HANGS) as server:
        mine = runner(tmp_path, server.url, timeout=0.2, retries=1, in_flight=2)
        mine.retries = Retries(most=1, first_wait_s=0, longest_wait_s=0)
        with mine:
            results: list[ImageResult] = []
            with pytest.raises(RunnerError, match=r"stopped answering.*no answer within 0\.2 s"):
                results.extend(mine.predict([picture(tmp_path, number) for number in range(20)]))
    assert mine.ledger.counts().failed == {"deadline": 2}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (http(404), ["HTTP 404 Not Found", "`health`"]),
        (http(503, {"detail": "loading"}), ["HTTP 503 Service Unavailable: loading"]),
        (http(401), ["HTTP 401", "token_env"]),
        (b"220 mail.example ESMTP\r\n", ["does not speak HTTP", "port"]),
        (HANGS, ["no answer within"]),
        (http(301, Location="https://elsewhere/health"), ["a redirection to https://elsewhere/health"]),
    ],
)
def test_a_service_that_is_not_well_is_refused_at_once(
    tmp_path: Path, answer: bytes, words: list[str]
) -> None:
    with (
        scripted(answer) as server,
        pytest.raises(RunnerError) as caught,
        runner(tmp_path, server.url, timeout=0.5),
    ):
        pass
    assert caught.value.exit_code == 4
    for word in (f"{server.url}/health", *words):
        assert word in str(caught.value)
    assert len(server.requests) == 1


def test_nothing_listens(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(RunnerError, match="start the service") as caught, runner(tmp_path, url):
        pass
    assert url in str(caught.value)


def test_provenance_tells_all_but_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "very-secret")
    health = http(200, b'{"status":\n"ok", "you": "very-secret", "odd": "\x1b[2J\xff' + b"x" * 10_000)
    with (
        scripted(health) as server,
        runner(tmp_path, server.url, path="/find?confidence=0.001", token_env=VARIABLE) as mine,
    ):
        facts = mine.provenance()
    text = json.dumps(facts, allow_nan=False)
    assert facts["url"] == server.url and facts["path"] == "/find?confidence=0.001"
    assert facts["health"].startswith('{"status": "ok"') and len(facts["health"]) < 5000
    assert facts["health"].isprintable()
    assert facts["answer"]["box_format"] == "xyxy" and facts["send"] == "multipart"
    assert facts["weights_sha256"] is None and facts["reason"]
    assert "very-secret" not in text + repr(mine.endpoint)


@pytest.mark.parametrize(("variable", "told"), [(None, "no"), (VARIABLE, "with a bearer token")])
def test_a_report_tells_whether_a_token_was_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None, told: str
) -> None:
    monkeypatch.setenv(VARIABLE, "very-secret")
    facts = runner(tmp_path, "http://localhost", token_env=variable).provenance()
    pair = samples.pair(images=0).model_copy(update={"provenance": {"reference": facts}})
    shown = without_secrets(samples.report([pair])).pairs[0].provenance["reference"]
    assert shown["signs_in"] == told and shown == facts


@pytest.mark.parametrize("token", [None, "", "two words", "line\n", "Bearer x", "é"])
def test_a_token_that_no_header_carries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if token is not None:
        monkeypatch.setenv(VARIABLE, token)
    with pytest.raises(UsageError, match=VARIABLE) as caught:
        runner(tmp_path, "http://localhost", token_env=VARIABLE)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "ftp://x"}, "expected http://host:port"),
        ({"url": "http://"}, "expected http://host:port"),
        ({"url": "x:8095"}, "expected http://host:port"),
        ({"url": "http://x:99999"}, "not an address"),
        ({"url": "http://[x"}, "not an address"),
        ({"url": "http://x?y=1"}, "expected http://host:port"),
        ({"url": "http://x y"}, "expected http://host:port"),
        ({"url": "http://me:pass/word@x:1"}, "no user or password"),
        ({"path": "detect"}, "path"),
        ({"path": "/a b"}, "path"),
        ({"path": "/a\r\nX: y"}, "path"),
        ({"path": "/a#b"}, "fragment"),
        ({"path": "/a?api_key=pass"}, "a secret does not belong"),
        ({"health": "/a?access_token="}, "a secret does not belong"),
        ({"send": "form"}, "send"),
        ({"form_field": 'a"b'}, "form_field"),
        ({"box_format": "xyhw"}, "box_format"),
        ({"box_field": "x,y"}, "one name, or four"),
        ({"token_env": "MY TOKEN"}, "token_env"),
        ({"token_env": "MY_TOKEN", "url": "http://detector:8095"}, "in clear text"),
        ({"timeout": 0}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"scorefield": "x"}, "did you mean 'score_field'?"),
    ],
)
def test_each_mistake_in_the_settings_is_named(changes: dict[str, Any], words: str) -> None:
    values = {"url": "http://127.0.0.1:8095", "box_format": "xyxy"}
    assert settings_problems(HttpServiceSettings, values, "reference") == []
    (problem,) = settings_problems(HttpServiceSettings, {**values, **changes}, "reference")
    assert words in problem
    assert "pass" not in problem.replace("user or password", ""), "no secret is shown"


def test_what_has_no_default_is_asked_for() -> None:
    problems = settings_problems(HttpServiceSettings, {}, "reference")
    assert sorted(problems) == ["reference.box_format: Field required", "reference.url: Field required"]


@pytest.mark.parametrize(
    "detection",
    [
        {"class_name": "Bearer s3cr3t-token", "confidence": 0.9, "box": [0, 0, 1, 1]},
        {"Bearer s3cr3t-token": 1},
        {"class_name": "x" * 20 + "s3cr3t-token" * 9, "confidence": 0.9, "box": [0, 0, 1, 1]},
    ],
)
def test_a_service_that_answers_with_the_token_is_not_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, detection: dict[str, Any]
) -> None:
    monkeypatch.setenv(VARIABLE, "s3cr3t-token")
    with scripted(WELL, http(200, {"detections": [detection]}), WELL) as server:
        result = one_image(runner(tmp_path, server.url, token_env=VARIABLE), tmp_path)
    assert result.status is Status.FAILED
    assert "s3cr3t" not in result.message and "[token]" in result.message


def test_a_token_in_the_place_of_its_variable_is_not_shown() -> None:
    values = {"url": "http://127.0.0.1:1", "box_format": "xyxy", "token_env": "s3cr3t token"}
    (problem,) = settings_problems(HttpServiceSettings, values, "reference")
    assert "s3cr3t" not in problem and "the value is not shown" in problem
