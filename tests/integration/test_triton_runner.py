"""The runner `triton` on a real server: both protocols, TLS, tokens, shared memory, and what breaks."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typing_extensions import Self

from parity import pipeline, policies
from parity.collect import collect
from parity.config import RunnerConfig
from parity.config import load as load_run_file
from parity.criteria import Outcome
from parity.dataset import Dataset, ImageRecord, OpenCvReader
from parity.dataset import load as load_dataset
from parity.detections import Status
from parity.environment import resolve
from parity.errors import EvidenceError, ParityError, RunnerError, UsageError
from parity.progress import Silent
from parity.report.document import Report
from parity.requests import RequestError
from parity.runners import SETTINGS, ImageResult, RunnerContext, RunnerSettings
from parity.runners.shared_region import PREFIX
from parity.runners.triton import TritonRunner, TritonSettings
from parity.serving import triton as embedded
from parity.serving.environment import prepare
from parity.serving.process import SHARED_MEMORY
from parity.serving.triton import EmbeddedTriton
from parity.sides import Request
from parity.terminal import show
from tests import triton_models
from tests.integration import helpers
from tests.tls_proxy import Authority, proxied

pytestmark = pytest.mark.integration

WIRES = ("grpc", "http")
IMAGES = 24


@dataclass(frozen=True)
class Bench:
    """A running server with the tiny models, what starts another one, and the demo's images."""

    server: EmbeddedTriton
    start: Callable[..., EmbeddedTriton]
    dataset: Dataset
    context: RunnerContext

    def settings(self, wire: str, server: EmbeddedTriton | None = None, /, **changes: Any) -> TritonSettings:
        server = server or self.server
        address = {"url": server.grpc_url} if wire == "grpc" else {"http_url": server.http_url}
        return TritonSettings.model_validate(
            {"protocol": wire, "model": "steady", "timeout": 20.0, **address, **changes}
        )

    def runner(self, wire: str, server: EmbeddedTriton | None = None, /, **changes: Any) -> TritonRunner:
        return TritonRunner(self.context, self.settings(wire, server, **changes))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("tiny")
    environment = prepare(helpers.cache(tmp_path_factory))

    def start(*names: str) -> EmbeddedTriton:
        return EmbeddedTriton(triton_models.served(folder, *names), environment, folder / "triton.log")

    run_file = load_run_file(helpers.ROOT / "parity.toml", SETTINGS, policies.phases())
    config = run_file.datasets["street"]
    context = RunnerContext(
        name="steady",
        model=triton_models.model_config(),
        reader=OpenCvReader(config),
        score_floor=0.001,
        max_detections=300,
        sample=(),
        cache=folder,
        repository=helpers.REPOSITORY,
        logs=folder,
    )
    with start("steady", "nan", "wide", "liar", "half") as server:
        yield Bench(server=server, start=start, dataset=load_dataset("street", config), context=context)
        kill(server)


def kill(server: EmbeddedTriton) -> None:
    """With -9, and wait until it is gone; that is faster than a polite end, too."""
    os.kill(server.pid, signal.SIGKILL)
    assert helpers.eventually(lambda: not server.alive())


