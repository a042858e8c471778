"""The graph that the plan was built from: precision, and operators that are known trouble."""

from __future__ import annotations

from parity.repository.check.files import inside, is_file
from parity.repository.check.findings import Notes
from parity.repository.check.graph_facts import GraphFacts
from parity.repository.check.subject import Subject, Version
from parity.repository.manifest import BuildManifest

OPSET_OF_LAYERNORM = 17
HALF = 0.5
"""Of the weights; an FP16 graph keeps a few percent in FP32, for norms and the box decode."""


def check(subject: Subject, notes: Notes) -> None:
    """Note what the graphs of a model show."""
    for version in subject.versions:
        if version.graph is None:
            _check_without(subject, version, notes)
        else:
            _check_precision(subject, version, version.graph, notes)
            _check_operators(subject, version, version.graph, notes)
            _check_integers(subject, version, version.graph, notes)
            _check_batch(subject, version, version.graph, notes)
            _check_external(subject, version, version.graph, notes)


def _asked(subject: Subject, version: Version) -> tuple[str, str] | None:
    """The precision that was asked for, and by what."""
    if version.manifest is not None:
        return version.manifest.precision, subject.manifest_file(version)
    given = (subject.parameter("precision") or "").lower()
    return (given, "the parameter `precision`") if given in ("fp16", "fp32") else None


def _check_without(subject: Subject, version: Version, notes: Notes) -> None:
    if not version.has_plan and not version.has_manifest:
        return
    if not version.has_graph:
        notes.add(
            "NO_GRAPH",
            subject.graph_file(version),
            "no such file",
            expected="the graph that the plan was built from",
            fix="keep model.onnx beside the plan; Triton passes over it",
        )
    manifest = version.manifest
    if manifest is None or manifest.precision != "fp16" or manifest.tensor_types.get("FP16"):
        return
    if manifest.half_by_flag:
        _note_flag(subject.manifest_file(version), "no tensor in FP16", manifest, notes)
    else:
        notes.add(
            "PRECISION_NOT_APPLIED",
            subject.manifest_file(version),
            "no tensor in FP16",
            expected="FP16 weights, since the precision is fp16",
            fix="convert the graph before the engine is built; TensorRT 11 has no --fp16",
        )


def _check_precision(subject: Subject, version: Version, graph: GraphFacts, notes: Notes) -> None:
    asked, share = _asked(subject, version), graph.half_share
    if asked is None or share is None or (asked[0] == "fp16") == (share >= HALF):
        return
    if asked[0] == "fp16" and version.manifest is not None and version.manifest.half_by_flag:
        found = f"{share:.0%} of the weights in 16 bits"
        _note_flag(subject.graph_file(version), found, version.manifest, notes)
        return
    notes.add(
        "PRECISION_NOT_APPLIED",
        subject.graph_file(version),
        f"{share:.0%} of the weights in 16 bits",
        expected=f"{asked[0]}, as {asked[1]} says",
        fix="convert the graph before the build: TensorRT 11 takes the graph's types, and no --fp16",
    )


def _note_flag(file: str, found: str, manifest: BuildManifest, notes: Notes) -> None:
    notes.add(
        "PRECISION_BY_FLAG",
        file,
        found,
        expected=f"fp16 by a flag of TensorRT {manifest.tensorrt_version}, as the engine's own header says",
        fix="nothing; to see which tensors are FP16, build from an FP16 graph: parity repository build",
    )


def _check_operators(subject: Subject, version: Version, graph: GraphFacts, notes: Notes) -> None:
    shown, asked = subject.graph_file(version), _asked(subject, version)
    half = (graph.half_share or 0) >= HALF or (asked is not None and asked[0] == "fp16")
    layernorms = _layernorms_in_half(version, graph, half=half)
    if layernorms:
        notes.add(
            "LAYERNORM_FP16",
            shown,
            f"{len(layernorms)} LayerNorms in single steps, first at {layernorms[0]:.60}",
            expected="LayerNormalization as one node, or its steps in FP32",
            fix="export with opset 17 or later",
        )
    if half and graph.opset < OPSET_OF_LAYERNORM:
        notes.add(
            "OPSET_OLD",
            shown,
            f"opset {graph.opset}",
            expected=f"at least {OPSET_OF_LAYERNORM} for an FP16 graph",
            fix="export with opset 17 or later",
        )
    if graph.grid_samples:
        notes.add(
            "GRIDSAMPLE_MISCOMPILE",
            shown,
            f"{graph.grid_samples} GridSample nodes",
            expected="boxes of the engine that agree with ONNX Runtime's",
            fix="compare the engine with the runner onnxruntime on the same images",
        )


def _layernorms_in_half(version: Version, graph: GraphFacts, *, half: bool) -> list[str]:
    """Names of those that square in FP16, or may: their type is not told, or a flag turned FP32 into FP16."""
    flagged = version.manifest is not None and version.manifest.half_by_flag
    kinds = ["FP16", *([""] if half else []), *(["FP32"] if flagged else [])]
    return [name for name, kind in graph.layernorms if kind in kinds]


def _check_integers(subject: Subject, version: Version, graph: GraphFacts, notes: Notes) -> None:
    wide = [tensor.name for tensor in (*graph.inputs, *graph.outputs) if tensor.datatype == "INT64"]
    if wide:
        notes.add(
            "INT64_IO",
            subject.graph_file(version),
            f"{', '.join(wide[:5])} in INT64",
            expected="FP32 or INT32",
            fix="export without these tensors, or serve with TensorRT 10 or later",
        )
    if graph.wide_constants:
        notes.add(
            "INT64_RANGE",
            subject.graph_file(version),
            f"{len(graph.wide_constants)} constants beyond 32 bits, first {graph.wide_constants[0]:.60}",
            expected="numbers within 32 bits",
            fix="export with smaller constants, or serve with TensorRT 10 or later",
        )


def _check_batch(subject: Subject, version: Version, graph: GraphFacts, notes: Notes) -> None:
    most = 1 if subject.config is None else subject.config.max_batch_size
    fixed = [t for t in (*graph.inputs, *graph.outputs) if t.dims and t.dims[0] != -1]
    if fixed and (most > 1 or (fixed[0].dims or (1,))[0] != 1):
        notes.add(
            "BATCH_FIXED",
            subject.graph_file(version),
            f"{fixed[0].name!r} is {list(fixed[0].dims or ())}",
            expected=f"a dynamic first dimension, for batches up to {most}",
            fix="export with dynamic=True",
        )


def _check_external(subject: Subject, version: Version, graph: GraphFacts, notes: Notes) -> None:
    for location in graph.external:
        path = inside(version.path, location)
        target = None if path is None else subject.reach.escape(path)
        if path is not None and target is None and is_file(path):
            continue
        missing = "which is missing, or cannot be looked at" if target is None else f"a link to {target}"
        notes.add(
            "EXTERNAL_DATA",
            subject.graph_file(version),
            f"weights in {location!r:.100}, {'out of the folder' if path is None else missing}",
            expected="a file inside the version folder",
            fix="copy the data beside the graph, or export into one file",
        )
        break
