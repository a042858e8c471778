"""What an ONNX graph tells without being run: tensors, precision, operators that are known trouble."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from parity.repository import messages

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

_INT64, _FLOAT = 7, 1
_EXTERNAL = 1
_INT64_LIMITS = (2**63 - 1, -(2**63), -(2**63) + 1)
"""What Slice takes for "to the end": every exporter writes them, and TensorRT reads them so."""

_MOST_CONSTANTS = 1 << 20
MOST_DIMS = 64
MOST_NODES = 200_000
"""Far more than any detector has; beyond it a file is taken for something else."""
_NAME = re.compile(r"""(\d+)\s*:\s*(?:'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)")""")


@dataclass(frozen=True, kw_only=True)
class GraphTensor:
    """An input or output. dims: with the batch, -1 for any; None when the graph does not tell them."""

    name: str
    datatype: str
    dims: tuple[int, ...] | None


@dataclass(frozen=True, kw_only=True)
class GraphFacts:
    """One graph.

    weights: elements of the constants by type, of floating types only. layernorms: names of nodes where a
    LayerNorm in single steps begins that is not computed in FP32. wide_constants: names of INT64 constants
    beyond 32 bits. external: files that weights lie in. names: class names of the exporter's metadata, ()
    without. end_to_end: the exporter's word on the head, None without.
    """

    opset: int
    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]
    weights: dict[str, int]
    layernorms: tuple[str, ...]
    grid_samples: int
    wide_constants: tuple[str, ...]
    external: tuple[str, ...]
    names: tuple[str, ...]
    end_to_end: bool | None

    @property
    def half_share(self) -> float | None:
        """Which share of the weights is in 16 bits, 0 to 1; None without any weights."""
        total = sum(self.weights.values())
        return (self.weights.get("FP16", 0) + self.weights.get("BF16", 0)) / total if total else None


def read_graph(data: bytes) -> GraphFacts | None:
    """The facts of a serialised ModelProto, None when the bytes are none.

    Values of its weights may be left out (`slim_onnx`); only INT64 constants are looked into.

    Raises RunnerError when onnx is not installed.
    """
    model = messages.onnx().ModelProto()
    try:
        model.ParseFromString(data)
    except Exception:  # noqa: BLE001  # protobuf's DecodeError has no public place that all its versions share
        return None
    if not model.graph.node or not model.graph.output or not model.opset_import:
        return None
    if max(len(model.graph.node), len(model.graph.initializer), len(model.graph.input)) > MOST_NODES:
        return None
    nodes = list(_nodes(model.graph))
    constants = [*model.graph.initializer, *(tensor for node in nodes for tensor in _values(node))]
    if any(len(tensor.dims) > MOST_DIMS for tensor in constants):
        return None
    weights: Counter[str] = Counter()
    for tensor in constants:
        kind = TYPES.get(tensor.data_type, "")
        if kind in ("FP32", "FP16", "BF16", "FP64"):
            weights[kind] += max(0, prod(tensor.dims))
    own = {tensor.name for tensor in model.graph.initializer}
    metadata = {_text(entry.key): _text(entry.value) for entry in model.metadata_props}
    return GraphFacts(
        opset=max(
            (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0
        ),
        inputs=tuple(_tensor(value) for value in model.graph.input if value.name not in own),
        outputs=tuple(_tensor(value) for value in model.graph.output),
        weights=dict(weights),
        layernorms=tuple(_layernorms(nodes)),
        grid_samples=sum(node.op_type == "GridSample" for node in nodes),
        wide_constants=tuple(_text(tensor.name) for tensor in constants if _is_wide(tensor)),
        external=tuple(dict.fromkeys(_locations(constants))),
        names=_names(metadata.get("names", "")),
        end_to_end={"True": True, "False": False}.get(metadata.get("end2end", "")),
    )


def _nodes(graph: Any) -> Iterator[Any]:
    """All nodes, those inside of branches and loops too; protobuf itself limits how deep those go."""
    for node in graph.node:
        yield node
        if node.op_type in ("If", "Loop", "Scan"):
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    yield from _nodes(attribute.g)


def _values(node: Any) -> list[Any]:
    return [a.t for a in node.attribute if a.HasField("t")] if node.op_type == "Constant" else []


def _tensor(value: Any) -> GraphTensor:
    kind = value.type.tensor_type
    dims = None
    if kind.HasField("shape"):
        dims = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim)
    return GraphTensor(
        name=_text(value.name), datatype=TYPES.get(kind.elem_type, f"type {kind.elem_type}"), dims=dims
    )


def _layernorms(nodes: list[Any]) -> Iterator[str]:
    """Where x - ReduceMean(x) is squared and averaged: the variance of a LayerNorm in single steps.

    One whose input was cast to FP32 for it is sound, and left out.
    """
    made_by = {output: node for node in nodes for output in node.output}
    for node in nodes:
        if node.op_type != "ReduceMean" or not node.input:
            continue
        square = made_by.get(node.input[0])
        if square is None or not square.input:
            continue
        is_square = square.op_type == "Pow" or (square.op_type == "Mul" and len(set(square.input)) == 1)
        centred = made_by.get(square.input[0]) if is_square else None
        if centred is None or centred.op_type != "Sub" or len(centred.input) != 2:
            continue
        mean, source = made_by.get(centred.input[1]), made_by.get(centred.input[0])
        if mean is None or mean.op_type != "ReduceMean":
            continue
        if source is None or not _casts_to_single(source):
            yield _text(node.name or node.output[0])


def _casts_to_single(node: Any) -> bool:
    return node.op_type == "Cast" and any(a.name == "to" and a.i == _FLOAT for a in node.attribute)


def _is_wide(tensor: Any) -> bool:
    """Whether an INT64 constant holds a number beyond 32 bits that is not simply a limit."""
    if tensor.data_type != _INT64 or len(tensor.raw_data) > 8 * _MOST_CONSTANTS:
        return False
    values = array("q", tensor.int64_data[:_MOST_CONSTANTS])
    values.frombytes(tensor.raw_data[: len(tensor.raw_data) // 8 * 8])
    return any(not -(2**31) <= value < 2**31 and value not in _INT64_LIMITS for value in values)


def _locations(constants: list[Any]) -> Iterator[str]:
    for tensor in constants:
        if tensor.data_location == _EXTERNAL:
            yield next((_text(entry.value) for entry in tensor.external_data if entry.key == "location"), "")


def _text(value: str | bytes) -> str:
    """Protobuf gives what is no UTF-8 as bytes."""
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")


def _names(text: str) -> tuple[str, ...]:
    """Ultralytics writes a Python dict as text; it is read with a pattern, since it may say anything."""
    found = {
        int(m[1]): m[2] if m[2] is not None else m[3]
        for m in _NAME.finditer(text[: 1 << 20])
        if len(m[1]) < 9
    }
    return tuple(found[i] for i in sorted(found)) if sorted(found) == list(range(len(found))) else ()