def batch(count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    side = triton_models.SIDE
    return np.random.default_rng(seed).random((count, 3, side, side), dtype=np.float32)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def regions() -> set[Path]:
    return set(SHARED_MEMORY.glob(f"{PREFIX}{os.getpid()}_*"))


@pytest.mark.parametrize("shared_memory", [False, True], ids=["sent", "shared"])
@pytest.mark.parametrize("wire", WIRES)
def test_every_thread_gets_the_answer_to_its_own_image(bench: Bench, wire: str, shared_memory: bool) -> None:
    def ask(seed: int) -> None:
        images = batch(1 + seed % 3, seed)
        np.testing.assert_allclose(
            runner.infer(images), triton_models.answer(images), rtol=1e-4, atol=1e-4, err_msg=str(seed)
        )

    with bench.runner(wire, shared_memory=shared_memory) as runner:
        for _ in range(2):  # threads come and go
            with futures.ThreadPoolExecutor(8) as pool:
                list(pool.map(ask, range(32)))
        assert bool(regions()) is shared_memory
        assert len(regions()) <= 3 * 8
        facts = runner.provenance()
    assert not regions(), "shared memory is left behind"
    assert runner.ledger.counts().ok == runner.ledger.counts().attempts == 64
    assert (facts["protocol"], facts["shared_memory"], facts["tls"]) == (wire, shared_memory, False)
    assert facts["backend"] == "python" and facts["model"] == "steady"


def test_both_protocols_tell_the_same_of_a_model(bench: Bench) -> None:
    told = []
    for wire in WIRES:
        with bench.runner(wire) as runner:
            told.append({**runner.provenance(), "protocol": "", "url": ""})
    assert told[0] == told[1]


def test_threads_that_ended_leave_no_open_files(bench: Bench) -> None:
    def ask(runner: TritonRunner) -> None:
        with futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda seed: runner.infer(batch(1, seed)), range(16)))

    with bench.runner("http") as runner:
        ask(runner)
        before = open_files()
        for _ in range(4):
            ask(runner)
        assert open_files() < before + 4 * 8


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"model": "wide"}, EvidenceError, r"output0 FP32 \(-1, 300, 7\)"),
        ({"model": "half"}, EvidenceError, r"images FP16 \(-1, 3, 64, 64\)"),
        ({"model": "stedy"}, RunnerError, "no model 'stedy'; did you mean 'steady'"),
        ({"version": "7"}, RunnerError, "no version '7', only 1"),
    ],
)
@pytest.mark.parametrize("wire", WIRES)
def test_a_model_that_is_not_what_the_run_file_says(
    bench: Bench, wire: str, changes: dict[str, Any], kind: type[ParityError], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught, bench.runner(wire, **changes):
        pass
    port = bench.server.grpc_url if wire == "grpc" else bench.server.http_url
    assert caught.value.exit_code in (3, 4)
    assert port in str(caught.value) and "to do:" in str(caught.value)


def test_a_model_that_is_not_ready(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    command = EmbeddedTriton._command
    broken = bench.start("steady", "nan")
    broken.models[1].onnx.rename(broken.models[1].onnx.with_suffix(".away"))
    broken.models[1].onnx.write_bytes(b"no network")
    monkeypatch.setattr(
        EmbeddedTriton, "_command", lambda self, *rest: [*command(self, *rest), "--exit-on-error=false"]
    )
    ready = "http://{}/v2/models/steady/ready"
    monkeypatch.setattr(
        EmbeddedTriton,
        "_ready",
        lambda self: 4 if embedded._fetch(ready.format(self.http_url)) is not None else 0,
    )
    with broken as server:
        for wire in WIRES:
            with pytest.raises(RunnerError, match=r"'nan' is not ready: .*InvalidProtobuf") as caught:
                bench.runner(wire, server, model="nan").__enter__()
            assert caught.value.exit_code == 4
        kill(server)


def test_the_other_protocols_port(bench: Bench) -> None:
    http, grpc = bench.server.http_url, bench.server.grpc_url
    with pytest.raises(RunnerError, match="answers in HTTP, not in gRPC") as caught:
        bench.runner("grpc", url=http).__enter__()
    assert http in str(caught.value) and "8000 is HTTP" in str(caught.value)
    with pytest.raises(RunnerError, match="not HTTP") as caught:
        bench.runner("http", http_url=grpc).__enter__()
    assert grpc in str(caught.value) and "8001 is gRPC" in str(caught.value)


@pytest.mark.parametrize(("wire", "reason"), [("grpc", "invalid-argument"), ("http", "http-400")])
@pytest.mark.parametrize("shared_memory", [False, True])
def test_what_the_server_refuses_is_not_asked_again(
    bench: Bench, wire: str, reason: str, shared_memory: bool
) -> None:
    with bench.runner(wire, shared_memory=shared_memory) as runner:
        with pytest.raises(RequestError, match="batch-size must be <= 8"):
            runner.infer(batch(9))
        assert runner.infer(batch(1)).shape == (1, 300, 6)
    counts = runner.ledger.counts()
    assert counts.failed == {reason: 1} and counts.attempts == 2 and counts.ok == 1


@pytest.mark.parametrize("shared_memory", [False, True])
@pytest.mark.parametrize("wire", WIRES)
def test_outputs_that_are_not_finite_are_counted(bench: Bench, wire: str, shared_memory: bool) -> None:
    images = bench.dataset.images[:4]
    with bench.runner(wire, model="nan", shared_memory=shared_memory) as runner:
        results = list(runner.predict(images))
    assert [result.nonfinite for result in results] == [1] * 4
    assert all(result.status is Status.OK and len(result.scores) == 7 for result in results)


@pytest.mark.parametrize("shared_memory", [False, True])
@pytest.mark.parametrize("wire", WIRES)
def test_an_answer_of_another_shape_than_promised_is_no_answer(
    bench: Bench, wire: str, shared_memory: bool
) -> None:
    with bench.runner(wire, model="liar", shared_memory=shared_memory, in_flight=1) as runner:
        collected = collect(runner, bench.dataset.images[:IMAGES], np.arange(1, 9), Silent(), "candidate")
        with pytest.raises(RequestError, match=r"bad-answer: .*7|at least 8400 bytes"):
            asyncio.run(sent(runner, bench.dataset, 1))
    assert collected.error is not None and "5 requests failed in a row" in collected.error.found
    assert not collected.predictions.answered
    assert sum(runner.ledger.counts().failed.values()) == runner.ledger.counts().requests >= 5


def test_no_certificate_but_the_authoritys_will_do(bench: Bench, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    for wire, alpn in (("grpc", "h2"), ("http", "http/1.1")):
        inner = bench.server.grpc_url if wire == "grpc" else bench.server.http_url
        key = "url" if wire == "grpc" else "http_url"
        with proxied(inner, authority.context("localhost", alpn)) as outer:
            with bench.runner(wire, **{key: outer}, tls=True, ca=authority.path) as runner:
                assert runner.infer(batch(2)).shape == (2, 300, 6)
                assert runner.provenance()["tls"] is True
                answer = asyncio.run(sent(runner, bench.dataset, 1))[0]
                assert answer.status is Status.OK
            with pytest.raises(RunnerError, match="certificate does not verify") as caught:
                bench.runner(wire, **{key: outer}, tls=True).__enter__()
            assert outer in str(caught.value) and "`ca`" in str(caught.value)
            with pytest.raises(RunnerError) as caught:
                bench.runner(wire, **{key: outer}, timeout=5.0).__enter__()
            assert "tls" in caught.value.remedy, "TLS is there and was not asked for"
        with (
            proxied(inner, authority.context("elsewhere.example", alpn)) as outer,
            pytest.raises(RunnerError, match=r"certificate does not verify: .*host"),
        ):
            bench.runner(wire, **{key: outer}, tls=True, ca=authority.path).__enter__()
        with pytest.raises(RunnerError) as caught:
            bench.runner(wire, tls=True, ca=authority.path, timeout=5.0).__enter__()
        assert "tls" in caught.value.remedy, "TLS was asked for and is not there"


TOKEN_ENV = "MY_TOKEN"
TOKEN = "s3cret.token-of-nobody"


def test_a_token_goes_with_every_request_over_http(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    with proxied(bench.server.http_url, authority.context("localhost", "http/1.1"), TOKEN) as outer:
        settings = {"http_url": outer, "tls": True, "ca": authority.path}
        monkeypatch.setenv(TOKEN_ENV, TOKEN)
        with bench.runner("http", **settings, token_env=TOKEN_ENV) as runner:
            assert runner.infer(batch(1)).shape == (1, 300, 6)
            assert asyncio.run(sent(runner, bench.dataset, 1))[0].status is Status.OK
            assert TOKEN not in repr(runner.provenance()) + repr(runner.connection)
        with pytest.raises(RunnerError, match="http-401") as caught:
            bench.runner("http", **settings).__enter__()
        assert "`token_env`" in str(caught.value)
        monkeypatch.setenv(TOKEN_ENV, "wrong." + TOKEN)
        with pytest.raises(RunnerError, match="http-401") as caught:
            bench.runner("http", **settings, token_env=TOKEN_ENV).__enter__()
        assert TOKEN not in str(caught.value), "the server echoed the token, and so did the message"


def test_a_token_goes_with_every_request_over_grpc(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import grpc
    from tritonclient.grpc import service_pb2_grpc

    seen: list[str] = []
    inner = service_pb2_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(bench.server.grpc_url))

    class Gate(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc, unused-ignore]
        """Lets through to the real server what has the token."""

    def through(name: str) -> Callable[..., Any]:
        def handle(_self: Any, request: Any, context: Any) -> Any:
            given = dict(context.invocation_metadata()).get("authorization", "")
            if given != f"Bearer {TOKEN}":
                context.abort(grpc.StatusCode.UNAUTHENTICATED, f"not you, {given}")
            seen.append(name)
            return getattr(inner, name)(request)

        return handle

    for name in ("ServerMetadata", "ModelReady", "ModelMetadata", "ModelConfig", "ModelInfer"):
        setattr(Gate, name, through(name))
    server = grpc.server(futures.ThreadPoolExecutor(4))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Gate(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        monkeypatch.setenv(TOKEN_ENV, TOKEN)
        with bench.runner("grpc", url=f"127.0.0.1:{port}", token_env=TOKEN_ENV) as runner:
            assert runner.infer(batch(1)).shape == (1, 300, 6)
            assert asyncio.run(sent(runner, bench.dataset, 1))[0].status is Status.OK
        assert seen.count("ModelInfer") == 2
        monkeypatch.setenv(TOKEN_ENV, "wrong." + TOKEN)
        with pytest.raises(RunnerError, match="unauthenticated: not you") as caught:
            bench.runner("grpc", url=f"127.0.0.1:{port}", token_env=TOKEN_ENV).__enter__()
        assert TOKEN not in str(caught.value) and "`token_env`" in str(caught.value)
    finally:
        server.stop(None).wait()


async def sent(runner: TritonRunner, dataset: Dataset, count: int) -> list[ImageResult]:
    """The answers of the runner's target, all requests under way at once."""
    images = dataset.images[:count]
    async with runner.target() as target:
        payloads = [target.encode(image, image.path.read_bytes()) for image in images]
        answers = await asyncio.gather(*map(target.send, payloads))
        return [
            target.decode(image, payload, answer)
            for image, payload, answer in zip(images, payloads, answers, strict=True)
        ]


@pytest.mark.parametrize("shared_memory", [False, True], ids=["sent", "shared"])
@pytest.mark.parametrize("wire", WIRES)
def test_the_target_answers_as_the_runner_does(bench: Bench, wire: str, shared_memory: bool) -> None:
    with bench.runner(wire, shared_memory=shared_memory) as runner:
        quiet = [runner.answer(image) for image in bench.dataset.images[:IMAGES]]
        loaded = asyncio.run(sent(runner, bench.dataset, IMAGES))
        assert runner.target().endpoint.startswith(f"{wire}://127.0.0.1:")
    assert runner.ledger.counts().requests == IMAGES, "a target keeps no ledger of the runner's"
    for one, other in zip(quiet, loaded, strict=True):
        assert one.image_id == other.image_id
        np.testing.assert_allclose(one.boxes, other.boxes, rtol=1e-4)
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4)
        np.testing.assert_array_equal(one.classes, other.classes)


@pytest.mark.parametrize("wire", WIRES)
def test_shared_payloads_are_sent_again_and_at_once(bench: Bench, wire: str) -> None:
    """Each request has an output of its own, and what is no longer held is used again."""

    async def many(runner: TritonRunner, own: int) -> list[ImageResult]:
        images = bench.dataset.images[:6]
        async with runner.target() as target:
            for _ in range(2):
                payloads = [target.encode(image, image.path.read_bytes()) for image in images]
                answers = await asyncio.gather(*(target.send(payload) for payload in payloads * 4))
                results = [
                    target.decode(images[number % 6], payloads[number % 6], answer)
                    for number, answer in enumerate(answers)
                ]
                assert len(regions()) == own + 6 + 24
                del payloads, answers
        return results

    with bench.runner(wire, shared_memory=True) as runner:
        quiet = [runner.answer(image) for image in bench.dataset.images[:6]]
        own = len(regions())
        results = asyncio.run(many(runner, own))
        assert len(regions()) == own
    for number, result in enumerate(results):
        np.testing.assert_allclose(result.scores, quiet[number % 6].scores, rtol=1e-4)


def mapped(server: EmbeddedTriton) -> list[str]:
    """Names of the regions that a server has mapped."""
    from tritonclient import grpc

    with grpc.InferenceServerClient(server.grpc_url) as client:
        return list(client.get_system_shared_memory_status(as_json=True).get("regions", {}))


@pytest.mark.parametrize("wire", WIRES)
def test_nothing_is_left_of_shared_memory_whatever_became_of_requests(bench: Bench, wire: str) -> None:
    async def failing(runner: TritonRunner) -> None:
        from tritonclient import grpc

        image = bench.dataset.images[0]
        async with runner.target() as target:
            unsent = target.encode(image, image.path.read_bytes())
            payload = target.encode(image, image.path.read_bytes())
            good = target.decode(image, payload, await target.send(payload))
            with grpc.InferenceServerClient(bench.server.grpc_url) as client:
                client.unregister_system_shared_memory()  # all of them, as by the server's restart
            with pytest.raises(RequestError, match="shared memory region") as caught:
                await target.send(payload)
            assert (caught.value.reason, caught.value.retryable) == ("shared-memory", True)
            again = target.decode(image, payload, await target.send(payload))
            np.testing.assert_array_equal(again.scores, good.scores)

            before = regions()
            helpers.halt(bench.server.pid)
            try:
                request = asyncio.ensure_future(target.send(payload))
                await asyncio.sleep(0.05)
                request.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await request
                assert len(before - regions()) == 1, "a late server may still write into its output"
            finally:
                os.kill(bench.server.pid, signal.SIGCONT)
            again = target.decode(image, payload, await target.send(payload))
            np.testing.assert_array_equal(again.scores, good.scores)
            del unsent
            raise ZeroDivisionError

    with bench.runner(wire, shared_memory=True) as runner:
        with pytest.raises(ZeroDivisionError):
            asyncio.run(failing(runner))
        assert not regions()
    assert helpers.eventually(lambda: not mapped(bench.server))


@contextmanager
def silent() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("wire", WIRES)
def test_a_server_that_never_answers_is_given_up_at_the_timeout(bench: Bench, wire: str) -> None:
    with silent() as address:
        with pytest.raises(RunnerError, match="deadline") as caught:
            bench.runner(wire, url=address, http_url=address, timeout=0.5).__enter__()
        assert address in str(caught.value)


def answered(bench: Bench, runner: TritonRunner, do: Callable[[], None]) -> tuple[int, ParityError | None]:
    """How many images have an answer in the tables of a run, and what ended it.

    do: what is done to the server before the image in the middle is taken.
    """
    predict = runner.predict

    def interrupted(images: Iterable[ImageRecord]) -> Iterator[ImageRecord]:
        for number, image in enumerate(images):
            if number == IMAGES // 2:
                do()
            yield image

    with runner, pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "predict", lambda images: predict(interrupted(images)))
        images = bench.dataset.images[:IMAGES]
        collected = collect(runner, images, np.arange(1, 9), Silent(), "candidate")
    assert collected.predictions.images.num_rows == IMAGES
    return len(collected.predictions.answered), collected.error


@pytest.mark.parametrize(
    ("wire", "shared_memory", "reason"), [("grpc", True, "unavailable"), ("http", False, "connection")]
)
def test_a_restart_costs_retries_and_no_image_and_a_server_that_stays_away_ends_the_run(
    bench: Bench, wire: str, shared_memory: bool, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(bench.start("steady"))
        monkeypatch.setattr(embedded, "_free_ports", lambda: first._ports)
        second = bench.start("steady")
        settings = {"in_flight": 4, "shared_memory": shared_memory}

        def restart() -> None:
            kill(first)
            threading.Timer(0.3, lambda: stack.enter_context(second)).start()

        runner = bench.runner(wire, first, patience=60.0, **settings)
        count, error = answered(bench, runner, restart)
        counts = runner.ledger.counts()
        assert error is None and count == IMAGES
        assert counts.requests == IMAGES and not counts.failed
        assert counts.retried and counts.attempts == IMAGES + sum(counts.lost_attempts.values())
        assert helpers.eventually(second.alive)

        runner = bench.runner(wire, second, patience=0.3, retries=1, **settings)
        count, error = answered(bench, runner, lambda: kill(second))
        counts = runner.ledger.counts()
        assert 0 < count < IMAGES
        assert isinstance(error, RunnerError) and error.exit_code == 4
        assert "Triton stopped answering" in error.found and "not back within 0.3 s" in error.found
        assert counts.ok + counts.retried == count and set(counts.failed) == {reason}
        assert asyncio.run(lost(bench, wire)).reason == reason
        assert not regions()


async def lost(bench: Bench, wire: str) -> RequestError:
    """What a target says of a server that is not there; the payload is made with the one that is."""
    image = bench.dataset.images[0]
    with bench.runner(wire) as runner, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        target = runner.target()
        payload = target.encode(image, image.path.read_bytes())
        address = f"127.0.0.1:{free.getsockname()[1]}"
        monkeypatched: Any = target
        monkeypatched._connection = replace(monkeypatched._connection, address=address)
        async with target:
            with pytest.raises(RequestError) as caught:
                await target.send(payload)
        return caught.value


@pytest.mark.parametrize("wire", WIRES)
def test_a_server_that_hangs_ends_the_run(bench: Bench, wire: str) -> None:
    runner = bench.runner(wire, in_flight=2, timeout=0.5, patience=0.2, retries=1)
    try:
        count, error = answered(bench, runner, lambda: helpers.halt(bench.server.pid))
    finally:
        os.kill(bench.server.pid, signal.SIGCONT)
    assert 0 < count < IMAGES
    assert isinstance(error, RunnerError) and error.exit_code == 4
    assert "Triton stopped answering (deadline" in error.found
    assert set(runner.ledger.counts().failed) == {"deadline"}


CLIENT = """
import sys, time
import numpy as np
from pathlib import Path
from parity.runners.triton_memory import SharedRegions
from parity.runners.triton_transport import Connection, open_transport
regions = SharedRegions(open_transport(Connection(wire="grpc", address=sys.argv[1], timeout=5.0)))
with regions.lent(1000, 1000) as region:
    print(region.name, flush=True)
    time.sleep(600)
"""


def test_a_killed_client_leaves_no_shared_memory(bench: Bench) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CLIENT, bench.server.grpc_url],
        env={**os.environ, "PYTHONPATH": str(helpers.ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert (SHARED_MEMORY / name).exists()
        process.kill()
        assert helpers.eventually(lambda: not (SHARED_MEMORY / name).exists())
    finally:
        process.kill()
        process.wait()


def test_shared_memory_that_the_server_cannot_see(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a server in a container of its own: the region is gone from where the server looks."""
    with bench.runner("grpc", shared_memory=True) as runner:
        client = runner.client
        assert client is not None
        register = client.transport.register
        monkeypatch.setattr(
            client.transport, "register", lambda name, key, size: register(name, f"{key}-elsewhere", size)
        )
        with pytest.raises(RequestError, match="cannot map shared memory") as caught:
            runner.infer(batch(1))
        assert "/dev/shm" in caught.value.expected
    assert not regions()


def test_grpc_needs_nothing_of_the_http_client(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import tritonclient

    monkeypatch.delattr(tritonclient, "http", raising=False)
    for name in ("tritonclient.http", "gevent", "geventhttpclient", "aiohttp"):
        monkeypatch.setitem(sys.modules, name, None)
    with bench.runner("grpc") as runner:
        assert runner.infer(batch(1)).shape == (1, 300, 6)
        assert asyncio.run(sent(runner, bench.dataset, 1))[0].status is Status.OK
    with pytest.raises(RunnerError, match="cannot be imported") as caught:
        bench.runner("http").__enter__()
    assert "protocol = 'grpc'" in caught.value.remedy


def test_a_token_that_is_not_set(bench: Bench) -> None:
    with pytest.raises(UsageError, match=f"environment variable {TOKEN_ENV}: it is not set"):
        bench.runner("grpc", token_env=TOKEN_ENV)


class Mean:
    """A reference without a network of its own: what `steady` answers, computed here."""

    Settings = RunnerSettings

    def __init__(self, context: RunnerContext, settings: RunnerSettings) -> None:
        self.inner = TritonRunner(context, TritonSettings())
        self.inner.infer = triton_models.answer  # type: ignore[method-assign]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def predict(self, images: Iterable[ImageRecord]) -> Iterator[ImageResult]:
        return map(self.inner.answer, images)

    def provenance(self) -> dict[str, Any]:
        return {"runner": "mean"}


def whole_run(bench: Bench, folder: Path, **variables: str) -> Report:
    """The report of a run of `steady` against `Mean`, with these variables in the environment."""
    weights = folder / "none.pt"
    weights.write_bytes(b"")
    run_file = load_run_file(helpers.ROOT / "parity.toml", SETTINGS, policies.phases())
    found = resolve(
        run_file.model_copy(
            update={
                "models": {"steady": triton_models.model_config(weights)},
                "reference": RunnerConfig(runner=f"{__name__}:Mean"),
                "candidate": RunnerConfig(runner="triton"),
            }
        ),
        ("steady",),
        variables,
        {},
    )
    request = Request(
        run_file=found.run_file,
        models=("steady",),
        images=IMAGES,
        folder=folder / "run",
        cache=folder,
        command="test",
        stand_ins=found.stand_ins,
        notes=found.notes,
    )
    result = pipeline.run(request, Silent())
    assert result.error is None
    return result.report


def test_a_run_with_a_server_of_the_environment(bench: Bench, tmp_path: Path) -> None:
    report = whole_run(
        bench, tmp_path, TRITON_HTTP_URL=bench.server.http_url, TRITON_PROTOCOL="http",
        TRITON_CONFIDENCE_THRESHOLD="0.3",
    )  # fmt: skip
    candidate = report.pairs[0].provenance["candidate"]
    assert candidate["url"] == bench.server.http_url
    assert candidate["requests"]["ok"] == candidate["requests"]["attempts"] == IMAGES
    agreement = report.pairs[0].agreement
    assert agreement is not None and agreement.matched == agreement.agreeing > 0
    assert any("at 0.3" in estimate.label for estimate in report.pairs[0].estimates)
    assert report.notes[0].startswith("From the environment: TRITON_HTTP_URL=")


def test_switched_off_the_reference_answers_and_nothing_passes(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = whole_run(bench, tmp_path, TRITON_ENABLED="false")
    (pair,) = report.pairs
    assert report.verdict is not Outcome.PASS and pair.verdict is not Outcome.PASS
    assert pair.images.answered_by_both == IMAGES
    assert pair.criteria[0].name == "candidate_ran"
    assert pair.criteria[0].outcome is Outcome.INCONCLUSIVE
    assert (
        report.notes[0] == "steady: Triton is switched off; the reference answered in the candidate's place."
    )
    show(report, tmp_path / "run" / "index.html")
    title = capsys.readouterr().out.splitlines()[:3]
    assert any("NO CANDIDATE" in line for line in title)
    assert "There was no candidate" in (tmp_path / "run" / "index.html").read_text()
