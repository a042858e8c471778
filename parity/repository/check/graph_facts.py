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
from parity.repository.check.graph_types import FLOATING, TYPES, tensor_types
from parity.repository.check.layernorms import layernorms

_INT64 = 7
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

    weights: elements of the constants by type, of floating types only. layernorms: name of a node of each
    LayerNorm in single steps, and the type that it squares in, "" where the graph does not tell it.
    wide_constants: names of INT64 constants beyond 32 bits. external: files that weights lie in. names: class
    names of the exporter's metadata, () without. end_to_end: the exporter's word on the head, None without.
    """

    opset: int
    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]
    weights: dict[str, int]
    layernorms: tuple[tuple[str, str], ...]
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
        if kind in FLOATING:
            weights[kind] += max(0, prod(tensor.dims))
    steps = list(layernorms(nodes))
    types = tensor_types(model.graph, nodes) if steps else {}  # which take longer than all the rest
    own = {tensor.name for tensor in model.graph.initializer}
    metadata = {_text(entry.key): _text(entry.value) for entry in model.metadata_props}
    return GraphFacts(
        opset=max(
            (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0
        ),
        inputs=tuple(_tensor(value) for value in model.graph.input if value.name not in own),
        outputs=tuple(_tensor(value) for value in model.graph.output),
        weights=dict(weights),
        layernorms=tuple((_text(name), types.get(squared, "")) for name, squared in steps),
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
