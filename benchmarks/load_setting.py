"""What benchmarks/load.py measures on: a model that answers at once, large pictures, no server at all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from typing_extensions import Self

from benchmarks.load_bare import COLUMNS, ROWS, prepared
from parity.dataset import Dataset, ImageRecord
from parity.runners import ImageResult, RunnerContext
from parity.serving.triton import ServedModel

LARGE = 4
LARGE_INPUT = (640, 640)


def instant_model(folder: Path, name: str, size: tuple[int, int]) -> ServedModel:
    """A model of YOLO26n's tensors that reads one value of its input and answers the same rows to all."""
    from onnx import TensorProto, helper, numpy_helper

    rows = np.zeros((1, ROWS, COLUMNS), np.float32)
    rows[0, :20] = [10, 10, 60, 60, 0.9, 0]
    constants = {"begin": [0, 0, 0], "end": [1, 1, 1], "axes": [1, 2, 3], "flat": [-1, 1, 1]}
    nodes = [
        helper.make_node("Slice", ["images", "begin", "end", "axes"], ["pixel"]),
        helper.make_node("Reshape", ["pixel", "flat"], ["column"]),
        helper.make_node("Mul", ["column", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "rows"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "instant",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, *size])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["n", ROWS, COLUMNS])],
        [
            numpy_helper.from_array(rows, "rows"),
            numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
            *(numpy_helper.from_array(np.array(value, np.int64), name) for name, value in constants.items()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = folder / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    config = f"""
name: "{name}"
backend: "python"
max_batch_size: 8
input {{ name: "images" data_type: TYPE_FP32 dims: [3, {size[0]}, {size[1]}] }}
output {{ name: "output0" data_type: TYPE_FP32 dims: [{ROWS}, {COLUMNS}] }}
instance_group {{ count: 1 kind: KIND_CPU }}
"""
    return ServedModel(name=name, onnx=path, config=config)


def enlarged(
    dataset: Dataset, images: Sequence[ImageRecord], made: RunnerContext, folder: Path
) -> tuple[Dataset, RunnerContext]:
    """The images as pictures of LARGE times the size, and a context whose model takes 640 pixels."""
    records = []
    for image in images:
        pixels = cv2.imread(str(image.path), cv2.IMREAD_COLOR)
        path = folder / f"{image.image_id}.jpg"
        size = image.width * LARGE, image.height * LARGE
        cv2.imwrite(str(path), cv2.resize(np.asarray(pixels), size, interpolation=cv2.INTER_CUBIC))
        records.append(replace(image, path=path, width=size[0], height=size[1], sha256=None))
    model = made.model.model_copy(update={"input_size": LARGE_INPUT})
    return replace(dataset, images=tuple(records)), replace(made, model=model)


class InProcess:
    """The client's own work of the path to Triton, with nothing behind it."""

    def __init__(self, given: RunnerContext) -> None:
        self.model = given.model

    @property
    def endpoint(self) -> str:
        """For messages."""
        return "in process"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """There is nothing to close."""

    def encode(self, image: ImageRecord, file: bytes) -> Any:
        """What the bare loop does for a picture, and nothing else."""
        return prepared(self.model, file)

    async def send(self, payload: Any) -> None:
        """Answer at once, after a turn of the event loop."""
        await asyncio.sleep(0)

    def decode(self, image: ImageRecord, payload: Any, answer: None) -> ImageResult:
        """No boxes."""
        return ImageResult(image_id=image.image_id)
