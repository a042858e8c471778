"""A repository that checks clean, in parts that a test can change before or after they are written."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from parity.config import RunFile, validate
from parity.repository.check import Request, Target
from tests.build_samples import NAMES, manifest

PRODUCTION = Path(__file__).resolve().parents[1] / "model_repository"
WEIGHTS = b"not really weights"
TARGET = Target(tensorrt="11.0", compute_capability="9.0")


def plan(
    version: Sequence[int] = (11, 0, 0, 7), *, tag: bytes = b"ftrt", serialization: int = 0, size: int = 400
) -> bytes:
    """Bytes laid out as a plan is: tag, serialisation, two numbers, size, version, and a body."""
    header = tag + struct.pack("<IIIQ", serialization, 2, 0, size) + bytes(version)
    return header + bytes(i % 251 for i in range(size - len(header)))


def graph(
    nodes: Sequence[Any] = (),
    *,
    weights: int = TensorProto.FLOAT16,
    opset: int = 17,
    batch: str | int = "batch",
    output: Sequence[str | int] = (300, 6),
    names: Sequence[str] = NAMES,
    end_to_end: bool | None = True,
    constants: Sequence[Any] = (),
) -> Any:
    """A small graph with a detector's tensors; `nodes` are added to its one convolution."""
    kernel = helper.make_tensor("kernel", weights, [8, 3, 3, 3], [0.5] * 216)
    first = helper.make_node("Conv", ["images", "kernel"], ["features"])
    made = helper.make_graph(
        [first, *nodes, helper.make_node("Identity", ["features"], ["output0"])],
        "detector",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, "height", "width"])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [batch, *output])],
        [kernel, *constants],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)])
    metadata = {"names": str(dict(enumerate(names)))}
    if end_to_end is not None:
        metadata["end2end"] = str(end_to_end)
    helper.set_model_props(model, metadata)
    return model


@dataclass
class Sample:
    """What is written. Digests in the manifest and in the evidence are taken from the other parts."""

    name: str = "yolo26"
    config: str = ""
    labels: str = "".join(f"{name}\n" for name in NAMES)
    plan: bytes = field(default_factory=plan)
    graph: Any = field(default_factory=graph)
    manifest: dict[str, Any] = field(default_factory=lambda: manifest().model_dump(mode="json"))
    categories: Sequence[str] = NAMES
    run_model: dict[str, Any] = field(default_factory=dict)
    run_name: str = ""
    request: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.config = (PRODUCTION / self.name / "config.pbtxt").read_text("utf-8")
        self.run_name = self.name
        rtdetr = self.name == "rtdetr"
        self.run_model = {
            "family": self.name,
            "weights": "weights.pt",
            "input_size": [256, 256],
            "resize": "stretch" if rtdetr else "letterbox",
            "head": "rtdetr" if rtdetr else "nms-free",
            "names": list(NAMES),
        }
        self.manifest |= {"model": self.name}
        if rtdetr:
            self.graph = graph(output=("queries", 6), end_to_end=False)
            self.manifest |= {"family": "rtdetr", "head": "rtdetr", "resize": "stretch"}
            self.manifest["outputs"][0]["dims"] = [100, 6]

    def replace(self, old: str, new: str, count: int = -1) -> None:
        """Change the configuration's text."""
        assert old in self.config
        self.config = self.config.replace(old, new, count)

    def write(self, folder: Path) -> Request:
        """Write everything; what to check, and how."""
        model = folder / "repository" / self.name
        version = model / "1"
        version.mkdir(parents=True)
        (model / "config.pbtxt").write_text(self.config, "utf-8")
        (model / "labels.txt").write_text(self.labels, "utf-8")
        network = self.graph if isinstance(self.graph, bytes) else self.graph.SerializeToString()
        (version / "model.onnx").write_bytes(network)
        (version / "model.plan").write_bytes(self.plan)
        (folder / "weights.pt").write_bytes(WEIGHTS)
        document = {
            **self.manifest,
            "weights_sha256": _sha256(WEIGHTS),
            "onnx_sha256": _sha256(network),
            "plan_sha256": _sha256(self.plan),
        }
        (version / "build.json").write_text(json.dumps(document), "utf-8")
        categories = [{"id": i + 1, "name": name} for i, name in enumerate(self.categories)]
        (folder / "instances.json").write_text(json.dumps({"images": [], "categories": categories}), "utf-8")
        write_report(folder, self.name, config=_sha256(self.config.encode()), engine=_sha256(self.plan))
        return Request(
            **{
                "repository": folder / "repository",
                "run_file": self.run_file(folder),
                "target": TARGET,
                "reports": folder / "reports",
                **self.request,
            }
        )

    def run_file(self, folder: Path) -> RunFile:
        """A run file with this one model, its paths absolute."""
        return validate(
            RunFile,
            {
                "dataset": "made",
                "datasets": {"made": {"path": str(folder / "instances.json")}},
                "models": {self.run_name: {**self.run_model, "weights": str(folder / "weights.pt")}},
                "reference": {"runner": "ultralytics"},
                "candidate": {"runner": "triton"},
            },
        )


def write_report(folder: Path, model: str, *, config: str, engine: str, weights: str = "") -> None:
    """The part of a run's report.json that a check reads."""
    candidate = {"engine_sha256": engine, "embedded": {"production_config_sha256": config}}
    provenance = {"candidate": candidate, "reference": {"weights_sha256": weights or _sha256(WEIGHTS)}}
    path = folder / "reports" / "run" / "report.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"pairs": [{"model": model, "provenance": provenance}]}), "utf-8")


def decomposed_layernorm(*, in_single: bool = False) -> list[Any]:
    """The nodes of a LayerNorm as exporters before opset 17 write it."""
    kind = TensorProto.FLOAT if in_single else TensorProto.FLOAT16
    return [helper.make_node("Cast", ["features"], ["x"], to=kind), *layernorm_steps()]


def layernorm_steps() -> list[Any]:
    """From a tensor `x` to its variance."""
    return [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[-1]),
        helper.make_node("Sub", ["x", "mean"], ["centred"]),
        helper.make_node("Pow", ["centred", "two"], ["square"]),
        helper.make_node("ReduceMean", ["square"], ["variance"], axes=[-1], name="/norm/ReduceMean_1"),
    ]


def external(location: str) -> Any:
    """A constant whose values lie in another file."""
    tensor = TensorProto(name="outside", data_type=TensorProto.FLOAT16, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def integers(*values: int) -> Any:
    """An INT64 constant."""
    return numpy_helper.from_array(np.array(values, np.int64), "integers")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
