"""The process that exports: `python -m parity.repository.worker request.json`.

Exporting happens in a process of its own because Ultralytics and torch change global state (threads,
patched functions, log handlers) that the reference must not see, and talk on stdout. The request names
files; the answer is `answer.json` beside it, with either `names` and `signature` or an `error`.
"""

from __future__ import annotations

import dataclasses
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from parity.errors import EvidenceError, first_line
from parity.repository.fp16 import to_fp16
from parity.repository.precision import Precision, read_signature, to_int8
from parity.repository.tensor_types import check_types
from parity.repository.workers import serve

LOWEST_OPSET = 17
"""From here on LayerNormalization is one node; before, it is Pow and ReduceMean, which overflow in FP16."""


def stage_count(precision: Precision) -> int:
    """How many stages an export to this precision has."""
    return 6 if precision == "fp32" else 3


def _export(request: dict[str, Any], done: Callable[[], None]) -> dict[str, Any]:
    target = Path(request["target"])
    size = (int(request["input_size"][0]), int(request["input_size"][1]))
    answer: dict[str, Any] = {}
    if request["precision"] == "fp32":
        answer["names"] = _export_fp32(request, target, size, done)
    elif request["precision"] == "fp16":
        to_fp16(Path(request["source"]), target, request["converter"], size)
    else:
        tensors = np.load(request["calibration"], allow_pickle=False)
        to_int8(Path(request["source"]), target, [tensor[None] for tensor in tensors])
    done()
    _strip_date(target)
    check_types(target, request["precision"])
    done()
    answer["signature"] = dataclasses.asdict(read_signature(target, size))
    done()
    return answer


def _export_fp32(
    request: dict[str, Any], target: Path, size: tuple[int, int], done: Callable[[], None]
) -> list[str]:
    """Load the copied weights, check that they are what the run file says, export; the class names."""
    import ultralytics

    done()
    weights, shown = Path(request["weights"]), str(request["weights_shown"])
    family = request["family"]
    try:
        detector = (ultralytics.RTDETR if family == "rtdetr" else ultralytics.YOLO)(str(weights))
        names = [str(detector.names[index]) for index in range(len(detector.names))]
        head = type(detector.model.model[-1]).__name__
    except Exception as error:  # the loader raises many types on files that are no checkpoints
        raise EvidenceError(
            f"not weights that Ultralytics can load ({_said(error, weights, shown)})",
            where=shown,
            expected=f"an Ultralytics .pt checkpoint of a {family} detector",
        ) from error
    if (head == "RTDETRDecoder") != (family == "rtdetr"):
        raise EvidenceError(
            f"a network whose head is {head}", where=shown, expected=f"family {family!r} as the run file says"
        )
    done()
    detector.add_callback("on_export_start", lambda _exporter: done())
    arguments: dict[str, Any] = {
        "format": "onnx",
        "dynamic": True,
        "opset": request["opset"],
        "imgsz": list(size),
        "device": "cpu",
    }
    if request["head"] == "nms-free":
        arguments["nms"] = False
    elif request["head"] == "one-to-many":
        arguments["nms"] = None
    try:
        exported = Path(detector.export(**arguments))
    except Exception as error:
        traceback.print_exc()
        raise EvidenceError(
            f"Ultralytics cannot export it ({_said(error, weights, shown)})",
            where=shown,
            expected=f"a detector that exports to ONNX at {size[0]} x {size[1]}",
        ) from error
    _fix_size(exported, target, size)
    return names


def _said(error: Exception, copy: Path, shown: str) -> str:
    """The exception in one line, with the user's own file in place of the copy that was loaded."""
    return first_line(error).replace(str(copy), shown)


def _fix_size(exported: Path, target: Path, size: tuple[int, int]) -> None:
    """Store the export with its height and width fixed and everything that follows from them folded.

    Ultralytics opens the image's sides together with the batch. An engine has one input size, and a graph
    that computes with it at run time hides its output's dimensions from whoever checks them.
    """
    import onnx
    import onnxslim

    model = onnx.load(str(exported))
    opset = max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if opset < LOWEST_OPSET:
        raise EvidenceError(f"an export of opset {opset}", where=str(exported), expected=f"{LOWEST_OPSET} up")
    dims = model.graph.input[0].type.tensor_type.shape.dim
    for dim, value in zip(dims[2:], size, strict=True):
        dim.dim_value = value
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    slim = onnxslim.slim(model)
    onnx.helper.set_model_props(slim, metadata)
    onnx.save(slim, str(target))


def _strip_date(target: Path) -> None:
    """Remove the date from the metadata, so that the same export has the same digest tomorrow."""
    import onnx

    model = onnx.load(str(target))
    kept = [prop for prop in model.metadata_props if prop.key != "date"]
    if len(kept) != len(model.metadata_props):
        onnx.helper.set_model_props(model, {prop.key: prop.value for prop in kept})
        onnx.save(model, str(target))


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1], _export))
