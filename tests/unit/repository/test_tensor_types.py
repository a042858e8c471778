"""Types of a graph: what is refused, and that the FP16 converter keeps what has to stay FP32."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity.errors import EvidenceError
from parity.repository import fp16
from parity.repository.precision import Precision
from parity.repository.tensor_types import check_types

onnx = pytest.importorskip("onnx")
F, H = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


def cast(source: str, target: str, kind: int) -> Any:
    return onnx.helper.make_node("Cast", [source], [target], f"cast {target}", to=kind)


def node(operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> Any:
    return onnx.helper.make_node(operator, list(inputs), [output], f"the {operator}", **attributes)


def save(folder: Path, nodes: Sequence[Any], half: Sequence[str] = (), output: int = F) -> Path:
    """A graph x -> y over (batch, 4) with weights w and v (4, 4) and a scale s (4,), FP16 where named."""
    weights = [
        onnx.numpy_helper.from_array(value.astype(np.float16 if name in half else np.float32), name)
        for name, value in {"w": np.eye(4) / 3, "v": np.eye(4), "s": np.ones(4)}.items()
    ]
    ends = [
        onnx.helper.make_tensor_value_info("x", F, ["batch", 4]),
        onnx.helper.make_tensor_value_info("y", output, ["batch", 4]),
    ]
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "model.onnx"
    onnx.save(model, str(path))
    return path


GOOD = [cast("x", "a", H), node("MatMul", ["a", "w"], "b"), cast("b", "c", F), node("Relu", ["c"], "y")]


def test_types_are_named_as_triton_names_them(tmp_path: Path) -> None:
    found = check_types(save(tmp_path, GOOD, half=["w"]), "fp16")
    assert found == {"FP16": ("a", "b", "w"), "FP32": ("c", "s", "v", "x", "y")}


@pytest.mark.parametrize(
    ("precision", "nodes", "half", "output", "told"),
    [
        ("fp16", [node("MatMul", ["x", "w"], "y")], (), F, "none of its 1 weights is FP16"),
        ("fp32", GOOD, ["w"], F, "3 tensors are FP16"),
        ("fp16", [*GOOD[:1], node("MatMul", ["a", "w"], "y")], ["w"], H, "output 'y' is FP16, expected FP32"),
        (
            "fp16",
            [*GOOD[:2], node("Softmax", ["b"], "d"), cast("d", "y", F), node("MatMul", ["d", "v"], "e")],
            ["w", "v"],
            F,
            "Softmax 'the Softmax' computes in FP16",
        ),
        (
            "fp16",
            [*GOOD[:2], node("Relu", ["b"], "c"), cast("c", "y", F)],
            ["w"],
            F,
            "Relu 'the Relu' computes",
        ),
        ("int8", GOOD, ["w"], F, "none of its tensors is INT8"),
    ],
)
def test_other_types_than_meant(
    tmp_path: Path, precision: Precision, nodes: Sequence[Any], half: Sequence[str], output: int, told: str
) -> None:
    with pytest.raises(EvidenceError) as caught:
        check_types(save(tmp_path, nodes, half, output), precision)
    assert told in str(caught.value)
    assert "model.onnx" in str(caught.value)


@pytest.mark.parametrize("operator", ["MatMul", "Add"])
def test_inputs_that_do_not_fit_each_other(tmp_path: Path, operator: str) -> None:
    nodes = [*GOOD[:3], node(operator, ["c", "w"], "y")]
    with pytest.raises(EvidenceError, match=r"FP16 and FP32, expected one type|types cannot be inferred"):
        check_types(save(tmp_path, nodes, half=["w"]), "fp16")


def test_every_problem_is_told_and_few_are_listed(tmp_path: Path) -> None:
    nodes = [*GOOD, *(onnx.helper.make_node("Relu", ["b"], [f"t{i}"], f"relu {i}") for i in range(14))]
    with pytest.raises(EvidenceError, match="and 4 more"):
        check_types(save(tmp_path, nodes, half=["w"]), "fp16")


@pytest.mark.parametrize("content", [b"", b"\x08", b"no network at all" * 9])
def test_files_that_are_no_network(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(EvidenceError):
        check_types(tmp_path / "model.onnx", "fp32")


def test_the_converter_keeps_normalisation_softmax_and_decode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    nodes = [
        node("MatMul", ["x", "w"], "a"),
        node("LayerNormalization", ["a", "s"], "b"),
        node("Softmax", ["b"], "c"),
        onnx.helper.make_node("MatMul", ["c", "v"], ["d"], "last"),
        node("Sigmoid", ["d"], "e"),
        node("Mul", ["e", "s"], "y"),
    ]
    source, target = save(tmp_path, nodes), tmp_path / "half.onnx"
    fp16.to_fp16(source, target, "onnxruntime", (4, 4))
    found = check_types(target, "fp16")
    assert {"w", "v"} <= set(found["FP16"])
    assert {"x", "y"} <= set(found["FP32"])
    monkeypatch.setattr(fp16, "FP32_OPERATORS", ())
    fp16.to_fp16(source, target, "onnxruntime", (4, 4))
    with pytest.raises(EvidenceError, match=r"LayerNormalization'.* computes in FP16(.|\n)*Softmax"):
        check_types(target, "fp16")


def test_the_decode_is_found_in_any_order() -> None:
    nodes = [
        node("Mul", ["d", "d"], "y"),
        node("Sigmoid", ["m"], "d"),
        node("MatMul", ["r", "w"], "m"),
        node("Relu", ["x"], "r"),
    ]
    for order in (nodes, nodes[::-1]):
        graph = onnx.helper.make_graph(order, "g", [], [])
        assert sorted(fp16.decoding_nodes(graph)) == ["the Mul", "the Sigmoid"]
