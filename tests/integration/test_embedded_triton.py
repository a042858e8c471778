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
from tests.integration.helpers import NAMES, REPOSITORY, ROOT, cache, children, eventually, gone, rtdetr, yolo26

from parity.errors import RunnerError
from parity.repository.config_pbtxt import derive_embedded
from parity.repository.export import ExportedModel, export_onnx
from parity.serving import triton
from parity.serving.environment import TritonEnvironment, prepare
from parity.serving.triton import EmbeddedTriton, ServedModel

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cache(tmp_path_factory)


@pytest.fixture(scope="module")
def environment(cache_folder: Path) -> TritonEnvironment:
    return prepare(cache_folder)


@pytest.fixture(scope="module")
def exports(cache_folder: Path) -> dict[str, ExportedModel]:
    return {
        "yolo26": export_onnx(yolo26(), "fp32", cache_folder),
        "rtdetr": export_onnx(rtdetr(), "fp32", cache_folder),
        "yolo26-dense": export_onnx(yolo26("one-to-many"), "fp32", cache_folder),
    }


def served(name: str, exported: ExportedModel) -> ServedModel:
    config = derive_embedded(REPOSITORY, name, exported.signature, labels=NAMES)
    return ServedModel(name=name, onnx=exported.path, config=config.text, files=config.files)


@pytest.fixture(scope="module")
def server(
    environment: TritonEnvironment, exports: dict[str, ExportedModel], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedTriton]:
    models = [served(name, exported) for name, exported in exports.items()]
    with EmbeddedTriton(models, environment, tmp_path_factory.mktemp("logs") / "triton.log") as running:
        yield running


def infer(server: EmbeddedTriton, model: str, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import tritonclient.grpc as grpc

    tensor = grpc.InferInput("images", list(images.shape), "FP32")
    tensor.set_data_from_numpy(images)
    with grpc.InferenceServerClient(server.grpc_url) as client:
        return client.infer(model, [tensor]).as_numpy("output0")


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
    with urllib.request.urlopen(f"http://{server.http_url}/v2/models/yolo26/stats") as response:
        stats = json.load(response)["model_stats"][0]
    assert stats["inference_count"] > stats["execution_count"], "dynamic batching put no requests together"


@pytest.mark.parametrize("shape", [(9, 3, 256, 256), (1, 3, 128, 128), (1, 1, 256, 256)])
def test_wrong_requests_are_refused_and_the_server_goes_on(server: EmbeddedTriton, shape: tuple[int, ...]) -> None:
    from tritonclient.utils import InferenceServerException

    with pytest.raises(InferenceServerException):
        infer(server, "yolo26", np.zeros(shape, np.float32))
    assert infer(server, "yolo26", images(1)).shape == (1, 300, 6)


def test_it_tells_where_and_what_it_is(server: EmbeddedTriton) -> None:
    assert server.alive()
    assert server.version == "2.51.0"
    assert Path(f"/proc/{server.pid}/comm").read_text().strip() == "tritonserver"
    assert all(url.startswith("127.0.0.1:") for url in (server.grpc_url, server.http_url))
    with urllib.request.urlopen(server.metrics_url) as response:
        text = response.read().decode()
    assert "nv_inference_request_success" in text and "nv_inference_request_summary_us" in text
    json.dumps(server.provenance())


def leftovers(server: EmbeddedTriton) -> list[Path]:
    return [path for path in Path("/dev/shm").glob(f"{server._shm_prefix}*") if server._shm_prefix]


def test_stop_leaves_nothing(
    environment: TritonEnvironment, exports: dict[str, ExportedModel], tmp_path: Path
) -> None:
    server = EmbeddedTriton([served("yolo26", exports["yolo26"])], environment, tmp_path / "t.log")
    with server:
        folder, pids = server._folder, [server.pid, *children(server.pid)]
        assert len(pids) == 2 and leftovers(server)
    assert not server.alive()
    assert all(gone(pid) for pid in pids)
    assert not leftovers(server) and folder is not None and not folder.exists()
    server.stop()


def test_an_exception_inside_stops_it(
    environment: TritonEnvironment, exports: dict[str, ExportedModel], tmp_path: Path
) -> None:
    server = EmbeddedTriton([served("yolo26", exports["yolo26"])], environment, tmp_path / "t.log")
    with pytest.raises(KeyboardInterrupt), server:
        pids = [server.pid, *children(server.pid)]
        raise KeyboardInterrupt
    assert all(gone(pid) for pid in pids)


def test_alive_sees_the_server_die(
    environment: TritonEnvironment, exports: dict[str, ExportedModel], tmp_path: Path
) -> None:
    with EmbeddedTriton([served("yolo26", exports["yolo26"])], environment, tmp_path / "t.log") as server:
        stubs = children(server.pid)
        os.kill(server.pid, signal.SIGKILL)
        assert eventually(lambda: not server.alive())
        assert all(gone(pid) for pid in stubs) and not leftovers(server)


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
print(json.dumps([server.pid, server._supervisor.pid, str(server._folder), server._shm_prefix]), flush=True)
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
def test_a_killed_parent_leaves_nothing(
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
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert host.stdout is not None
        pid, supervisor, folder, prefix = json.loads(host.stdout.readline())
        pids = [pid, supervisor, *children(pid)]
        assert len(pids) == 3 and not any(gone(each) for each in pids)
        assert json.loads(host.stdout.readline()) is True
        if target == "group":
            os.killpg(host.pid, number)
        else:
            os.kill(host.pid if target == "parent" else supervisor, number)
        assert eventually(lambda: all(gone(each) for each in pids)), "processes are left behind"
        assert eventually(lambda: not list(Path("/dev/shm").glob(f"{prefix}*"))), "shared memory is left behind"
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
        pytest.fail("a broken model became ready")
    assert caught.value.exit_code == 4
    assert "InvalidProtobuf" in str(caught.value) or "model.onnx" in str(caught.value)
    assert str(tmp_path / "t.log") in str(caught.value)
    assert not server.alive() and gone(server.pid) and not leftovers(server)


def test_a_missing_network_is_named(environment: TritonEnvironment, tmp_path: Path) -> None:
    model = ServedModel(name="yolo26", onnx=tmp_path / "none.onnx", config="")
    server = EmbeddedTriton([model], environment, tmp_path / "t.log")
    with pytest.raises(RunnerError, match=r"none\.onnx"):
        server.start()
    assert server._folder is None


def test_a_port_that_another_process_took_is_tried_again(
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
            return (taken.getsockname()[1], *free[1:]) if len(calls) == 1 else free

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


def test_the_environment_is_made_once_by_two_at_a_time(cache_folder: Path, environment: TritonEnvironment) -> None:
    found: list[TritonEnvironment] = []
    threads = [threading.Thread(target=lambda: found.append(prepare(cache_folder))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [environment, environment]
    assert environment.packages["numpy"].startswith("1.")
