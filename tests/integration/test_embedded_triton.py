"""The embedded Triton as it really runs: answers, batches, failures, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity.errors import RunnerError
from parity.repository.config_pbtxt import derive_embedded
from parity.repository.export import ExportedModel, export_onnx
from parity.serving import triton
from parity.serving.environment import TritonEnvironment, prepare
from parity.serving.process import SHARED_MEMORY
from parity.serving.triton import EmbeddedTriton, ServedModel
from tests.integration import helpers
from tests.integration.helpers import children, eventually, gone

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return helpers.cache(tmp_path_factory)


@pytest.fixture(scope="module")
def environment(cache_folder: Path) -> TritonEnvironment:
    return prepare(cache_folder)


@pytest.fixture(scope="module")
def exports(cache_folder: Path) -> dict[str, ExportedModel]:
    return {
        "yolo26": export_onnx(helpers.yolo26(), "fp32", cache_folder),
        "rtdetr": export_onnx(helpers.rtdetr(), "fp32", cache_folder),
        "yolo26-dense": export_onnx(helpers.yolo26("one-to-many"), "fp32", cache_folder),
    }


def served(name: str, exported: ExportedModel) -> ServedModel:
    config = derive_embedded(helpers.REPOSITORY, name, exported.signature, labels=helpers.NAMES)
    return ServedModel(name=name, onnx=exported.path, config=config.text, files=config.files)


@pytest.fixture(scope="module")
def server(
    environment: TritonEnvironment,
    exports: dict[str, ExportedModel],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[EmbeddedTriton]:
    models = [served(name, exported) for name, exported in exports.items()]
    with EmbeddedTriton(models, environment, tmp_path_factory.mktemp("logs") / "triton.log") as running:
        yield running


def infer(server: EmbeddedTriton, model: str, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    from tritonclient import grpc

    tensor = grpc.InferInput("images", list(images.shape), "FP32")
    tensor.set_data_from_numpy(images)
    with grpc.InferenceServerClient(server.grpc_url) as client:
        return np.asarray(client.infer(model, [tensor]).as_numpy("output0"))


def fetch(url: str) -> str:
    with urllib.request.urlopen(url) as response:  # a loopback address of our own server
        return str(response.read().decode())


def images(count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).random((count, 3, 256, 256), dtype=np.float32)


@pytest.mark.parametrize("batch", [1, 2, 3, 8])
@pytest.mark.parametrize("model", ["yolo26", "rtdetr", "yolo26-dense"])
def test_answers_are_those_of_onnx_runtime(
    server: EmbeddedTriton, exports: dict[str, ExportedModel], model: str, batch: int
) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exports[model].path), providers=["CPUExecutionProvider"])
    tensors = images(batch)
    expected = session.run(None, {"images": tensors})[0]
    answer = infer(server, model, tensors)
    assert answer.shape == (batch, *exports[model].signature.outputs[0].dims)
    np.testing.assert_allclose(answer, expected, rtol=1e-3, atol=1e-3)


def test_requests_batched_together_get_their_own_answers(server: EmbeddedTriton) -> None:
    alone = [infer(server, "yolo26", images(1, seed)) for seed in range(16)]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda seed: infer(server, "yolo26", images(1, seed)), range(16)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)
    stats = json.loads(fetch(f"http://{server.http_url}/v2/models/yolo26/stats"))["model_stats"][0]
    assert stats["inference_count"] > stats["execution_count"], "dynamic batching put no requests together"


@pytest.mark.parametrize("shape", [(9, 3, 256, 256), (1, 3, 128, 128), (1, 1, 256, 256)])
def test_wrong_requests_are_refused_and_the_server_goes_on(
    server: EmbeddedTriton, shape: tuple[int, ...]
) -> None:
    from tritonclient.utils import InferenceServerException

    with pytest.raises(InferenceServerException):
        infer(server, "yolo26", np.zeros(shape, np.float32))
    assert infer(server, "yolo26", images(1)).shape == (1, 300, 6)


def test_it_tells_where_and_what_it_is(server: EmbeddedTriton) -> None:
    assert server.alive()
    assert server.version == "2.51.0"
    assert Path(f"/proc/{server.pid}/comm").read_text().strip() == "tritonserver"
    assert all(url.startswith("127.0.0.1:") for url in (server.grpc_url, server.http_url))
    text = fetch(server.metrics_url)
    assert "nv_inference_request_success" in text
    assert "nv_inference_request_summary_us" in text
    json.dumps(server.provenance())


def regions(prefix: str) -> list[Path]:
    return list(SHARED_MEMORY.glob(f"{prefix}*"))


def test_stop_leaves_nothing(
    environment: TritonEnvironment, exports: dict[str, ExportedModel], tmp_path: Path
) -> None:
    server = EmbeddedTriton([served("yolo26", exports["yolo26"])], environment, tmp_path / "t.log")
    with server:
        workspace, pids = server._workspace, [server.pid, *children(server.pid)]
        assert workspace is not None
        assert len(pids) == 2
        assert regions(workspace.shm_prefix)
    assert not server.alive()
    assert all(gone(pid) for pid in pids)
    assert not regions(workspace.shm_prefix)
    assert not workspace.folder.exists()
    server.stop()


def test_an_exception_inside_stops_it(
    environment: TritonEnvironment, exports: dict[str, ExportedModel], tmp_path: Path
) -> None:
    server = EmbeddedTriton([served("yolo26", exports["yolo26"])], environment, tmp_path / "t.log")
    pids = []

    def interrupted() -> None:
        with server:
            pids.extend([server.pid, *children(server.pid)])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)


def test_alive_sees_the_server_die(
    environment: TritonEnvironment, exports: dict[str, ExportedModel], tmp_path: Path
) -> None:
    with EmbeddedTriton([served("yolo26", exports["yolo26"])], environment, tmp_path / "t.log") as server:
        stubs, workspace = children(server.pid), server._workspace
        assert workspace is not None
        os.kill(server.pid, signal.SIGKILL)
        assert eventually(lambda: not server.alive())
        assert all(gone(pid) for pid in stubs)
        assert not regions(workspace.shm_prefix)


HOST_SCRIPT = """
import json, pathlib, sys, threading, time
from parity.serving.environment import prepare
from parity.serving.triton import EmbeddedTriton, ServedModel
cache, onnx, config, log, thread = sys.argv[1:]
model = ServedModel(name="yolo26", onnx=pathlib.Path(onnx), config=pathlib.Path(config).read_text(),
                    files={"labels.txt": "a"})
