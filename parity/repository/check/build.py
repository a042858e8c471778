"""The plan against its manifest, its weights, and the server that it is meant for."""

from __future__ import annotations

import re
from pathlib import Path

from parity.config import ModelConfig
from parity.repository.check.files import Unreadable, is_there
from parity.repository.check.findings import Notes
from parity.repository.check.links import OutOfReach
from parity.repository.check.reading import BUILD_AGAIN
from parity.repository.check.subject import Subject, Version
from parity.repository.manifest import ONNX_NAME, BuildManifest


def check(subject: Subject, notes: Notes) -> None:
    """Note where a plan is not what its manifest, or the target, says."""
    for version in subject.versions:
        _check_header(subject, version, notes)
        if version.manifest is not None:
            _check_manifest(subject, version, version.manifest, notes)
        elif version.has_plan and not version.has_manifest:
            notes.add(
                "NO_MANIFEST",
                subject.manifest_file(version),
                "no such file",
                expected="the manifest of the plan beside it: its profile, tensors, precision and digests",
                fix=BUILD_AGAIN,
            )


def _check_header(subject: Subject, version: Version, notes: Notes) -> None:
    if version.header is None:
        return
    shown, header = subject.shown(version.plan), version.header
    if header.version is None:
        notes.add(
            "PLAN_OPAQUE",
            shown,
            f"serialisation version {header.serialization}",
            expected="0, whose layout is known",
            fix="rest on build.json: with it the whole plan is held to its digest",
        )
    if header.runtime == "tensorrt-rtx":
        _note_runtime(shown, notes)
    elif header.version is not None:
        _check_tensorrt(shown, header.version, "its header", subject, notes)
        manifest = version.manifest
        if manifest is not None and not same_version(header.version, manifest.tensorrt_version):
            notes.add(
                "ENGINE_MISMATCH",
                shown,
                f"TensorRT {header.version} by its header",
                expected=f"{manifest.tensorrt_version} as build.json says",
                fix=BUILD_AGAIN,
            )


def _check_model(model: ModelConfig, manifest: BuildManifest, shown: str, notes: Notes) -> None:
    """Hold what the engine was built as to what clients will be told."""
    for key in ("family", "head", "resize", "input_size"):
        found, wanted = getattr(manifest, key), getattr(model, key)
        if found != wanted:
            notes.add(
                "METADATA",
                shown,
                f"{key} {found!r}",
                expected=f"{wanted!r}, as the run file says",
                fix="build it again from this run file, or correct the run file",
            )


def _check_manifest(subject: Subject, version: Version, manifest: BuildManifest, notes: Notes) -> None:
    shown = subject.manifest_file(version)
    if manifest.model != subject.name:
        notes.add(
            "MANIFEST_MODEL",
            shown,
            f"the manifest of {manifest.model!r}",
            expected=f"that of {subject.name!r}",
            fix="build this model's own engine, if this one was copied by mistake",
        )
    if subject.model is not None:
        _check_model(subject.model, manifest, shown, notes)
    if manifest.runtime == "tensorrt-rtx" and (
        version.header is None or version.header.runtime != "tensorrt-rtx"
    ):
        _note_runtime(shown, notes)
    elif manifest.runtime == "tensorrt":
        _check_tensorrt(shown, manifest.tensorrt_version, "build.json", subject, notes, header=version)
    wanted = subject.target.compute_capability
    if wanted is not None and wanted not in manifest.compute_capabilities:
        notes.add(
            "ENGINE_MISMATCH",
            shown,
            f"built for compute capability {', '.join(manifest.compute_capabilities)}",
            expected=f"{wanted}, the target's",
            fix="build it on the target's GPU: parity repository build",
        )
    if is_there(version.described):
        _check_digest("PLAN_DIGEST", version.described, manifest.plan_sha256, subject, notes)
    if version.has_graph:
        _check_digest("ONNX_DIGEST", version.path / ONNX_NAME, manifest.onnx_sha256, subject, notes)
    if subject.model is not None:
        _check_weights(subject, version, manifest, subject.model.weights, notes)


def _check_tensorrt(
    shown: str, found: str, by: str, subject: Subject, notes: Notes, header: Version | None = None
) -> None:
    """Hold a version to the target's; once, when the header has told the same already."""
    wanted = subject.target.tensorrt
    if wanted is None or same_version(found, wanted):
        return
    if header is not None and header.header is not None and header.header.version is not None:
        return
    notes.add(
        "ENGINE_MISMATCH",
        shown,
        f"TensorRT {found} by {by}",
        expected=f"{wanted}, the target's: a plan loads only in the version that built it",
        fix="build it with the target's TensorRT: parity repository build",
    )


def same_version(one: str, other: str) -> bool:
    """Whether two versions agree in the parts that both give; 10.3.0 and 10.3.0.26 do."""
    parts = [re.findall(r"\d+", version) for version in (one, other)]
    shared = min(len(part) for part in parts)
    return shared > 0 and [*map(int, parts[0][:shared])] == [*map(int, parts[1][:shared])]


def _note_runtime(shown: str, notes: Notes) -> None:
    notes.add(
        "PLAN_RUNTIME",
        shown,
        "a plan of TensorRT-RTX",
        expected="one of TensorRT, which is another library",
        fix="build it with TensorRT; the TensorRT-RTX builder only proves that the graph is accepted",
    )


def _check_digest(code: str, path: Path, stated: str, subject: Subject, notes: Notes) -> None:
    shown = subject.shown(path)
    try:
        found = subject.digests.of(path)
    except OutOfReach:
        return  # noted where it was first opened
    except Unreadable as error:
        if not notes.has("UNREADABLE", shown):  # what cannot even be opened was noted before
            notes.add(
                "UNREADABLE",
                shown,
                error.found,
                expected="the file that build.json describes",
                fix=BUILD_AGAIN,
            )
        return
    if found != stated:
        notes.add(
            code,
            shown,
            f"SHA-256 {found[:16]}...",
            expected=f"{stated[:16]}... as build.json says",
            fix="copy the file again if it was cut off or mixed up, or build it again",
        )


def _check_weights(
    subject: Subject, version: Version, manifest: BuildManifest, weights: Path, notes: Notes
) -> None:
    try:
        found = subject.digests.of(weights)
    except Unreadable as error:
        notes.add(
            "WEIGHTS_UNKNOWN",
            str(weights),
            error.found,
            expected="the run file's weights, to compare the plan's origin with",
            fix="fetch them, if the plan's origin is in doubt",
        )
        return
    if found != manifest.weights_sha256:
        notes.add(
            "WEIGHTS_DIGEST",
            subject.manifest_file(version),
            f"built from weights {manifest.weights_sha256[:16]}...",
            expected=f"{found[:16]}..., the run file's {weights.name}",
            fix="build it again from these weights, or name the others in the run file",
        )
