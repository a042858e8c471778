"""What a real Triton tells of requests, against what its client knows of them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity.load import observe
from parity.load.metrics import metrics_seen, wanted_metrics
from parity.load.observe import Sources, SourcesObserver
from parity.load.observers import Observed
from parity.load.reconcile import ClientTotals, reconcile
from parity.repository.config_pbtxt import derive_embedded, parse
from parity.repository.export import export_onnx
from parity.serving.environment import prepare
from parity.serving.evidence import Reconciliation
from parity.serving.gpu import NO_GPU, has_gpu_metrics
from parity.serving.prometheus import MetricsSource, Scrape
from parity.serving.statistics import StatisticsSource, split
from parity.serving.triton import EmbeddedTriton, ServedModel
from tests.integration import helpers

pytestmark = pytest.mark.integration

WARM_UP = 1 + 8
ONE = (1, 3, 256, 256)
REASONS = {
    "DEADLINE_EXCEEDED": "deadline",
    "INVALID_ARGUMENT": "invalid-argument",
    "INTERNAL": "internal",
    "UNAVAILABLE": "unavailable",
    "NOT_FOUND": "not-found",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTriton]:
    """It serves `yolo26`, and `cached`, which is the same with Triton's response cache before it."""
    cache = helpers.cache(tmp_path_factory)
    log = tmp_path_factory.mktemp("logs") / "triton.log"
    command = EmbeddedTriton._command

    def with_cache(self: EmbeddedTriton, repository: Path, prefix: str) -> list[str]:
        root = next(folder for folder in self.environment.server.parents if (folder / "caches").is_dir())
        caches = ["--cache-config=local,size=16777216", f"--cache-directory={root / 'caches'}"]
        return [*command(self, repository, prefix), *caches]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmbeddedTriton, "_command", with_cache)
        with EmbeddedTriton(models(cache), prepare(cache), log) as running:
            yield running


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """`counted` waits for what has to be there; counters then rest at once."""
    monkeypatch.setattr(observe, "REST_POLL_S", 0.02)


def models(cache: Path) -> list[ServedModel]:
    """The demo's YOLO26n, open to shapes that only the network refuses, and to waits that requests set."""
    exported = export_onnx(helpers.yolo26(), "fp32", cache)
    derived = derive_embedded(helpers.REPOSITORY, "yolo26", exported.signature, labels=helpers.NAMES)
    config = parse(derived.text, "derived")
    config.input[0].dims[:] = [-1, -1, -1]
    config.dynamic_batching.default_queue_policy.default_timeout_microseconds = 10_000_000
    config.dynamic_batching.default_queue_policy.allow_timeout_override = True
    plain = ServedModel(name="yolo26", onnx=exported.path, config=str(config), files=derived.files)
    config.name = "cached"
    config.response_cache.enable = True
    config.ClearField("model_warmup")
    return [plain, ServedModel(name="cached", onnx=exported.path, config=str(config), files=derived.files)]


@dataclass
class Client:
    """Sends zeros over gRPC and keeps the ledger."""

    url: str
    ok: int = 0
    images: int = 0
    lost_images: int = 0

    def __post_init__(self) -> None:
        self.lost: Counter[str] = Counter()

    def burst(self, count: int, shape: tuple[int, ...] = ONE, model: str = "yolo26", **options: Any) -> None:
        """So many requests at a time."""
        from tritonclient import grpc

        tensor = grpc.InferInput("images", list(shape), "FP32")
        tensor.set_data_from_numpy(np.zeros(shape, np.float32))
        ended: list[Any] = []
        with grpc.InferenceServerClient(self.url) as client:
            for _ in range(count):
                client.async_infer(model, [tensor], lambda result, error: ended.append(error), **options)
            assert helpers.eventually(lambda: len(ended) == count)
        for error in ended:
            if error is None:
                self.ok += 1
                self.images += shape[0]
            else:
                self.lost[REASONS[error.status().removeprefix("StatusCode.")]] += 1
                self.lost_images += shape[0]

    def totals(self) -> ClientTotals:
        return ClientTotals(ok=self.ok, lost=self.lost, images=self.images, lost_images=self.lost_images)


def sources(server: EmbeddedTriton, model: str = "yolo26") -> Sources:
    return Sources(
        statistics=StatisticsSource(url=server.grpc_url, model=model),
        metrics=MetricsSource(url=server.metrics_url),
    )


