"""The graph beside an engine that Ultralytics built: which file it is, and what a check then says of both."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from parity.config import RunFile
from parity.errors import EvidenceError
from parity.progress import Silent
from parity.repository.build import Options, Placed, build
from parity.repository.builders import Wish
from parity.repository.builders.container import IMAGE
from parity.repository.check import Request, Severity, Target, check
from parity.repository.manifest import BatchProfile, knows_flags
from tests import build_jobs
from tests.unit.repository.builders.test_engine_file import METADATA, with_header

CONFIG = """name: "yolo"
platform: "tensorrt_plan"
max_batch_size: 8
input { name: "images" data_type: TYPE_FP32 dims: [ 3, 64, 96 ] }
output { name: "output0" data_type: TYPE_FP32 dims: [ 300, 6 ] label_filename: "labels.txt" }
dynamic_batching { preferred_batch_size: [ 8 ] }
parameters { key: "head" value { string_value: "nms-free" } }
parameters { key: "input_size" value { string_value: "64x96" } }
parameters { key: "resize" value { string_value: "letterbox" } }
parameters { key: "names" value { string_value: "person,dog" } }
"""
WARM = 'model_warmup {{ name: "{0}" batch_size: {0} inputs {{ key: "images" value {{ data_type: TYPE_FP32 \
dims: [ 3, 64, 96 ] zero_data: true }} }} }}\n'


def network(path: Path, *, half: bool) -> Path:
    """A network from (batch, 3, 64, 96) to (batch, 300, 6); `half`: its weights and arithmetic are FP16."""
    kind, element = (np.float16, TensorProto.FLOAT16) if half else (np.float32, TensorProto.FLOAT)
    weights = [
        numpy_helper.from_array(np.ones((3, 1800), kind), "weight"),
        numpy_helper.from_array(np.array([-1, 300, 6], np.int64), "shape"),
    ]
    nodes = [
        helper.make_node("Cast", ["images"], ["typed"], to=element),
        helper.make_node("GlobalAveragePool", ["typed"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["rows"]),
        helper.make_node("Reshape", ["rows", "shape"], ["boxes"]),
        helper.make_node("Cast", ["boxes"], ["output0"], to=TensorProto.FLOAT),
    ]
    ends = [
        helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 64, 96]),
        helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["batch", 300, 6]),
    ]
    graph = helper.make_graph(nodes, "detector", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"end2end": "True", "names": str({0: "person", 1: "dog"})})
    onnx.save(model, str(path))
    return path


def engine(folder: Path, version: tuple[int, int, int, int], quantize: int = 16) -> Path:
    """An Ultralytics engine of this TensorRT, without a graph beside it."""
    path = folder / "best.engine"
    metadata = {**METADATA, "args": {**METADATA["args"], "quantize": quantize}}
    head = build_jobs.plan()
    path.write_bytes(with_header(metadata, head[:24] + bytes(version) + head[28:]))
    return path


def taken(folder: Path, from_: Path, onnx_file: Path | None = None) -> Any:
    """`parity repository build` of the engine, and then `parity repository check` of the result."""
    (folder / "w.pt").write_bytes(b"weights")
    (folder / "coco.json").write_text(
        json.dumps({"categories": [{"id": 1, "name": n} for n in ("dog", "person")]})
    )
    run_file = RunFile.model_validate(
        {
            "dataset": "d",
            "model_repository": folder / "repository",
            "datasets": {"d": {"path": folder / "coco.json"}},
            "models": {"yolo": build_jobs.model(folder / "w.pt").model_dump()},
            "reference": {"runner": "ultralytics"},
            "candidate": {"runner": "triton"},
        }
    )
    options = Options(
        precision="fp16",
        converter=None,
        builder=None,
        profile=BatchProfile(min=1, opt=4, max=8),
        workspace_mib=None,
        wish=Wish(capabilities=("8.9",), engine=from_),
        repository=None,
        version=1,
        onnx=onnx_file,
        image=IMAGE,
        cache=folder / "cache",
    )
    placed = build(run_file, "yolo", options, Silent())
    assert isinstance(placed, Placed)
    model = folder / "repository" / "yolo"
    (model / "config.pbtxt").write_text(CONFIG + WARM.format(1) + WARM.format(8))
    (model / "labels.txt").write_text("person\ndog\n")
    target = Target(tensorrt=placed.manifest.tensorrt_version, compute_capability="8.9")
    found = check(Request(repository=folder / "repository", run_file=run_file, target=target, reports=folder))
    return placed, [(f.code, f.severity) for f in found.findings if f.code != "NO_EVIDENCE"]


def test_fp16_of_tensorrt_10_was_a_flag_and_is_no_error(tmp_path: Path) -> None:
    graph = network(tmp_path / "best.onnx", half=False)
    placed, findings = taken(tmp_path, engine(tmp_path, (10, 13, 3, 9)))
    assert (placed.manifest.precision, placed.manifest.half_by_flag) == ("fp16", True)
    assert (placed.folder / "model.onnx").read_bytes() == graph.read_bytes()
    assert findings == [("PRECISION_BY_FLAG", Severity.INFO)]


def test_fp16_of_tensorrt_11_has_a_graph_of_its_own(tmp_path: Path) -> None:
    network(tmp_path / "best.onnx", half=False)
    graph = network(tmp_path / "best.fp16.onnx", half=True)
    placed, findings = taken(tmp_path, engine(tmp_path, (11, 0, 0, 7)))
    assert placed.manifest.precision == "fp16"
    assert (placed.folder / "model.onnx").read_bytes() == graph.read_bytes()
    assert findings == []


@pytest.mark.parametrize(("version", "quantize"), [((10, 13, 3, 9), 16), ((11, 0, 0, 7), 32)])
def test_an_older_export_s_graph_is_not_taken(
    tmp_path: Path, version: tuple[int, int, int, int], quantize: int
) -> None:
    """Ultralytics leaves `best.fp16.onnx` lying when it exports anew without it."""
    graph = network(tmp_path / "best.onnx", half=False)
    network(tmp_path / "best.fp16.onnx", half=True)
    placed, findings = taken(tmp_path, engine(tmp_path, version, quantize))
    assert (placed.folder / "model.onnx").read_bytes() == graph.read_bytes()
    assert not any(severity is Severity.ERROR for _, severity in findings)


def test_an_fp32_graph_is_no_graph_of_an_fp16_engine_of_tensorrt_11(tmp_path: Path) -> None:
    network(tmp_path / "best.onnx", half=False)
    with pytest.raises(EvidenceError, match="it has no tensor in FP16") as caught:
        taken(tmp_path, engine(tmp_path, (11, 0, 0, 7)))
    assert "--onnx" in str(caught.value)
    shutil.move(network(tmp_path / "best.fp16.onnx", half=True), tmp_path / "kept.onnx")
    placed, findings = taken(tmp_path, tmp_path / "best.engine", tmp_path / "kept.onnx")
    assert (placed.manifest.precision, findings) == ("fp16", [])


@pytest.mark.parametrize(
    ("version", "flags"),
    [
        ("10.16.2.10", True),
        ("8.6.1", True),
        ("11.0.0", False),
        ("11", False),
        ("", False),
        ("10x", True),
        ("99999", False),
    ],
)
def test_which_tensorrt_takes_flags(version: str, flags: bool) -> None:
    assert knows_flags(version) is flags
