"""Runner http-service and the load target against the demo's real FastAPI services."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import urllib3

from parity.collect import Collected, collect
from parity.config import DatasetConfig, ModelConfig, validate
from parity.dataset import Dataset, ImageRecord, OpenCvReader, load
from parity.detections import Predictions, Status
from parity.errors import ParityError
from parity.progress import Silent
from parity.requests import LedgerCounts
from parity.runners import ImageResult, Runner, RunnerContext
from parity.runners.http_service import HttpServiceRunner, HttpServiceSettings
from parity.runners.ultralytics import UltralyticsRunner, UltralyticsSettings
from tests.demo_service import DemoServices
from tests.integration import helpers
from tests.integration.test_command import only_report, parity, run_file

pytestmark = pytest.mark.integration

COUNT = 12
EVERYTHING = "/detect?confidence=0.001"
BY_ID = {"class_field": "class_id", "class_as": "id"}


class Replayed(UltralyticsRunner):
    """Results that are there already, as a runner, so that they come out as a table."""

    def __init__(self, results: list[ImageResult]) -> None:
        self.results = results

    def predict(self, images: Iterable[ImageRecord]) -> Iterator[ImageResult]:
        return iter(self.results)


@pytest.fixture(scope="module")
def street() -> Dataset:
    return load("street", DatasetConfig(path=helpers.ROOT / "datasets" / "street"))


@pytest.fixture(scope="module")
def images(street: Dataset) -> Sequence[ImageRecord]:
    """Some pictures of other sizes among the usual ones."""
    sizes = {(image.width, image.height): image for image in street.images}
    return tuple({image.image_id: image for image in [*street.images[:COUNT], *sizes.values()]}.values())


def context(model: ModelConfig, folder: Path) -> RunnerContext:
    return RunnerContext(
        name="mine",
        model=model,
        reader=OpenCvReader(DatasetConfig(path=folder)),
        score_floor=0.001,
        max_detections=300,
        sample=(),
        cache=folder,
        repository=helpers.REPOSITORY,
        logs=folder,
    )


def service(url: str, folder: Path, model: ModelConfig | None = None, **changes: Any) -> HttpServiceRunner:
    values = {"url": url, "path": EVERYTHING, "box_format": "xyxy", "patience": 0, **changes}
    return HttpServiceRunner(
        context(model or helpers.yolo26(), folder), validate(HttpServiceSettings, values)
    )


def answers(runner: Runner, images: Sequence[ImageRecord]) -> Collected:
    with runner:
        return collect(runner, images, np.arange(len(helpers.NAMES)), Silent(), "test")


def whole(found: Collected) -> Predictions:
    assert found.error is None
    assert found.predictions.images["message"].to_pylist() == [""] * found.predictions.images.num_rows
    return found.predictions


@pytest.fixture(scope="module")
def in_process(
    services: DemoServices, images: Sequence[ImageRecord], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Predictions]:
    """What the reference runner answers for the same pictures, while the services start."""
    found = {}
    for name in ("yolo26", "rtdetr"):
        services.get(name)
    for name, model in (("yolo26", helpers.yolo26()), ("rtdetr", helpers.rtdetr())):
        runner = UltralyticsRunner(context(model, tmp_path_factory.mktemp(name)), UltralyticsSettings())
        found[name] = whole(answers(runner, images))
        assert found[name].detections.num_rows > 100
    return found


@pytest.mark.parametrize(
    ("name", "changes"),
    [("yolo26", {"send": "multipart"}), ("yolo26", {"send": "raw", **BY_ID}), ("rtdetr", {"in_flight": 3})],
)
def test_answers_are_the_in_process_reference_to_the_bit(
    services: DemoServices,
    images: Sequence[ImageRecord],
    in_process: dict[str, Predictions],
    tmp_path: Path,
    name: str,
    changes: dict[str, Any],
) -> None:
    model = helpers.yolo26() if name == "yolo26" else helpers.rtdetr()
    runner = service(services.get(name).url, tmp_path, model, **changes)
    found = whole(answers(runner, images))
    assert found.detections.equals(in_process[name].detections)
    assert found.images.equals(in_process[name].images)
    assert runner.ledger.counts() == LedgerCounts(ok=len(images), attempts=len(images))
    facts = runner.provenance()
    assert '"status":"ok"' in facts["health"] and '"weights_sha256"' in facts["health"]


def test_the_load_target_answers_the_same(
    services: DemoServices,
    images: Sequence[ImageRecord],
    in_process: dict[str, Predictions],
    tmp_path: Path,
) -> None:
    async def ask_all(runner: HttpServiceRunner) -> list[ImageResult]:
        async with runner.target() as target:
            assert target.endpoint == runner.endpoint.detect
            payloads = [target.encode(image, image.path.read_bytes()) for image in images]
            sent = await asyncio.gather(*(target.send(payload) for payload in payloads))
            return [target.decode(i, p, a) for i, p, a in zip(images, payloads, sent, strict=True)]

    with service(services.get("yolo26").url, tmp_path) as runner:
        results = asyncio.run(ask_all(runner))
    replayed = Replayed(results)
    found = collect(replayed, images, np.arange(len(helpers.NAMES)), Silent(), "test")
    assert whole(found).detections.equals(in_process["yolo26"].detections)


def test_connections_are_kept(services: DemoServices, images: Sequence[ImageRecord], tmp_path: Path) -> None:
    with service(services.get("yolo26").url, tmp_path, in_flight=1) as runner:
        assert len(list(runner.predict(images[:4]))) == 4
        pool = runner._client.pool.connection_from_url(runner.endpoint.detect)
        assert (pool.num_connections, pool.num_requests) == (1, 5)


def written(folder: Path, name: str, data: bytes, image: ImageRecord) -> ImageRecord:
    path = folder / name
    path.write_bytes(data)
    return replace(image, image_id=900 + len(name), file_name=name, path=path, sha256=None)


def test_pictures_that_cannot_be_answered_cost_only_themselves(
    services: DemoServices, images: Sequence[ImageRecord], tmp_path: Path
) -> None:
    good = images[0]
    pixels = np.random.default_rng(0).integers(0, 256, (good.height, good.width, 3), np.uint8)
    png = cv2.imencode(".png", pixels)[1].tobytes()
    broken = bytearray(png)
    broken[len(png) // 3 : -20] = bytes(len(png) - len(png) // 3 - 20)  # its header and its end are whole
    large = np.zeros((2600, 2600, 3), np.uint8)
    bad = [
        written(tmp_path, "no.jpg", b"<html>", good),
        written(tmp_path, "broken.png", bytes(broken), good),
        replace(
            written(tmp_path, "over the limit.bmp", cv2.imencode(".bmp", large)[1].tobytes(), good),
            width=2600,
            height=2600,
        ),
    ]
    found = answers(service(services.get("yolo26").url, tmp_path), [*images[:2], *bad, *images[2:4]])
    assert found.error is None
    table = found.predictions.images.to_pylist()
    status = {row["file_name"]: (row["status"], row["message"]) for row in table}
    assert [status[image.file_name] for image in images[:4]] == [(Status.OK.value, "")] * 4
    assert status["no.jpg"][0] == Status.UNREADABLE.value
    for name, words in (("broken.png", "HTTP 422"), ("over the limit.bmp", "HTTP 413")):
        assert status[name][0] == Status.FAILED.value
        assert words in status[name][1] and "/detect" in status[name][1] and "to do: " in status[name][1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"path": "/detekt"}, ["5 requests failed in a row", "HTTP 404", "mend `path`"]),
        ({"form_field": "image"}, ["HTTP 422", "has no file in its field 'file'", "`form_field`"]),
        ({"score_field": "score"}, ["detections[0] has no 'score'", "'confidence'", "`score_field`"]),
        ({"health": "/healthz"}, ["/healthz: HTTP 404", "`health`"]),
    ],
)
def test_a_run_file_that_does_not_fit_the_service(
    services: DemoServices,
    images: Sequence[ImageRecord],
    tmp_path: Path,
    changes: dict[str, Any],
    words: list[str],
) -> None:
    runner = service(services.get("yolo26").url, tmp_path, in_flight=1, **changes)
    with pytest.raises(ParityError) as caught:
        raise answers(runner, images).error or AssertionError("nothing went wrong")
    assert caught.value.exit_code == 4
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        ({"url": "/detect?confidence=2", "body": b"x"}, 422, "less than or equal to 1"),
        ({"url": "/detect", "body": b""}, 422, "an empty file"),
        ({"url": "/detect", "body": b"GIF89a" + bytes(99)}, 422, "not an image"),
        ({"url": "/detect", "fields": {"file": "text alone"}}, 422, "no file in its field"),
        ({"url": "/detect", "body": b"--", "headers": {"Content-Type": "multipart/form-data"}}, 422, "form"),
        ({"url": "/detect", "body": iter([bytes(2**20)] * 21)}, 413, "more than 20000000 bytes"),
    ],
)
def test_the_demo_service_answers_bad_requests_with_a_reason(
    services: DemoServices, sent: dict[str, Any], status: int, words: str
) -> None:
    url = services.get("yolo26").url + sent.pop("url")
    answer = urllib3.request("POST", url, retries=False, **sent)
    assert answer.status == status
    assert words in answer.data.decode()


def test_a_service_that_hangs_ends_the_run_in_time(
    services: DemoServices, images: Sequence[ImageRecord], tmp_path: Path
) -> None:
    running = services.get("yolo26")
    with service(running.url, tmp_path, timeout=1, retries=0, in_flight=2) as runner:
        results = iter(runner.predict(images))
        first = next(results)
        helpers.halt(running.process.pid)
        try:
            with pytest.raises(ParityError, match="stopped answering") as caught:
                list(results)
        finally:
            os.kill(running.process.pid, signal.SIGCONT)
    assert first.status is Status.OK
    assert "no answer within 1 s" in str(caught.value) and running.url in str(caught.value)


def test_kill_9_of_the_service_keeps_what_was_answered_and_exits_4(
    services: DemoServices, tmp_path: Path
) -> None:
    running = services.get("rtdetr")
    mapping = f'url = "{running.url}"\npath = "{EVERYTHING}"\nbox_format = "xyxy"\npatience = 0.5'
    killer = 'runner = "tests.integration.http_faults:KillsTheService"'
    path = run_file(
        tmp_path,
        ('runner = "ultralytics"\nrect = false', f'runner = "http-service"\n{mapping}'),
        (
            'runner = "triton" # without `url`, parity starts the embedded server\nprecision = "fp32"',
            f"{killer}\npid = {running.process.pid}\nafter = 10\nretries = 1\n{mapping}",
        ),
    )
    done = parity(
        "run", str(path), "--model", "rtdetr", "--limit-images", "24", "--out", str(tmp_path / "out")
    )
    assert done.returncode == 4, done.stdout + done.stderr
    assert "the service stopped answering" in done.stderr and f"{running.url}/detect" in done.stderr
    assert "Traceback" not in done.stderr
    _, report = only_report(tmp_path / "out")
    assert report["verdict"] != "PASS"
    (pair,) = report["pairs"]
    assert 10 <= pair["images"]["answered_by_both"] < pair["images"]["attempted"] == 24
    assert pair["provenance"]["reference"]["runner"] == "http-service"