server = EmbeddedTriton([model], prepare(pathlib.Path(cache)), pathlib.Path(log))
if thread == "thread":  # the thread that starts the server ends long before the process does
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
else:
    server.start()
space = server._workspace
print(json.dumps([server.pid, server._process._process.pid, str(space.folder), space.shm_prefix]), flush=True)
time.sleep(1.5)
print(json.dumps(server.alive()), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("number", "target", "thread"),
    [
        (signal.SIGKILL, "parent", "main"),
        (signal.SIGKILL, "parent", "thread"),
        (signal.SIGTERM, "parent", "main"),
        (signal.SIGINT, "group", "main"),
        (signal.SIGKILL, "supervisor", "main"),
    ],
)
def test_a_killed_parent_leaves_nothing(  # fixtures and parameters
    environment: TritonEnvironment,
    exports: dict[str, ExportedModel],
    tmp_path: Path,
    number: signal.Signals,
    target: str,
    thread: str,
) -> None:
    model = served("yolo26", exports["yolo26"])
    (tmp_path / "config.pbtxt").write_text(model.config)
    arguments = [environment.root.parent, model.onnx, tmp_path / "config.pbtxt", tmp_path / "t.log", thread]
    host = subprocess.Popen(
        [sys.executable, "-c", HOST_SCRIPT, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(helpers.ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert host.stdout is not None
        pid, supervisor, folder, prefix = json.loads(host.stdout.readline())
        pids = [pid, supervisor, *children(pid)]
        assert len(pids) == 3
        assert not any(gone(each) for each in pids)
        assert json.loads(host.stdout.readline()) is True
        if target == "group":
            os.killpg(host.pid, number)
        else:
            os.kill(host.pid if target == "parent" else supervisor, number)
        assert eventually(lambda: all(gone(each) for each in pids)), "processes are left behind"
        assert eventually(lambda: not regions(prefix)), "shared memory is left behind"
        if target != "supervisor":  # then the living parent removes the folder when it stops
            assert eventually(lambda: not Path(folder).exists()), "the folder is left behind"
        else:
            shutil.rmtree(folder)
    finally:
        host.kill()
        host.wait()


def test_a_broken_model_shows_the_servers_log(
    environment: TritonEnvironment, exports: dict[str, ExportedModel], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(exports["yolo26"].path.read_bytes()[:5000])
    good = served("yolo26", exports["yolo26"])
    model = ServedModel(name="yolo26", onnx=broken, config=good.config, files=good.files)
    server = EmbeddedTriton([model], environment, tmp_path / "t.log")
    with pytest.raises(RunnerError, match="ended before it was ready") as caught, server:
        pass
    assert caught.value.exit_code == 4
    assert "InvalidProtobuf" in str(caught.value), "the cause is not in the part of the log that is shown"
    assert not server.alive()
    assert gone(server.pid)


def test_a_missing_network_is_named(environment: TritonEnvironment, tmp_path: Path) -> None:
    model = ServedModel(name="yolo26", onnx=tmp_path / "none.onnx", config="")
    server = EmbeddedTriton([model], environment, tmp_path / "t.log")
    with pytest.raises(RunnerError, match=r"none\.onnx"):
        server.start()
    assert server._workspace is None


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_port_that_another_process_took_is_tried_again(
    which: int,
    environment: TritonEnvironment,
    exports: dict[str, ExportedModel],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        real, calls = triton._free_ports, []

        def ports() -> tuple[int, int, int]:
            calls.append(1)
            free = real()
            busy = tuple(taken.getsockname()[1] if i == which else port for i, port in enumerate(free))
            return busy if len(calls) == 1 else free  # type: ignore[return-value]

        monkeypatch.setattr(triton, "_free_ports", ports)
        with EmbeddedTriton([served("yolo26", exports["yolo26"])], environment, tmp_path / "t.log") as server:
            assert len(calls) == 2
            assert infer(server, "yolo26", images(1)).shape == (1, 300, 6)


def test_two_servers_live_side_by_side(
    server: EmbeddedTriton, environment: TritonEnvironment, exports: dict[str, ExportedModel], tmp_path: Path
) -> None:
    with EmbeddedTriton([served("yolo26", exports["yolo26"])], environment, tmp_path / "t.log") as other:
        assert other.grpc_url != server.grpc_url
        np.testing.assert_array_equal(infer(other, "yolo26", images(1)), infer(server, "yolo26", images(1)))
    assert infer(server, "yolo26", images(1)).shape == (1, 300, 6)


def test_the_environment_is_made_once_by_two_at_a_time(
    cache_folder: Path, environment: TritonEnvironment
) -> None:
    found: list[TritonEnvironment] = []
    threads = [threading.Thread(target=lambda: found.append(prepare(cache_folder))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [environment, environment]
    assert environment.packages["numpy"].startswith("1.")
