"""Exports: what is refused before anything heavy runs, and what the cache believes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity.config import ModelConfig
from parity.errors import EvidenceError, UsageError
from parity.repository.export import export_onnx
from parity.repository.exported import read_entry

SETTINGS: dict[str, Any] = {
    "weights_sha256": "0" * 64,
    "family": "yolo26",
    "head": "nms-free",
    "input_size": [64, 64],
    "precision": "fp32",
    "converter": "",
    "opset": 17,
    "versions": {"onnx": "1"},
    "calibration_images": 0,
    "calibration_sha256": "",
}


def model(weights: Path) -> ModelConfig:
    return ModelConfig.model_validate(
        {
            "family": "yolo26",
            "weights": weights,
            "input_size": (64, 64),
            "resize": "letterbox",
            "head": "nms-free",
            "names": ("dog",),
        }
    )


def entry(folder: Path, **changes: Any) -> Path:
    """A cache entry as `export_onnx` writes it."""
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").write_bytes(b"network")
    spec = {"name": "images", "datatype": "FP32", "dims": [3, 64, 64]}
    document = {
        **SETTINGS,
        "sha256": hashlib.sha256(b"network").hexdigest(),
        "names": ["dog"],
        "seconds": 1.5,
        "signature": {"inputs": [spec], "outputs": [{**spec, "name": "output0", "dims": [300, 6]}]},
        **changes,
    }
    (folder / "export.json").write_text(json.dumps(document))
    return folder


def test_missing_weights(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="no such weights") as caught:
        export_onnx(model(tmp_path / "none.pt"), "fp32", tmp_path)
    assert caught.value.exit_code == 3


def test_int8_needs_calibration_images(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"x")
    with pytest.raises(UsageError, match="no calibration images"):
        export_onnx(model(tmp_path / "w.pt"), "int8", tmp_path)


@pytest.mark.parametrize(
    "tensor",
    [
        np.zeros((1, 3, 32, 64), np.float32),
        np.zeros((3, 64, 64), np.float32),
        np.zeros((1, 3, 64, 64), np.float64),
        np.full((1, 3, 64, 64), np.nan, np.float32),
    ],
)
def test_calibration_tensors_are_checked(tmp_path: Path, tensor: Any) -> None:
    (tmp_path / "w.pt").write_bytes(b"x")
    with pytest.raises(EvidenceError, match="calibration tensor 0"):
        export_onnx(model(tmp_path / "w.pt"), "int8", tmp_path, [tensor])


def test_a_sound_entry_is_believed(tmp_path: Path) -> None:
    found = read_entry(entry(tmp_path / "e"), SETTINGS)
    assert found is not None
    assert found.path == tmp_path / "e" / "model.onnx"
    assert found.signature.outputs[0].dims == (300, 6)
    document = found.provenance()
    assert "path" not in document
    assert document == json.loads(json.dumps(document))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "model.onnx").write_bytes(b"other"),
        lambda folder: (folder / "model.onnx").unlink(),
        lambda folder: (folder / "export.json").write_text("{"),
        lambda folder: (folder / "export.json").write_text("[]"),
        lambda folder: (folder / "export.json").unlink(),
        lambda folder: entry(folder, opset=16),
        lambda folder: entry(folder, signature={"inputs": []}),
        lambda folder: entry(folder, names=None),
    ],
)
def test_a_damaged_entry_is_not(tmp_path: Path, damage: Any) -> None:
    folder = entry(tmp_path / "e")
    damage(folder)
    assert read_entry(folder, SETTINGS) is None


def test_importing_is_light() -> None:
    code = (
        "import sys, parity.serving, parity.serving.triton, parity.repository.export,"
        " parity.repository.config_pbtxt, parity.repository.worker\n"
        "heavy = {'torch', 'ultralytics', 'onnx', 'onnxruntime', 'tritonclient', 'google'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
