"""What a network's tensors look like, and the precision stage for INT8; FP16 has a module of its own.

These functions run in the export's own process (`parity.repository.worker`); they import ONNX and ONNX
Runtime themselves, so that importing this module costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from parity.errors import EvidenceError, UsageError, first_line

Precision = Literal["fp32", "fp16", "int8"]

WEIGHTED_OPERATORS = ("Conv", "Gemm", "MatMul")
"""Operators that INT8 covers. The decoding of boxes stays in floating point: one scale for pixels (0 to
256) and scores (0 to 1) together would round every score to 0, and AP falls by four fifths."""

_TYPES = {
    "tensor(float)": "FP32",
    "tensor(float16)": "FP16",
    "tensor(double)": "FP64",
    "tensor(int64)": "INT64",
    "tensor(int32)": "INT32",
    "tensor(uint8)": "UINT8",
}


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """One input or output of a network.

    datatype: Triton's name, such as FP32. dims: without the batch dimension, as they are at the network's
    input size.
    """

    name: str
    datatype: str
    dims: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Signature:
    """All inputs and outputs of a network."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def read_signature(onnx: Path, input_size: tuple[int, int]) -> Signature:
    """What a detector's ONNX file takes and gives, found by running it once on grey images.

    input_size: (height, width) in pixels. Dynamic dimensions get the values that they have at that size;
    a batch of 2 must give the same ones. Raises EvidenceError when ONNX Runtime cannot load or run the
    file, or when it is no network from one image tensor (batch, 3, height, width).
    """
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    try:
        session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's exceptions have no common base
        raise EvidenceError(
            f"ONNX Runtime cannot load it ({first_line(error)})",
            where=str(onnx),
            expected="an ONNX network that ONNX Runtime runs",
        ) from error
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[1] != 3:
        found = ", ".join(f"{node.name} {node.shape}" for node in inputs)
        raise EvidenceError(
            f"it takes {found or 'nothing'}", where=str(onnx), expected="one input (batch, 3, height, width)"
        )
    shapes = []
    for batch in (1, 2):
        grey = np.full((batch, 3, *input_size), 0.5, np.float16 if "16" in inputs[0].type else np.float32)
        try:
            answers = session.run(None, {inputs[0].name: grey})
        except Exception as error:
            raise EvidenceError(
                f"ONNX Runtime cannot run it on a batch of {batch} at {input_size} ({first_line(error)})",
                where=str(onnx),
                expected="a network with a dynamic batch dimension",
            ) from error
        shapes.append([tuple(answer.shape[1:]) for answer in answers])
    if shapes[0] != shapes[1]:
        raise EvidenceError(
            f"outputs are {shapes[0]} for batch 1 and {shapes[1]} for batch 2",
            where=str(onnx),
            expected="the same dimensions whatever the batch",
        )
    outputs = zip(session.get_outputs(), shapes[0], strict=True)
    return Signature(
        inputs=(_spec(inputs[0], (3, *input_size), onnx),),
        outputs=tuple(_spec(node, dims, onnx) for node, dims in outputs),
    )


def to_int8(source: Path, target: Path, calibration: Sequence[NDArray[np.float32]]) -> None:
    """Store the network with its weighted operators in INT8, ranges measured on the calibration tensors.

    Static quantisation with QuantizeLinear and DequantizeLinear around each operator, one scale a tensor
    from the smallest to the largest value seen: the recipe of Ultralytics' own INT8 export. calibration:
    float32 (1, 3, H, W), 0 to 1. Raises UsageError when there is none.
    """
    if not calibration:
        raise UsageError(
            "no calibration images",
            where="INT8 export",
            expected="at least one image of the data set",
            remedy="give calibration images, or choose precision fp32 or fp16",
        )
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    graph = onnx.load(str(source)).graph
    excluded = [node.name for node in graph.node if node.op_type not in WEIGHTED_OPERATORS]
    input_name = graph.input[0].name

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the package ships no types
        """Feeds the tensors one by one."""

        def __init__(self) -> None:
            self._tensors: Iterator[NDArray[np.float32]] = iter(calibration)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            """The next feed, None at the end."""
            tensor = next(self._tensors, None)
            return None if tensor is None else {input_name: tensor}

    # Nodes are excluded by name, not by type: every tensor is then calibrated, without which ONNX Runtime
    # fails on the attention's Softmax.
    quantize_static(str(source), str(target), Reader(), nodes_to_exclude=excluded)


def _spec(node: Any, dims: tuple[int, ...], onnx: Path) -> TensorSpec:
    if node.type not in _TYPES:
        raise EvidenceError(
            f"tensor {node.name!r} has type {node.type}", where=str(onnx), expected=", ".join(sorted(_TYPES))
        )
    return TensorSpec(name=node.name, datatype=_TYPES[node.type], dims=tuple(int(dim) for dim in dims))
