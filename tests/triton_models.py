"""Networks so small that a real Triton answers them at once, with answers that tell images apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.config import ModelConfig
from parity.serving.served_model import ServedModel

SIDE = 64
ROWS = 300


def model_config(weights: Path = Path("none.pt")) -> ModelConfig:
    """What a run file would say of `steady`."""
    return ModelConfig.model_validate(
        {
            "family": "yolo26",
            "weights": weights,
            "input_size": (SIDE, SIDE),
            "resize": "letterbox",
            "head": "nms-free",
            "names": ("person", "bicycle", "car", "bus", "truck", "traffic light", "stop sign", "dog"),
        }
    )


def answer(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """What `steady` answers: its rows, scaled by the mean of each image."""
    return np.asarray(batch.mean(axis=(1, 2, 3))[:, None, None] * _rows()[None], np.float32)


def served(folder: Path, *names: str) -> list[ServedModel]:
    """Those of `steady` and of those that have one fault each.

    `nan`: one row is not finite. `wide`: seven columns. `liar`: seven, and its configuration says six.
    `half`: FP16 input.
    """
    rows = _rows()
    spoilt = rows.copy()
    spoilt[3, 0] = np.nan
    wide = np.concatenate([rows, rows[:, :1]], axis=1)
    kinds = {"steady": rows, "nan": spoilt, "wide": wide, "liar": wide, "half": rows}
    found = []
    for name in names:
        path = folder / f"{name}.onnx"
        path.write_bytes(_network(kinds[name], half=name == "half"))
        config = _config(name, 7 if name == "wide" else 6, "TYPE_FP16" if name == "half" else "TYPE_FP32")
        found.append(ServedModel(name=name, onnx=path, config=config))
    return found


def _rows() -> NDArray[np.float32]:
    """A few detections with scores over 0; the rest is empty."""
    rows = np.zeros((ROWS, 6), np.float32)
    for i in range(8):
        rows[i] = [i, i, i + 20, i + 30, 1 - i / 10, i]
    return rows


def _network(rows: NDArray[np.float32], *, half: bool) -> bytes:
    from onnx import TensorProto, checker, helper, numpy_helper

    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    nodes: list[Any] = [helper.make_node("Cast", ["images"], ["single"], to=TensorProto.FLOAT)]
    nodes += [
        helper.make_node("ReduceMean", ["single", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "last"], ["column"]),
        helper.make_node("Mul", ["column", "rows"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", kind, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["n", *rows.shape])],
        [
            numpy_helper.from_array(rows[None], "rows"),
            numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes"),
            numpy_helper.from_array(np.array([1, 2], np.int64), "last"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def _config(name: str, columns: int, kind: str) -> str:
    return f"""
name: "{name}"
backend: "python"
max_batch_size: 8
input {{ name: "images" data_type: {kind} dims: [3, {SIDE}, {SIDE}] }}
output {{ name: "output0" data_type: TYPE_FP32 dims: [{ROWS}, {columns}] }}
instance_group {{ count: 1 kind: KIND_CPU }}
dynamic_batching {{ max_queue_delay_microseconds: 100 }}
"""
