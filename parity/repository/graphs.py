"""The graph of an engine: made of the weights in two stages, or named by whoever built the engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from parity.config import ModelConfig
from parity.errors import EvidenceError, join_problems
from parity.heads import expected_shape, shape_fits
from parity.progress import Progress
from parity.provenance import package_version, sha256_of_file
from parity.repository.builders.engine_file import look, stated_precision
from parity.repository.export import export_onnx
from parity.repository.fp16 import CONVERTERS, PACKAGES, Converter
from parity.repository.manifest import Stage, knows_flags
from parity.repository.names import check_names
from parity.repository.precision import Signature, read_signature
from parity.repository.tensor_types import by_type, check_types, load_typed

EnginePrecision = Literal["fp32", "fp16"]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """What stages 1 and 2 made, or, for an engine that exists, what is known of its graph."""

    path: Path
    weights_sha256: str
    stages: tuple[Stage, ...]
    signature: Signature
    tensor_types: dict[str, tuple[str, ...]]


def automatic_converter() -> Converter:
    """NVIDIA's ModelOpt where it is installed, else ONNX Runtime's."""
    return "modelopt" if package_version(PACKAGES["modelopt"]) else CONVERTERS[0]


def made_graph(
    model: ModelConfig,
    precision: EnginePrecision,
    converter: Converter | None,
    cache: Path,
    progress: Progress,
) -> Graph:
    """Stages 1 and 2, from the cache where it has them. converter: None for ModelOpt where it is installed.

    Raises EvidenceError for weights that are not the run file's model or a graph that is not typed as asked.
    """
    source = export_onnx(model, "fp32", cache, progress=progress)
    check_names(model, source.names)
    typed = source
    if precision != "fp32":
        converter = converter or automatic_converter()
        typed = export_onnx(model, precision, cache, progress=progress, converter=converter)
    first = Stage(name="onnx", sha256=source.sha256, seconds=source.seconds, versions=source.versions)
    second = Stage(
        name="precision",
        sha256=typed.sha256,
        seconds=0.0 if typed is source else typed.seconds,
        versions={} if typed is source else typed.versions,
    )
    return Graph(
        path=typed.path,
        weights_sha256=source.weights_sha256,
        stages=(first, second),
        signature=typed.signature,
        tensor_types=check_types(typed.path, precision),
    )


def given_graph(model: ModelConfig, engine: Path, named: Path | None) -> Graph:
    """The graph that an engine file was built from. named: by whoever built it, None for the one beside it.

    Raises EvidenceError when it is not there, or not of the model that the run file describes.
    """
    metadata, header = look(engine)
    half = stated_precision(metadata) == "fp16"
    # TensorRT 11 has no flag for FP16: Ultralytics builds from a graph that it converted into another file.
    converted = half and header.version is not None and not knows_flags(header.version)
    onnx = named or _beside(engine, converted=converted)
    if not onnx.is_file():
        raise EvidenceError(
            "no such file",
            where=str(onnx),
            expected="the ONNX that the engine was built from, as Ultralytics leaves it beside the engine",
            remedy="name it with --onnx",
        )
    digest = sha256_of_file(onnx)
    network, kinds = load_typed(onnx)
    types = by_type(kinds)
    signature = read_signature(onnx, model.input_size)
    told = {entry.key: entry.value for entry in network.metadata_props}
    problems = _problems(signature, told, model)
    if converted and not types.get("FP16"):
        problems.append(f"it has no tensor in FP16, as an FP16 engine of TensorRT {header.version} must have")
    if problems:
        raise EvidenceError(
            join_problems(problems),
            where=str(onnx),
            expected="the graph of the model that the run file describes",
            remedy="name the model that the engine is of with --model, or its graph with --onnx",
        )
    return Graph(
        path=onnx,
        weights_sha256=sha256_of_file(model.weights),
        stages=(Stage(name="onnx", sha256=digest, seconds=0.0, versions={}),),
        signature=signature,
        tensor_types=types,
    )


def _beside(engine: Path, *, converted: bool) -> Path:
    """The ONNX that Ultralytics leaves beside an engine. converted: whether it was made FP16 for it."""
    half, plain = engine.with_suffix(".fp16.onnx"), engine.with_suffix(".onnx")
    return half if converted and half.is_file() else plain


def _problems(signature: Signature, metadata: dict[str, str], model: ModelConfig) -> list[str]:
    """What a graph gives, and says of itself, against what the run file says of the model."""
    problems = []
    dims = signature.outputs[0].dims
    if not shape_fits(dims, model.head, len(model.names)):
        wanted = expected_shape(model.head, len(model.names))
        problems.append(f"its output is {list(dims)}, the head {model.head!r} gives {list(wanted)}")
    told = metadata.get("end2end")
    if told in ("True", "False") and (told == "True") != (model.head == "nms-free"):
        problems.append(f"it says end2end = {told}, which the head {model.head!r} is not")
    return problems
