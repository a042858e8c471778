"""Which type the tensors of a graph have, followed from its inputs and constants, node by node.

ONNX's own inference needs the whole of onnx, whose import takes a good part of a check's second, and is C++
that would read a file which nobody vouches for. Here an operator that is not known gives no type, never a
wrong one by way of an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

TYPES = {
    1: "FP32",
    2: "UINT8",
    3: "INT8",
    4: "UINT16",
    5: "INT16",
    6: "INT32",
    7: "INT64",
    8: "STRING",
    9: "BOOL",
    10: "FP16",
    11: "FP64",
    12: "UINT32",
    13: "UINT64",
    16: "BF16",
}
"""ONNX's numbers of types (onnx.proto, TensorProto.DataType) by Triton's names."""

FLOATING = ("FP32", "FP16", "BF16", "FP64")

_BOOL = "Equal Greater GreaterOrEqual Less LessOrEqual Not And Or Xor IsNaN IsInf"
_INT64 = "Shape Size ArgMax ArgMin NonZero NonMaxSuppression"
_FIXED = {
    **dict.fromkeys(_BOOL.split(), "BOOL"),
    **dict.fromkeys(_INT64.split(), "INT64"),
    **dict.fromkeys(("If", "Loop", "Scan"), ""),
}
"""Operators whose first output has one type whatever they are given; "" where only a branch tells it."""

_FROM = {"Where": 1, "CastLike": 1, "DequantizeLinear": 1, "OneHot": 2, "QuantizeLinear": 2}
"""Which input the first output has its type of, where that is not the first one."""

_BY_ATTRIBUTE = {"Cast": "to", "EyeLike": "dtype", "RandomNormal": "dtype", "RandomUniform": "dtype"}


def tensor_types(graph: Any, nodes: Iterable[Any]) -> dict[str, str]:
    """Triton's name of the type of every tensor that it can be told of. graph: ONNX's GraphProto.

    nodes: in the order in which they run, those within branches too. What the graph itself notes of a tensor
    between its ends counts only where nothing follows: converters leave old notes behind.
    """
    noted = {value.name: _name(value.type.tensor_type.elem_type) for value in graph.value_info}
    types = {value.name: _name(value.type.tensor_type.elem_type) for value in graph.input}
    types.update({tensor.name: _name(tensor.data_type) for tensor in graph.initializer})
    for node in nodes:
        for i, name in enumerate(node.output):
            kind = (_first_output(node, types) if i == 0 else "") or noted.get(name, "")
            if kind:
                types[name] = kind
    return types


def _first_output(node: Any, types: dict[str, str]) -> str:
    kind = node.op_type
    if kind in _FIXED:
        return _FIXED[kind]
    if kind in _BY_ATTRIBUTE:
        return next((_name(a.i) for a in node.attribute if a.name == _BY_ATTRIBUTE[kind]), "")
    if kind in ("Constant", "ConstantOfShape"):
        values = [_name(a.t.data_type) for a in node.attribute if a.HasField("t")]
        return values[0] if values else "FP32" if kind == "ConstantOfShape" else ""
    if kind in _FROM:
        return types.get(node.input[_FROM[kind]], "") if len(node.input) > _FROM[kind] else ""
    given = [types.get(name, "") for name in node.input]
    if given and given[0]:
        return given[0]
    # Most operators want one type of all their floating inputs, and indices and shapes are never floating.
    return next((each for each in given if each in FLOATING), "")


def _name(number: int) -> str:
    return TYPES.get(number, "")
