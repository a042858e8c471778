"""Exports of the demo's real weights in every precision, and weights that are none."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from parity.config import ModelConfig
from parity.errors import EvidenceError
from parity.repository.export import ExportedModel, export_onnx
from parity.repository.precision import read_signature
from tests.integration import helpers

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return helpers.cache(tmp_path_factory)


def images(count: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.random((1, 3, 256, 256), dtype=np.float32) for _ in range(count)]


MODELS = {
    "nms-free": (helpers.yolo26(), (300, 6)),
    "one-to-many": (helpers.yolo26("one-to-many"), (12, 1344)),
    "rtdetr": (helpers.rtdetr(), (100, 6)),
}


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("kind", MODELS)
def test_every_precision_loads_and_runs(cache_folder: Path, kind: str, precision: str) -> None:
    model, dims = MODELS[kind]
    exported = export_onnx(model, precision, cache_folder, images(2))  # type: ignore[arg-type]
    signature = read_signature(exported.path, (256, 256))
    assert signature == exported.signature
    assert [(t.name, t.datatype, t.dims) for t in signature.inputs] == [("images", "FP32", (3, 256, 256))]
    assert [(t.name, t.datatype, t.dims) for t in signature.outputs] == [("output0", "FP32", dims)]
    assert exported.names == helpers.NAMES
    assert exported.precision == precision
    assert (exported.calibration_images > 0) == (precision == "int8")
    assert exported.head == kind


def test_lower_precision_is_near_but_not_equal(cache_folder: Path) -> None:
    import onnxruntime

    tensor = images(1)[0]
    answers = {}
    for precision in ("fp32", "fp16", "int8"):
        exported = export_onnx(helpers.yolo26("one-to-many"), precision, cache_folder, images(2))
        session = onnxruntime.InferenceSession(str(exported.path), providers=["CPUExecutionProvider"])
        answers[precision] = session.run(None, {"images": tensor})[0][:, :4]
    for precision, pixels in (("fp16", 1.0), ("int8", 30.0)):
        difference = np.abs(answers[precision] - answers["fp32"]).mean()
        assert 0 < difference < pixels


def test_a_damaged_entry_is_made_again_to_the_same_digest(tmp_path: Path) -> None:
    first = export_onnx(helpers.yolo26(), "fp32", tmp_path)
    first.path.write_bytes(first.path.read_bytes()[:-1])
    again = export_onnx(helpers.yolo26(), "fp32", tmp_path)
    assert again == first


def test_two_at_once_make_one(tmp_path: Path) -> None:
    found: list[ExportedModel] = []
    threads = [
        threading.Thread(target=lambda: found.append(export_onnx(helpers.yolo26(), "fp32", tmp_path)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert found[0] == found[1]
    assert len([path for path in (tmp_path / "onnx").iterdir() if path.is_dir()]) == 1


def test_nothing_is_written_beside_the_weights_or_said(tmp_path: Path) -> None:
    weights = tmp_path / "weights" / "mine.pt"
    weights.parent.mkdir()
    weights.write_bytes(helpers.weights("yolo26n-street.pt").read_bytes())
    weights.parent.chmod(0o555)
    code = (
        "import sys; from pathlib import Path; from parity.repository.export import export_onnx;"
        "from tests.integration import helpers;"
        "export_onnx(helpers.yolo26(path=Path(sys.argv[1])), 'fp32', Path(sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(weights), str(tmp_path / "cache")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(helpers.ROOT), "HOME": str(tmp_path / "home")},
        capture_output=True,
        check=True,
    )
    weights.parent.chmod(0o755)
    assert (done.stdout, done.stderr) == (b"", b"")
    assert [path.name for path in weights.parent.iterdir()] == ["mine.pt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "weights"]


def broken_weights(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / f"{kind}.pt"
    if kind == "random":
        path.write_bytes(np.random.default_rng(0).bytes(5000))
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("hello.txt", "hello")
    elif kind == "truncated":
        path.write_bytes(helpers.weights("yolo26n-street.pt").read_bytes()[:100_000])
    elif kind == "empty":
        path.write_bytes(b"")
    return path


@pytest.mark.parametrize("kind", ["random", "zip", "truncated", "empty", "missing"])
def test_weights_that_are_none(tmp_path: Path, kind: str) -> None:
    path = broken_weights(tmp_path, kind)
    with pytest.raises(EvidenceError) as caught:
        export_onnx(helpers.yolo26(path=path), "fp32", tmp_path / "cache")
    assert caught.value.exit_code == 3
    assert str(path) in str(caught.value)
    assert "checkpoint" in str(caught.value)
    left = [path for path in (tmp_path / "cache").glob("onnx/*") if path.is_dir()]
    assert left == []


@pytest.mark.parametrize(
    "model",
    [
        helpers.yolo26(path=helpers.weights("rtdetr-small-street.pt")),
        helpers.rtdetr(path=helpers.weights("yolo26n-street.pt")),
    ],
)
def test_weights_of_the_other_family(tmp_path: Path, model: ModelConfig) -> None:
    with pytest.raises(EvidenceError, match=r"head is|can load"):
        export_onnx(model, "fp32", tmp_path)
