"""Faults of a repository, each with the codes that a check finds, and nothing but them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx import TensorProto, helper

from parity.repository.check import Target
from tests import repository_samples as made
from tests.build_samples import NAMES
from tests.repository_samples import Sample


@dataclass(frozen=True)
class Case:
    """A fault. before: put into the parts, after: put into what was written. line: text of the line shown."""

    codes: str
    before: Callable[[Sample], Any] | None = None
    after: Callable[[Path], Any] | None = None
    line: str = ""
    name: str = "yolo26"


def text(codes: str, old: str, new: str, line: str | None = None) -> Case:
    """A fault in config.pbtxt; the line shown is the one that was changed, unless it is given."""
    shown = new.strip().splitlines()[0] if line is None and new.strip() else line or ""
    return Case(codes, before=lambda s: s.replace(old, new), line=shown)


def version(root: Path) -> Path:
    (found,) = (root / "repository").glob("*/1")
    return found


def setting(**values: Any) -> Callable[[Sample], None]:
    def change(sample: Sample) -> None:
        for name, value in values.items():
            setattr(sample, name, value)

    return change


def building(**values: Any) -> Callable[[Sample], None]:
    return lambda sample: sample.manifest.update(values)


def asking(**values: Any) -> Callable[[Sample], None]:
    return lambda sample: sample.request.update(values)


def both(*changes: Callable[[Sample], Any]) -> Callable[[Sample], None]:
    def change(sample: Sample) -> None:
        for each in changes:
            each(sample)

    return change


def removing(*names: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        for name in names:
            (version(root) / name).unlink()

    return change


def parameter(key: str, value: str) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'


def rtx(sample: Sample) -> None:
    sample.plan = made.plan((1, 7, 1, 116), tag=b"vtrt")
    sample.manifest["runtime"] = "tensorrt-rtx"


def flagged(sample: Sample) -> None:
    """An engine that Ultralytics built as FP16 with TensorRT 10."""
    sample.plan = made.plan((10, 13, 3, 9))
    sample.manifest |= {"builder": "engine-file", "tensorrt_version": "10.13.3.9"}
    sample.request["target"] = Target(tensorrt="10.13", compute_capability="9.0")


def made_in_single(sample: Sample) -> None:
    sample.graph = made.graph(weights=TensorProto.FLOAT)


def ends_of_another_graph(sample: Sample) -> None:
    ends = sample.graph.graph
    ends.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    ends.output[0].name = "boxes"


def rename(root: Path, old: str, new: str) -> Path:
    return (version(root) / old).rename(version(root) / new)


def tensor(name: str, datatype: str, *dims: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "dims": list(dims)}


def empty_repository(root: Path) -> None:
    (root / "repository").rename(root / "elsewhere")
    (root / "repository").mkdir()


def linked_out(name: str) -> Callable[[Path], None]:
    """The file or folder of the version lies outside of the repository, and a link takes its place."""

    def change(root: Path) -> None:
        place = Path(os.path.normpath(version(root) / name))
        place.rename(root / "elsewhere")
        place.symlink_to(root / "elsewhere")

    return change


def many_folders(root: Path) -> None:
    for i in range(9):
        (version(root).parent / f"v{i}").mkdir()


def dangling(root: Path) -> None:
    for name in ("model.onnx", "build.json", "model.plan"):
        (version(root) / name).unlink()
    (version(root) / "model.plan").symlink_to("/srv/engines/none.plan")


def header(root: Path) -> None:
    metadata = json.dumps({"description": "Ultralytics YOLO26n", "names": {"0": "person"}}).encode()
    path = version(root) / "model.plan"
    path.write_bytes(len(metadata).to_bytes(4, "little") + metadata + path.read_bytes())


def write(name: str, data: bytes) -> Callable[[Path], Any]:
    return lambda root: (version(root) / name).write_bytes(data)


def cut(name: str, length: int) -> Callable[[Path], None]:
    return lambda root: os.truncate(version(root) / name, length)


def pipe(name: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        (version(root) / name).unlink()
        os.mkfifo(version(root) / name)

    return change


BATCHING = "dynamic_batching {\n  preferred_batch_size: [ 4, 8 ]\n  max_queue_delay_microseconds: 2000\n}"
BATCHED_OUTPUT = "dims: [ 8, 300, 6 ]"
TWO_OUTPUTS = 'output { name: "output1" data_type: TYPE_FP32 dims: [ 300 ] }\noutput {'
WARM = "value { data_type: TYPE_FP32 dims: [ 3, 256, 256 ] zero_data: true }"
NAMES_LINE = '"person,bicycle,car,bus,truck,traffic light,stop sign,dog"'
ONE_TO_MANY = {"head": "one-to-many", "outputs": [tensor("output0", "FP32", 12, 1344)]}

CASES: dict[str, Case] = {
    # The folders.
    "no models": Case("NO_MODELS MODEL_MISSING", after=empty_repository),
    "model of another name": Case(
        "NAME_MISMATCH MODEL_MISSING MANIFEST_MODEL NOT_IN_RUN_FILE NO_EVIDENCE",
        after=lambda root: version(root).parent.rename(root / "repository" / "yolo27"),
    ),
    "not in the run file": Case("NOT_IN_RUN_FILE MODEL_MISSING", before=setting(run_name="other")),
    "not in the run file, chosen": Case(
        "NOT_IN_RUN_FILE", before=both(setting(run_name="other"), asking(models=("yolo26",)))
    ),
    "no configuration": Case(
        "NO_CONFIG", after=lambda root: (version(root).parent / "config.pbtxt").unlink()
    ),
    "no version": Case("NO_VERSION", after=lambda root: version(root).rename(root / "away")),
    "version zero": Case(
        "VERSION_NAME NO_VERSION", after=lambda root: version(root).rename(version(root).parent / "01")
    ),
    "a folder beside": Case("VERSION_NAME", after=lambda root: (version(root).parent / "latest").mkdir()),
    "many folders beside": Case("VERSION_NAME", after=many_folders),
    "version policy": text(
        "VERSION_POLICY",
        "latest { num_versions: 1 }",
        "specific { versions: [ 3 ] }",
        "version_policy { specific { versions: [ 3 ] } }",
    ),
    "not built": Case("PLAN_NOT_BUILT", after=removing("model.plan", "model.onnx", "build.json")),
    "plan lost": Case("PLAN_MISSING", after=removing("model.plan")),
    "plan of a GPU lost": Case(
        "PLAN_MISSING",
        before=lambda s: s.replace(
            "max_batch_size: 8", 'max_batch_size: 8\ncc_model_filenames { key: "9.0" value: "h100.plan" }'
        ),
    ),
    "plan name leaves": text(
        "UNSAFE_PATH", "max_batch_size: 8", 'default_model_filename: "../../x.plan"\nmax_batch_size: 8'
    ),
    "a name that no file can have": Case(
        "UNSAFE_PATH", before=lambda s: s.replace('"labels.txt"', '"' + "x" * 5000 + '"')
    ),
    "labels leave": text(
        "UNSAFE_PATH", '"labels.txt"', '"../../../weights.pt"', 'label_filename: "../../../weights.pt"'
    ),
    "labels leave through a link": Case("UNSAFE_PATH", after=linked_out("../labels.txt")),
    "plan leaves through a link": Case("UNSAFE_PATH", after=linked_out("model.plan")),
    "graph leaves through a link": Case("UNSAFE_PATH", after=linked_out("model.onnx")),
    "manifest leaves through a link": Case("UNSAFE_PATH", after=linked_out("build.json")),
    "configuration leaves through a link": Case("UNSAFE_PATH", after=linked_out("../config.pbtxt")),
    "version leaves through a link": Case("UNSAFE_PATH", after=linked_out("")),
    "model leaves through a link": Case("UNSAFE_PATH", after=linked_out("..")),
    "plan of a GPU leaves through a link": Case(
        "UNSAFE_PATH",
        before=lambda s: s.replace(
            "max_batch_size: 8", 'max_batch_size: 8\ncc_model_filenames { key: "9.0" value: "h100.plan" }'
        ),
        after=lambda root: (version(root) / "h100.plan").symlink_to(root / "instances.json"),
    ),
    "plan is a link to nothing": Case("PLAN_MISSING", after=dangling),
    "plan is a pipe": Case("UNREADABLE", after=pipe("model.plan")),
    "graph is a pipe": Case("UNREADABLE", after=pipe("model.onnx")),
    "manifest is a pipe": Case("UNREADABLE", after=pipe("build.json")),
    "no data set": Case("UNREADABLE", after=lambda root: (root / "instances.json").write_text("[]")),
    "configuration in Latin-1": Case(
        "UNREADABLE EVIDENCE_DRIFT",
        after=lambda root: (version(root).parent / "config.pbtxt").write_bytes(b"# \xe9"),
    ),
    # The plan.
    "engine header": Case("ENGINE_HEADER PLAN_DIGEST EVIDENCE_DRIFT", after=header),
    "engine header, digested so": Case("ENGINE_HEADER", before=setting(plan=b"\x02\0\0\0{}" + made.plan())),
    "an ONNX for a plan": Case("NOT_A_PLAN", before=setting(plan=made.graph().SerializeToString())),
    "an empty plan": Case("NOT_A_PLAN PLAN_DIGEST EVIDENCE_DRIFT", after=write("model.plan", b"")),
    "plan cut off": Case("PLAN_TRUNCATED PLAN_DIGEST EVIDENCE_DRIFT", after=cut("model.plan", 399)),
    "plan cut off, digested so": Case("PLAN_TRUNCATED", before=setting(plan=made.plan()[:-1])),
    "plan cut off in the header": Case("PLAN_TRUNCATED", before=setting(plan=made.plan()[:9])),
    "unknown serialisation": Case("PLAN_OPAQUE", before=setting(plan=made.plan(serialization=7))),
    "TensorRT-RTX": Case(
        "PLAN_RUNTIME",
        before=rtx,
    ),
    "TensorRT-RTX by its header": Case("PLAN_RUNTIME", before=setting(plan=made.plan(tag=b"vtrt"))),
    "TensorRT-RTX by its manifest": Case("PLAN_RUNTIME", before=building(runtime="tensorrt-rtx")),
    "TensorRT-RTX under its own name": Case(
        "PLAN_RUNTIME", before=rtx, after=lambda root: rename(root, "model.plan", "model.rtx.plan")
    ),
    "TensorRT-RTX under its own name, damaged": Case(
        "PLAN_RUNTIME PLAN_DIGEST",
        before=rtx,
        after=lambda root: rename(root, "model.plan", "model.rtx.plan").write_bytes(b"vtrt"),
    ),
    # The manifest.
    "no manifest": Case("NO_MANIFEST", after=removing("build.json")),
    "damaged manifest": Case("MANIFEST_INVALID", after=write("build.json", b'{"format": 1}')),
    "manifest of another resize": Case("METADATA", before=building(resize="stretch")),
    "manifest of another head": Case("METADATA", before=building(head="one-to-many")),
    "manifest of another model": Case("MANIFEST_MODEL", before=building(model="yolo11")),
    "another plan": Case("PLAN_DIGEST EVIDENCE_DRIFT", after=write("model.plan", made.plan()[:-1] + b"\0")),
    "another graph": Case("ONNX_DIGEST", after=write("model.onnx", made.graph(opset=18).SerializeToString())),
    "other weights": Case("WEIGHTS_DIGEST", after=lambda root: (root / "weights.pt").write_bytes(b"new")),
    "weights not here": Case("WEIGHTS_UNKNOWN", after=lambda root: (root / "weights.pt").unlink()),
    "another TensorRT": Case(
        "ENGINE_MISMATCH", before=asking(target=Target(tensorrt="10.13", compute_capability="9.0"))
    ),
    "another TensorRT, old header": Case(
        "ENGINE_MISMATCH PLAN_OPAQUE",
        before=both(setting(plan=made.plan(serialization=7)), asking(target=Target(tensorrt="10.13"))),
    ),
    "header against manifest": Case(
        "ENGINE_MISMATCH",
        before=both(building(tensorrt_version="10.13.3"), asking(target=Target(compute_capability="9.0"))),
    ),
    "another GPU": Case(
        "ENGINE_MISMATCH", before=asking(target=Target(tensorrt="11", compute_capability="8.9"))
    ),
    "no target": Case("NO_TARGET", before=asking(target=Target())),
    # The configuration.
    "not a configuration": text("CONFIG_PARSE", "max_batch_size: 8", "max_batch_sizes: 8"),
    "another name": text("NAME_MISMATCH", 'name: "yolo26"', 'name: "yolo27"'),
    "another platform": text(
        "NOT_TENSORRT", "tensorrt_plan", "onnxruntime_onnx", 'platform: "onnxruntime_onnx"'
    ),
    "another backend": text("NOT_TENSORRT", 'platform: "tensorrt_plan"', 'backend: "python"'),
    "a backend for a platform": text("NOT_TENSORRT", '"tensorrt_plan"', '"tensorrt"', 'platform: "tensorrt"'),
    "an instance kind without a name": text("INSTANCE_KIND", "kind: KIND_GPU", "kind: 99"),
    "no platform": text("NOT_TENSORRT", 'platform: "tensorrt_plan"', ""),
    "on the CPU": text("INSTANCE_KIND", "kind: KIND_GPU", "kind: KIND_CPU"),
    "no batches": Case(
        "BATCH_CONFIG",
        before=lambda s: s.replace("max_batch_size: 8", "max_batch_size: 0"),
        line="max_batch_size: 0",
    ),
    "fewer than no batches": text("BATCH_CONFIG", "max_batch_size: 8", "max_batch_size: -3"),
    "batch over the profile": Case(
        "BATCH_CONFIG",
        before=both(
            lambda s: s.replace("max_batch_size: 8", "max_batch_size: 16"),
            lambda s: s.replace("batch_size: 8\n  inputs", "batch_size: 16\n  inputs"),
        ),
        line="max_batch_size: 16",
    ),
    "profile from 2": Case("BATCH_CONFIG", before=building(profile={"min": 2, "opt": 4, "max": 8})),
    "input repeats the batch": text(
        "BATCH_CONFIG WARMUP_INVALID WARMUP_INVALID", "  dims: [ 3, 256, 256 ]", "  dims: [ 8, 3, 256, 256 ]"
    ),
    "output repeats the batch": text("BATCH_CONFIG", "dims: [ 300, 6 ]", BATCHED_OUTPUT),
    "batch under the profile": Case("BATCH_UNUSED", before=building(profile={"min": 1, "opt": 4, "max": 16})),
    "no batching": text("NO_BATCHING", BATCHING, ""),
    "sequences": text("NO_BATCHING", BATCHING, "sequence_batching { }"),
    "preferred over the maximum": text(
        "BATCHING_PREFERRED", "[ 4, 8 ]", "[ 4, 16 ]", "preferred_batch_size: [ 4, 16 ]"
    ),
    "no warm-up at 8": text("COLD_START", "batch_size: 8\n  inputs", "batch_size: 4\n  inputs", ""),
    "warm-up over the maximum": text(
        "WARMUP_INVALID COLD_START", "batch_size: 8\n  inputs", "batch_size: 9\n  inputs", ""
    ),
    "warm-up of another input": Case(
        "WARMUP_INVALID", before=lambda s: s.replace('key: "images"', 'key: "image"', 1)
    ),
    "warm-up of another type": Case(
        "WARMUP_INVALID", before=lambda s: s.replace(WARM, WARM.replace("FP32", "FP16"), 1)
    ),
    "response cache": text(
        "RESPONSE_CACHE", "max_batch_size: 8", "response_cache { enable: true }\nmax_batch_size: 8"
    ),
    "no head told": text("METADATA_MISSING", 'key: "head"', 'key: "header"', parameter("header", "nms-free")),
    "another head told": text("METADATA", '"nms-free"', '"one-to-many"', parameter("head", "one-to-many")),
    "another size told": text("METADATA", '"256x256"', '"640x640"', parameter("input_size", "640x640")),
    "another resize told": text("METADATA", '"letterbox"', '"stretch"', parameter("resize", "stretch")),
    "other names told": text("METADATA", NAMES_LINE, '"person,dog"', 'value { string_value: "person,dog" }'),
    "no labels": Case("LABELS", after=lambda root: (version(root).parent / "labels.txt").unlink()),
    "labels not named": text("LABELS", '  label_filename: "labels.txt"\n', "", "output {"),
    "a label too few": Case("LABELS", before=setting(labels="person\nbicycle\n")),
    "labels in another order": Case(
        "LABELS", before=setting(labels="".join(f"{name}\n" for name in NAMES[::-1]))
    ),
    # The contract.
    "another input": text("IO_NAME WARMUP_INVALID WARMUP_INVALID", '  name: "images"', '  name: "image"'),
    "another output": text("IO_NAME", 'name: "output0"', 'name: "boxes"'),
    "half input": text(
        "IO_DTYPE WARMUP_INVALID WARMUP_INVALID",
        '"images"\n  data_type: TYPE_FP32',
        '"images"\n  data_type: TYPE_FP16',
        "data_type: TYPE_FP16",
    ),
    "half output in the engine": Case(
        "IO_DTYPE", before=building(outputs=[tensor("output0", "FP16", 300, 6)])
    ),
    "other dims": text("IO_SHAPE", "dims: [ 300, 6 ]", "dims: [ 100, 6 ]"),
    "another input size": Case(
        "IO_SHAPE IO_SHAPE",
        before=lambda s: s.replace("[ 3, 256, 256 ]", "[ 3, 640, 640 ]"),
        line="dims: [ 3, 640, 640 ]",
    ),
    "no manifest, dims by the graph": Case(
        "IO_SHAPE NO_MANIFEST",
        before=lambda s: s.replace("dims: [ 300, 6 ]", "dims: [ 100, 6 ]"),
        after=removing("build.json"),
    ),
    "dims by the graph alone": Case(
        "IO_SHAPE HEAD_MISMATCH", before=setting(graph=made.graph(output=(100, 7)))
    ),
    "dims that no source has": Case(
        "IO_SHAPE IO_SHAPE",
        before=both(
            lambda s: s.replace("dims: [ 300, 6 ]", "dims: [ 200, 6 ]"),
            setting(graph=made.graph(output=(100, 6))),
        ),
        line="dims: [ 200, 6 ]",
    ),
    "names and types by the graph alone": Case("IO_NAME IO_DTYPE", before=ends_of_another_graph),
    "the other head everywhere": Case(
        "HEAD_MISMATCH HEAD_MISMATCH HEAD_MISMATCH METADATA",
        before=both(
            lambda s: s.replace("[ 300, 6 ]", "[ 12, 1344 ]"),
            building(**ONE_TO_MANY),
            setting(graph=made.graph(output=(12, "anchors"), end_to_end=False)),
        ),
        line="dims: [ 12, 1344 ]",
    ),
    "the other head by the exporter": Case(
        "HEAD_MISMATCH", before=setting(graph=made.graph(end_to_end=False))
    ),
    "two outputs": Case(
        "HEAD_MISMATCH HEAD_MISMATCH",
        before=both(
            lambda s: s.replace("output {", TWO_OUTPUTS),
            lambda s: s.manifest["outputs"].append(tensor("output1", "FP32", 300)),
            lambda s: s.graph.graph.output.append(
                helper.make_tensor_value_info("output1", TensorProto.FLOAT, ["batch", 300])
            ),
        ),
    ),
    "older RT-DETR": Case(
        "RTDETR_CONTRACT RTDETR_CONTRACT",
        before=both(
            lambda s: s.replace("[ 100, 6 ]", "[ 100, 12 ]"),
            building(outputs=[tensor("output0", "FP32", 100, 12)]),
            setting(graph=made.graph(output=("queries", 12), end_to_end=False)),
        ),
        name="rtdetr",
    ),
    "RT-DETR, neither": Case(
        "HEAD_MISMATCH HEAD_MISMATCH",
        before=both(
            lambda s: s.replace("[ 100, 6 ]", "[ 100, 7 ]"),
            building(outputs=[tensor("output0", "FP32", 100, 7)]),
            setting(graph=made.graph(output=("queries", 7), end_to_end=False)),
        ),
        name="rtdetr",
    ),
    "classes of the manifest": Case("CLASS_MAP", before=building(names=list(NAMES[::-1]))),
    "classes of the graph": Case("CLASS_MAP", before=setting(graph=made.graph(names=NAMES[:-1]))),
    "classes of the data set": Case("CLASS_MAP", before=setting(categories=[*NAMES, "cat"])),
    # The graph.
    "no graph": Case("NO_GRAPH", after=removing("model.onnx")),
    "no graph, and no half tensors": Case(
        "NO_GRAPH PRECISION_NOT_APPLIED",
        before=building(tensor_types={"FP32": ["images"]}),
        after=removing("model.onnx"),
    ),
    "no ONNX": Case("GRAPH_UNREADABLE", before=setting(graph=b"PK\x03\x04 not a graph")),
    "an empty ONNX": Case("GRAPH_UNREADABLE", before=setting(graph=b"")),
    "external data out of the folder": Case(
        "EXTERNAL_DATA", before=setting(graph=made.graph(constants=[made.external("/etc/passwd")]))
    ),
    "external data missing": Case(
        "EXTERNAL_DATA", before=setting(graph=made.graph(constants=[made.external("model.data")]))
    ),
    "FP16 not applied": Case(
        "PRECISION_NOT_APPLIED", before=setting(graph=made.graph(weights=TensorProto.FLOAT))
    ),
    "FP16 by a flag": Case("PRECISION_BY_FLAG", before=both(flagged, made_in_single)),
    "FP16 by a flag, no graph": Case(
        "NO_GRAPH PRECISION_BY_FLAG",
        before=both(flagged, building(tensor_types={"FP32": ["images"]})),
        after=removing("model.onnx"),
    ),
    "FP16 without a flag": Case(
        "PRECISION_NOT_APPLIED", before=both(building(builder="engine-file"), made_in_single)
    ),
    "FP32 asked for": Case("PRECISION_NOT_APPLIED", before=building(precision="fp32")),
    "FP16 by a parameter": Case(
        "PRECISION_NOT_APPLIED NO_MANIFEST",
        before=both(
            setting(graph=made.graph(weights=TensorProto.FLOAT)),
            lambda s: s.replace("max_batch_size: 8", "max_batch_size: 8\n" + parameter("precision", "FP16")),
        ),
        after=removing("build.json"),
    ),
    "LayerNorm in steps": Case(
        "LAYERNORM_FP16", before=setting(graph=made.graph(made.decomposed_layernorm()))
    ),
    "LayerNorm in steps, FP16 by a flag": Case(
        "LAYERNORM_FP16 PRECISION_BY_FLAG",
        before=both(
            flagged,
            setting(graph=made.graph(made.decomposed_layernorm(in_single=True), weights=TensorProto.FLOAT)),
        ),
    ),
    "LayerNorm in steps, of no known type": Case(
        "LAYERNORM_FP16", before=setting(graph=made.graph(made.layernorm_steps()))
    ),
    "LayerNorm in steps, old opset": Case(
        "LAYERNORM_FP16 OPSET_OLD", before=setting(graph=made.graph(made.decomposed_layernorm(), opset=16))
    ),
    "old opset": Case("OPSET_OLD", before=setting(graph=made.graph(opset=16))),
    "GridSample": Case(
        "GRIDSAMPLE_MISCOMPILE",
        before=setting(graph=made.graph([helper.make_node("GridSample", ["features", "g"], ["y"])])),
    ),
    "INT64 input": Case(
        "INT64_IO IO_NAME HEAD_MISMATCH",
        before=lambda s: s.graph.graph.output.append(
            helper.make_tensor_value_info("labels", TensorProto.INT64, ["batch", 300])
        ),
    ),
    "INT64 constant": Case(
        "INT64_RANGE", before=setting(graph=made.graph(constants=[made.integers(1, 2**40)]))
    ),
    "fixed batch": Case("BATCH_FIXED", before=setting(graph=made.graph(batch=1))),
    # What was measured.
    "measured with another configuration": Case(
        "EVIDENCE_DRIFT",
        after=lambda root: made.write_report(root, "yolo26", config="0" * 64, engine=""),
    ),
    "measured with other weights": Case(
        "EVIDENCE_DRIFT",
        after=lambda root: made.write_report(root, "yolo26", config="", engine="", weights="0" * 64),
    ),
    "never measured": Case("NO_EVIDENCE", after=lambda root: (root / "reports").rename(root / "old")),
}
