"""Which type each tensor of an ONNX graph really has, and whether those are the types that were meant.

A converter that gives up on a part says nothing, and TensorRT 11 builds whatever the graph says; so the
graph itself is asked. The functions import ONNX themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from parity.errors import EvidenceError, first_line, join_problems
from parity.repository.fp16 import FP32_OPERATORS, decoding_nodes
from parity.repository.precision import WEIGHTED_OPERATORS, Precision

MOST_SHOWN = 10
_TRITON = {"FLOAT": "FP32", "FLOAT16": "FP16", "DOUBLE": "FP64", "BFLOAT16": "BF16"}
"""Triton's names where they differ from ONNX's."""


def load_typed(path: Path) -> tuple[Any, dict[str, str]]:
    """The model, and Triton's name of the type of every tensor in its graph, weights included.

    Raises EvidenceError for a file that is no ONNX network or whose types cannot be inferred.
    """
    import onnx

    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
        graph = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    except Exception as error:  # protobuf's and ONNX's exceptions have no common base
        raise EvidenceError(
            f"its types cannot be inferred ({first_line(error)})",
            where=str(path),
            expected="an ONNX network whose tensors have one type each",
        ) from error
    types = {
        value.name: _name(value.type.tensor_type.elem_type)
        for values in (graph.value_info, graph.input, graph.output)
        for value in values
    }
    types.update({weight.name: _name(weight.data_type) for weight in graph.initializer})
    return model, types


def by_type(types: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Names of the tensors by their type, both sorted: the form that a build manifest keeps."""
    return {kind: tuple(sorted(t for t in types if types[t] == kind)) for kind in sorted(set(types.values()))}


def check_types(path: Path, precision: Precision) -> dict[str, tuple[str, ...]]:
    """Names of the graph's tensors by type, when those are the types that `precision` means.

    Raises EvidenceError that names every problem: an input or output that is not FP32, operators whose inputs
    do not fit each other, FP16 where none was asked for, FP16 in the normalisation, the softmax or the box
    decode, and FP16 or INT8 that was asked for and not found.
    """
    model, types = load_typed(path)
    rule = _RULES[precision]
    problems = [*_edges(model.graph, types), *_conflicts(model, types), *rule(model.graph, types)]
    if problems:
        more = [f"and {len(problems) - MOST_SHOWN} more"] if len(problems) > MOST_SHOWN else []
        raise EvidenceError(
            join_problems(problems[:MOST_SHOWN] + more),
            where=str(path),
            expected=f"a graph typed as {precision} with FP32 inputs and outputs",
            remedy="choose another --converter, or export the network again",
        )
    return by_type(types)


def _name(element: int) -> str:
    import onnx

    name: str = onnx.TensorProto.DataType.Name(element)
    return _TRITON.get(name, name)


def _edges(graph: Any, types: Mapping[str, str]) -> Iterator[str]:
    for kind, values in (("input", graph.input), ("output", graph.output)):
        for value in values:
            if types[value.name] != "FP32":
                yield f"{kind} {value.name!r} is {types[value.name]}, expected FP32"


def _conflicts(model: Any, types: Mapping[str, str]) -> Iterator[str]:
    """Nodes whose operator wants inputs of one type and gets two; ONNX's own inference looks away."""
    import onnx

    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    for node in model.graph.node:
        try:
            schema = onnx.defs.get_schema(node.op_type, opset, node.domain)
        except onnx.defs.SchemaError:
            continue  # another domain's operator: its own runtime judges it
        found: dict[str, set[str]] = {}
        for index, name in enumerate(node.input):
            formal = schema.inputs[min(index, len(schema.inputs) - 1)]
            if name in types and formal.is_homogeneous and "(" not in formal.type_str:
                found.setdefault(formal.type_str, set()).add(types[name])
        for kinds in found.values():
            if len(kinds) > 1:
                yield f"{node.op_type} {node.name!r} gets {' and '.join(sorted(kinds))}, expected one type"


def _fp32(_graph: Any, types: Mapping[str, str]) -> Iterator[str]:
    halves = [name for name, kind in types.items() if kind in ("FP16", "BF16")]
    if halves:
        yield f"{len(halves)} tensors are FP16, such as {halves[0]!r}"


def _fp16(graph: Any, types: Mapping[str, str]) -> Iterator[str]:
    weights = {weight.name for weight in graph.initializer}
    read = [t for n in graph.node if n.op_type in WEIGHTED_OPERATORS for t in n.input if t in weights]
    if not any(types[name] == "FP16" for name in read):
        yield f"none of its {len(read)} weights is FP16"
    decode = set(decoding_nodes(graph))
    for node in graph.node:
        kept = node.name in decode and node.op_type != "Cast"
        if (kept or node.op_type in FP32_OPERATORS) and any(types.get(t) == "FP16" for t in node.input):
            yield f"{node.op_type} {node.name!r} computes in FP16, expected FP32"


def _int8(_graph: Any, types: Mapping[str, str]) -> Iterator[str]:
    if not any(kind in ("INT8", "UINT8") for kind in types.values()):
        yield "none of its tensors is INT8"


_RULES = {"fp32": _fp32, "fp16": _fp16, "int8": _int8}
