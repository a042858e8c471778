"""From weights to a plan in the repository: weights -> ONNX -> precision -> engine -> `build.json`.

The first two stages are kept in the cache under the digest of everything that they depend on. The engine is
always built anew, since two builds of one graph may differ; it replaces the former version only when it, its
graph and its manifest are there.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import cast

from parity.config import ModelConfig, RunFile
from parity.errors import UsageError
from parity.files import folder_whole
from parity.progress import Progress
from parity.provenance import sha256_of_file
from parity.repository.builders import BUILDERS, Built, Job, ToDo, Wish, choose
from parity.repository.builders.engine_file import check_plan
from parity.repository.config_pbtxt import CONFIG_NAME
from parity.repository.fp16 import Converter
from parity.repository.graphs import EnginePrecision, Graph, given_graph, made_graph
from parity.repository.lock import exclusive
from parity.repository.manifest import (
    MANIFEST_NAME,
    ONNX_NAME,
    PLAN_NAMES,
    BatchProfile,
    BuildManifest,
    Runtime,
    Stage,
    Tensor,
    write_manifest,
)
from parity.repository.precision import TensorSpec

BUILDS = "builds"
"""Folder beside the model repository for what Triton shall not see."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was asked for. converter: None for ModelOpt where it is installed.

    builder: None for what is at hand. repository: where engines go, None for the run file's repository, or,
    for TensorRT-RTX, a folder beside it. onnx: the graph that an engine which exists was built from.
    """

    precision: EnginePrecision
    converter: Converter | None
    builder: str | None
    profile: BatchProfile
    workspace_mib: int | None
    wish: Wish
    repository: Path | None
    version: int
    onnx: Path | None
    image: str
    cache: Path


@dataclass(frozen=True, kw_only=True)
class Placed:
    """An engine in its place. folder: the version's. plan: the file."""

    folder: Path
    plan: Path
    manifest: BuildManifest


def build(run_file: RunFile, name: str, options: Options, progress: Progress) -> Placed | ToDo:
    """Build the engine of one model and put it in its place, or say what somebody else has to run.

    Raises EvidenceError for weights, a graph or an engine that do not fit the run file, UsageError for
    options that do not, RunnerError when a builder is not at hand or fails. The former version is untouched
    then.
    """
    model = run_file.models[name]
    options.cache.mkdir(parents=True, exist_ok=True)
    if options.wish.engine and options.builder not in (None, "engine-file"):
        raise UsageError("an engine that exists", where="--engine", expected="--builder engine-file, or none")
    # Chosen first: what cannot be built here need not be exported.
    chosen = choose(options.wish, options.builder)
    builder = chosen.name
    runtime = BUILDERS[builder].runtime
    target = _target(run_file, name, options, runtime)
    graph = _graph(model, builder, options, progress)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=options.cache) as folder:
        job = Job(
            name=name,
            config=model,
            onnx=graph.path,
            input_name=graph.signature.inputs[0].name,
            profile=options.profile,
            workspace_mib=options.workspace_mib,
            wish=options.wish,
            image=options.image,
            handover=run_file.model_repository.parent / BUILDS / "container" / name,
            work=Path(folder),
        )
        built = BUILDERS[builder].build(job, progress)
        if isinstance(built, ToDo):
            return replace(built, passed_over=chosen.passed_over)
        manifest = _manifest(name, model, builder, runtime, options, graph, built)
        _place(built.plan, graph.path, manifest, target, options.cache)
    return Placed(folder=target, plan=target / PLAN_NAMES[runtime], manifest=manifest)


def default_repository(production: Path, runtime: Runtime) -> Path:
    """Where engines of this runtime go when nobody says otherwise. production: Triton's model repository."""
    return production if runtime == "tensorrt" else production.parent / BUILDS / runtime


def _graph(model: ModelConfig, builder: str, options: Options, progress: Progress) -> Graph:
    if builder == "engine-file":
        return given_graph(model, cast("Path", options.wish.engine), options.onnx)
    return made_graph(model, options.precision, options.converter, options.cache, progress)


def _target(run_file: RunFile, name: str, options: Options, runtime: Runtime) -> Path:
    """The version's folder. Raises UsageError for a plan that Triton would take for TensorRT's."""
    usual = default_repository(run_file.model_repository, runtime)
    folder = (options.repository or usual) / name
    if runtime == "tensorrt-rtx" and (folder / CONFIG_NAME).exists():
        raise UsageError(
            f"{folder} is a model of Triton's repository, and Triton loads no plan of TensorRT-RTX",
            where="--out",
            expected="a folder without config.pbtxt",
            remedy=f"leave --out away, which writes to {usual}",
        )
    return folder / str(options.version)


def _manifest(
    name: str,
    model: ModelConfig,
    builder: str,
    runtime: Runtime,
    options: Options,
    graph: Graph,
    built: Built,
) -> BuildManifest:
    plan = sha256_of_file(built.plan)
    engine = Stage(name="engine", sha256=plan, seconds=built.seconds, versions=built.versions)
    return BuildManifest(
        model=name,
        family=model.family,
        head=model.head,
        resize=model.resize,
        input_size=model.input_size,
        names=model.names,
        precision=_precision(builder, options, graph, built),
        runtime=runtime,
        builder=builder,
        weights_sha256=graph.weights_sha256,
        onnx_sha256=graph.stages[-1].sha256,
        plan_sha256=plan,
        stages=(*graph.stages, engine),
        inputs=_tensors(graph.signature.inputs),
        outputs=_tensors(graph.signature.outputs),
        profile=built.profile or options.profile,
        tensor_types=graph.tensor_types,
        tensorrt_version=built.tensorrt_version,
        driver_version=built.driver,
        gpu=built.gpu,
        compute_capabilities=built.capabilities,
        finished=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        seconds=built.seconds,
        command=built.command,
    )


def _precision(builder: str, options: Options, graph: Graph, built: Built) -> EnginePrecision:
    """What the engine was asked to be; one that exists says it itself, or else its graph does."""
    if built.precision is not None:
        return cast("EnginePrecision", built.precision)
    if builder == "engine-file":
        return "fp16" if graph.tensor_types.get("FP16") else "fp32"
    return options.precision


def _tensors(specs: Iterable[TensorSpec]) -> tuple[Tensor, ...]:
    return tuple(Tensor(name=spec.name, datatype=spec.datatype, dims=spec.dims) for spec in specs)


def _place(plan: Path, onnx: Path, manifest: BuildManifest, target: Path, cache: Path) -> None:
    """Put plan, graph and manifest in the version's folder, all or none; what else lies there stays."""
    if manifest.runtime == "tensorrt":
        check_plan(plan, plan)
    ours = {MANIFEST_NAME, ONNX_NAME, *PLAN_NAMES.values()}
    lock = hashlib.sha256(str(target).encode()).hexdigest()[:24]
    with exclusive(cache / "builds" / f"{lock}.lock"), folder_whole(target) as part:
        for other in target.iterdir() if target.is_dir() else ():
            if other.name not in ours:
                shutil.copytree(other, part / other.name) if other.is_dir() else shutil.copy2(other, part)
        shutil.copyfile(onnx, part / ONNX_NAME)
        shutil.copyfile(plan, part / PLAN_NAMES[manifest.runtime])
        write_manifest(manifest, part / MANIFEST_NAME)
