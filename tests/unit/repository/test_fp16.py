"""The converters: each makes a graph that is typed as meant, or says what is missing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from parity.errors import EvidenceError, RunnerError
from parity.provenance import package_version
from parity.repository.export import export_onnx
from parity.repository.fp16 import CONVERTERS, PACKAGES, Converter, decoding_nodes, to_fp16
from parity.repository.graphs import automatic_converter
from parity.repository.tensor_types import check_types
from tests import build_jobs

SIZE = (32, 32)
MODELOPT = pytest.mark.skipif(
    importlib.util.find_spec("modelopt") is None,
    reason="nvidia-modelopt is not installed; it wants an environment of its own (docs/engines.md)",
)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """Convolution, LayerNormalization, Softmax and a product, and then a decode without weights, in FP32."""
    random = np.random.default_rng(0)

    def weight(name: str, *dims: int) -> TensorProto:
        return numpy_helper.from_array(random.normal(0, 0.1, dims).astype(np.float32), name)

    weights = [weight("kernel", 8, 3, 3, 3), weight("scale", 8), weight("bias", 8), weight("last", 8, 6)]
    weights += [numpy_helper.from_array(np.array([32.0], np.float32), "stride")]
    nodes = [
        helper.make_node("Conv", ["images", "kernel"], ["features"], name="conv", strides=[4, 4]),
        helper.make_node("Transpose", ["features"], ["moved"], name="move", perm=[0, 2, 3, 1]),
        helper.make_node("LayerNormalization", ["moved", "scale", "bias"], ["normal"], name="norm"),
        helper.make_node("Softmax", ["normal"], ["shares"], name="softmax"),
        helper.make_node("MatMul", ["shares", "last"], ["rows"], name="product"),
        helper.make_node("Mul", ["rows", "stride"], ["output0"], name="decode"),
    ]
    ends = [
        helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, *SIZE]),
        helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["batch", 8, 8, 6]),
    ]
    graph = helper.make_graph(nodes, "detector", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"end2end": "True"})
    assert decoding_nodes(model.graph) == ["decode"]
    path = tmp_path / "fp32.onnx"
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("converter", ["onnxruntime", pytest.param("modelopt", marks=MODELOPT)])
def test_a_converter_types_the_graph_as_meant(network: Path, tmp_path: Path, converter: Converter) -> None:
    import onnxruntime

    target = tmp_path / "fp16.onnx"
    to_fp16(network, target, converter, SIZE)
    types = check_types(target, "fp16")
    assert len(types["FP16"]) >= 2
    converted = onnx.load(str(target))
    assert {prop.key: prop.value for prop in converted.metadata_props} == {"end2end": "True"}
    image = np.random.default_rng(1).random((2, 3, *SIZE), np.float32)
    full, half = (
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(
            None, {"images": image}
        )[0]
        for path in (network, target)
    )
    assert not np.array_equal(full, half)
    np.testing.assert_allclose(half, full, rtol=0.02, atol=0.02)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".npz"] == []


@MODELOPT
def test_what_modelopt_refuses_is_told(tmp_path: Path, network: Path) -> None:
    model = onnx.load(str(network))
    model.graph.node[0].op_type = "Convolution"
    onnx.save(model, str(network))
    with pytest.raises(EvidenceError, match="modelopt cannot convert it to FP16") as caught:
        to_fp16(network, tmp_path / "fp16.onnx", "modelopt", SIZE)
    assert "--converter" in str(caught.value)


def test_modelopt_that_is_not_installed_is_named(tmp_path: Path) -> None:
    if package_version(PACKAGES["modelopt"]):
        pytest.skip("nvidia-modelopt is installed")
    (tmp_path / "w.pt").write_bytes(b"weights")
    with pytest.raises(RunnerError, match=r"not installed: .*nvidia-modelopt") as caught:
        export_onnx(build_jobs.model(tmp_path / "w.pt"), "fp16", tmp_path / "cache", converter="modelopt")
    assert "nvidia-modelopt[onnx]" in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_the_automatic_converter_is_one_that_is_installed() -> None:
    chosen = automatic_converter()
    assert chosen in CONVERTERS
    assert package_version(PACKAGES[chosen]), f"{chosen} is not installed"