@dataclass(frozen=True)
class Seen:
    client: Client
    observed: Observed
    scrapes: list[Scrape]
    unseen: list[str]

    def reconciled(self) -> Reconciliation:
        return reconcile(self.client.totals(), self.scrapes, model="yolo26", python_backend=True)


def observed(
    server: EmbeddedTriton, load: Callable[[Client], None], foreign: int = 0, model: str = "yolo26"
) -> Seen:
    """What is seen of a load, as one step that ends when the server has counted all that was answered.

    foreign: requests in it that another client sent.
    """
    client = Client(server.grpc_url)

    async def run() -> Seen:
        source = StatisticsSource(url=server.grpc_url, model=model)
        async with SourcesObserver({"candidate": sources(server, model)}) as observer:
            before = await source.read()
            await observer.before("candidate")
            await asyncio.to_thread(load, client)
            answered = client.ok + client.lost["internal"] + client.lost["unavailable"] + foreign
            await counted(source, before.requests() + answered)
            step = await observer.after("candidate")
        return Seen(client, step, observer.scrapes("candidate"), observer.unseen("candidate"))

    return asyncio.run(run())


async def counted(source: StatisticsSource, requests: int) -> None:
    """Wait until the server has counted so many requests, for it counts after it has answered."""
    await asyncio.to_thread(
        helpers.eventually, lambda: asyncio.run(source.read()).requests() >= requests, 10.0
    )


def test_a_step_is_split_into_queue_and_computing_and_counted_exactly(server: EmbeddedTriton) -> None:
    def load(client: Client) -> None:
        client.burst(1, (3, 3, 256, 256))
        client.burst(16)

    seen = observed(server, load)
    step = seen.observed.server
    assert step is not None and seen.unseen == []
    assert (step.requests, step.inferences, step.failures) == (17, 19, 0)
    assert step.executions == sum(step.batch_sizes.values()) <= 17
    assert sum(size * count for size, count in step.batch_sizes.items()) == 19
    assert 3 in step.batch_sizes, "a request of three images that was alone"
    assert step.queue_ms is not None and step.queue_ms > 0
    assert step.compute_infer_ms is not None and step.compute_infer_ms > 0
    assert (step.cache_hits, step.reset) == (0, False)
    told = seen.reconciled()
    assert (told.client_ok, told.server_success, told.server_inferences) == (17, 17, 19)
    assert told.explained == told.unexplained == told.resets == []


def test_requests_at_a_time_are_put_together(server: EmbeddedTriton) -> None:
    """One instance and a queue: what comes while a batch is computed is the next batch."""

    def together() -> bool:
        step = observed(server, lambda client: client.burst(12)).observed.server
        assert step is not None and step.requests == 12
        return max(step.batch_sizes) > 1 and step.executions < 12

    assert helpers.eventually(together)


def test_grpc_and_http_tell_the_same(server: EmbeddedTriton) -> None:
    grpc = StatisticsSource(url=server.grpc_url, model="yolo26", version="1")
    http = StatisticsSource(url=server.http_url, model="yolo26", protocol="http")
    assert asyncio.run(grpc.read()) == asyncio.run(http.read())


def test_metrics_are_there_and_move(server: EmbeddedTriton) -> None:
    seen = observed(server, lambda client: client.burst(8))
    found = {
        metric.name: metric
        for metric in metrics_seen(
            wanted_metrics(["nv_inference_count", "nv_inference_queue_duration_us", "nv_energy_consumption"]),
            seen.scrapes,
            model="yolo26",
        )
    }
    without_gpu = {name for name, metric in found.items() if not metric.present}
    assert without_gpu == {"nv_gpu_utilization", "nv_gpu_memory_total_bytes", "nv_energy_consumption"}
    assert all(found[name].reason.startswith(NO_GPU) for name in without_gpu)
    assert {name for name, metric in found.items() if metric.moved} == {
        "nv_inference_request_summary_us",
        "nv_inference_request_success",
        "nv_inference_count",
        "nv_inference_queue_duration_us",
    }
    assert seen.observed.gpu is not None and seen.observed.gpu.reason.startswith(NO_GPU)
    assert not has_gpu_metrics(seen.scrapes[-1])
    still = metrics_seen({"nv_inference_count": []}, seen.scrapes[-1:] * 2, model="yolo26")
    assert still[0].moved is False


