"""The precision stage for FP16: converters by name, and what stays in FP32 whichever converts.

TensorRT 11 takes every type from the graph, so this is where an engine becomes FP16 or does not. The
functions run in the export's own process (`parity.repository.worker`) and import what they need themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from parity.errors import EvidenceError, first_line
from parity.repository.precision import WEIGHTED_OPERATORS

Converter = Literal["onnxruntime", "modelopt"]
CONVERTERS: tuple[Converter, ...] = get_args(Converter)
PACKAGES: dict[Converter, str] = {"onnxruntime": "onnxruntime", "modelopt": "nvidia-modelopt"}
"""The distribution that each converter comes with."""

FP32_OPERATORS = (
    "BatchNormalization",
    "GroupNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "LogSoftmax",
    "LpNormalization",
    "RMSNormalization",
    "Softmax",
)
"""Sums of squares and of exponentials, which overflow or lose small values in FP16."""

_NOISE = "noise.npz"


def to_fp16(source: Path, target: Path, converter: Converter, input_size: tuple[int, int]) -> None:
    """Store the network with FP16 weights and arithmetic.

    Inputs, outputs, FP32_OPERATORS and the box decode stay FP32. In FP16 a coordinate between 128 and 256
    lies on a grid of an eighth of a pixel, which moves every box and costs small ones AP; so what comes after
    the last weighted operators is left as it is. input_size: (height, width) of the network's input. Raises
    EvidenceError when the converter gives up.
    """
    import onnx

    model = onnx.load(str(source))
    kept = decoding_nodes(model.graph)
    try:
        converted = _FUNCTIONS[converter](source, kept, target.with_name(_NOISE), input_size)
    except Exception as error:  # the converters' exceptions have no common base
        raise EvidenceError(
            f"{converter} cannot convert it to FP16 ({first_line(error)})",
            where=str(source),
            expected="a network with FP16 weights",
            remedy="choose another --converter, or --precision fp32",
        ) from error
    onnx.helper.set_model_props(converted, {prop.key: prop.value for prop in model.metadata_props})
    onnx.save(converted, str(target))


def decoding_nodes(graph: Any) -> list[str]:
    """Names of the nodes from which no weighted operator can be reached any more: a detector's decode."""
    producers = {output: node for node in graph.node for output in node.output}
    # Walked from the weighted operators up, since a converter does not keep nodes in topological order.
    waiting = [node for node in graph.node if node.op_type in WEIGHTED_OPERATORS]
    feeding = {id(node) for node in waiting}
    while waiting:
        for name in waiting.pop().input:
            node = producers.get(name)
            if node is not None and id(node) not in feeding:
                feeding.add(id(node))
                waiting.append(node)
    return [node.name for node in graph.node if id(node) not in feeding]


def _by_onnxruntime(source: Path, kept: list[str], noise: Path, input_size: tuple[int, int]) -> Any:  # noqa: ARG001
    """onnxruntime.transformers.float16; onnxconverter-common's leaves mixed types at Resize and Cast."""
    import onnx
    from onnxruntime.transformers import float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    converted = float16.convert_float_to_float16(
        onnx.load(str(source)),
        keep_io_types=True,
        op_block_list=[*float16.DEFAULT_OP_BLOCK_LIST, *FP32_OPERATORS],
        node_block_list=kept,
    )
    _drop_round_trips(converted.graph, onnx.TensorProto)
    # The converter appends its casts at the end; ONNX wants every node after those that feed it.
    OnnxModel(converted).topological_sort(is_deterministic=True)
    return converted


def _by_modelopt(source: Path, kept: list[str], noise: Path, input_size: tuple[int, int]) -> Any:
    """NVIDIA ModelOpt's AutoCast; it also leaves in FP32 what leaves FP16's range on a picture of noise."""
    import onnx
    from modelopt.onnx.autocast import convert_to_mixed_precision

    name = onnx.load(str(source), load_external_data=False).graph.input[0].name
    # Without data of its own AutoCast takes 1 for every open dimension, at which no detector runs.
    tensor: Any = np.random.default_rng(0).random((1, 3, *input_size), dtype=np.float32)
    np.savez(noise, **{name: tensor})
    try:
        return convert_to_mixed_precision(
            onnx_path=str(source),
            low_precision_type="fp16",
            nodes_to_exclude=[f"{re.escape(node)}$" for node in kept],
            op_types_to_exclude=list(FP32_OPERATORS),
            keep_io_types=True,
            calibration_data=str(noise),
            providers=["cpu"],
        )
    finally:
        noise.unlink()


_FUNCTIONS: dict[Converter, Callable[[Path, list[str], Path, tuple[int, int]], Any]] = {
    "onnxruntime": _by_onnxruntime,
    "modelopt": _by_modelopt,
}


def _drop_round_trips(graph: Any, types: Any) -> None:
    """Connect FP32 nodes directly: the converter puts a cast to FP16 and back between any two of them."""

    def target_type(node: Any) -> int | None:
        return next((a.i for a in node.attribute if a.name == "to"), None) if node.op_type == "Cast" else None

    to_half = {node.output[0]: node.input[0] for node in graph.node if target_type(node) == types.FLOAT16}
    outputs = {output.name for output in graph.output}
    back = [n for n in graph.node if target_type(n) == types.FLOAT and n.input[0] in to_half]
    direct = {node.output[0]: to_half[node.input[0]] for node in back}
    for node in back:
        node.input[0] = to_half[node.input[0]]  # where it gives the graph's output it stays, as FP32 to FP32
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = direct.get(name, name)
    while unused := _unused(graph, outputs):
        for node in unused:
            graph.node.remove(node)


def _unused(graph: Any, outputs: set[str]) -> list[Any]:
    """Casts whose result nobody reads."""
    read = outputs | {name for node in graph.node for name in node.input}
    return [node for node in graph.node if node.op_type == "Cast" and node.output[0] not in read]