def test_what_the_server_finishes_after_the_deadline_is_its_success(server: EmbeddedTriton) -> None:
    def load(client: Client) -> None:
        client.burst(4, (8, 3, 256, 256), client_timeout=0.05)
        client.burst(1)  # there is one instance: when this is answered, it has finished those before

    def finished() -> bool:
        told = observed(server, load).reconciled()
        assert told.unexplained == []
        return any("finished after the client's deadline" in line for line in told.explained)

    assert helpers.eventually(finished, 60.0)


def test_what_is_refused_at_once_is_counted_nowhere(server: EmbeddedTriton) -> None:
    def load(client: Client) -> None:
        client.burst(3)
        client.burst(2, (9, 3, 256, 256))
        client.burst(1, model="nobody")

    told = observed(server, load).reconciled()
    assert told.client_failed == {"invalid-argument": 2, "not-found": 1}
    assert (told.server_success, told.server_failure, told.unexplained) == (3, {}, [])
    assert [line.partition(" which ")[0] for line in told.explained] == [
        "2 requests ('invalid-argument') that were refused at once,",
        "1 request ('not-found') that were refused at once,",
    ]


def test_an_error_of_the_python_backend_is_a_success_to_triton(server: EmbeddedTriton) -> None:
    def load(client: Client) -> None:
        client.burst(2)
        client.burst(1, (2, 4, 256, 256))

    seen = observed(server, load)
    told = seen.reconciled()
    assert (told.client_failed, told.server_success, told.server_inferences) == ({"internal": 1}, 3, 4)
    assert told.unexplained == []
    assert "the Python backend answered with an error" in told.explained[0]
    engine = reconcile(seen.client.totals(), seen.scrapes, model="yolo26", python_backend=False)
    assert engine.unexplained, "an engine's errors are counted as failures"


def test_what_waits_too_long_in_the_queue_is_rejected(server: EmbeddedTriton) -> None:
    seen = observed(server, lambda client: client.burst(1, timeout=1))
    told, step = seen.reconciled(), seen.observed.server
    assert step is not None and (step.requests, step.failures, step.queue_ms) == (0, 1, None)
    assert (told.client_failed, told.server_failure) == ({"unavailable": 1}, {"REJECTED": 1})
    assert (told.server_success, told.unexplained) == (0, [])


def test_another_clients_requests_have_no_explanation(server: EmbeddedTriton) -> None:
    def load(client: Client) -> None:
        client.burst(3)
        Client(client.url).burst(2)

    told = observed(server, load, foreign=2).reconciled()
    assert told.unexplained == [
        "2 requests that the server counts as success and this client does not know of",
        "the server computed 5 images, expected 3",
    ]


def test_answers_of_the_response_cache_are_said(server: EmbeddedTriton) -> None:
    def load(client: Client) -> None:
        for _ in range(4):
            client.burst(1, model="cached")

    def hit() -> bool:
        seen = observed(server, load, model="cached")
        step, told = seen.observed.server, reconcile(seen.client.totals(), seen.scrapes, model="cached")
        assert step is not None
        assert (step.requests, step.cache_hits) == (4, told.cache_hits)
        assert step.executions == step.inferences == told.server_inferences == 4 - told.cache_hits
        assert told.unexplained == []
        (summary,) = metrics_seen({"nv_inference_request_summary_us": []}, seen.scrapes, model="cached")
        assert not summary.present, "the cache takes the summary of request time away"
        return told.cache_hits > 0 and "the response cache answered" in told.explained[0]

    assert helpers.eventually(hit)


def test_a_restart_is_a_reset(server: EmbeddedTriton) -> None:
    """The last test of the module, for afterwards the server is another one."""
    client = Client(server.grpc_url)
    client.burst(3)
    before = asyncio.run(MetricsSource(url=server.metrics_url).scrape())
    statistics = asyncio.run(StatisticsSource(url=server.grpc_url, model="yolo26").read())
    os.kill(server.pid, signal.SIGKILL)
    assert helpers.eventually(lambda: not server.alive())
    server.stop()
    server.start()
    seen = observed(server, lambda client: client.burst(3))
    after = asyncio.run(StatisticsSource(url=server.grpc_url, model="yolo26").read())
    told = reconcile(seen.client.totals(), [before, *seen.scrapes], model="yolo26", python_backend=True)
    assert 'nv_inference_request_success{model="yolo26",version="1"}' in told.resets
    assert told.server_success == WARM_UP + 3
    assert told.unexplained[0].startswith(f"{WARM_UP} requests that the server counts as success")
    found = split(statistics, after)
    assert found.reset and found.requests == WARM_UP + 3
