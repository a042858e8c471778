"""Reads one model's folder, noting what cannot be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from parity.config import ModelConfig
from parity.errors import EvidenceError, UsageError
from parity.repository.check.files import (
    Digests,
    Unreadable,
    can_be_entered,
    inside,
    is_file,
    is_there,
    open_regular,
    read_text,
)
from parity.repository.check.findings import Notes
from parity.repository.check.graph_facts import GraphFacts, read_graph
from parity.repository.check.places import Places
from parity.repository.check.plan_header import HEADER_BYTES, NoPlan, PlanHeader, read_header
from parity.repository.check.slim_onnx import Malformed, slim
from parity.repository.check.subject import Subject, Target, Version
from parity.repository.config_pbtxt import CONFIG_NAME, parse
from parity.repository.manifest import (
    MANIFEST_NAME,
    ONNX_NAME,
    PLAN_NAME,
    PLAN_NAMES,
    BuildManifest,
    read_manifest,
)

LARGEST_CONFIG = 1 << 18

BUILD_AGAIN = "build it again: parity repository build"


def read_subject(
    repository: Path,
    folder: Path,
    notes: Notes,
    *,
    model: ModelConfig | None,
    categories: tuple[str, ...] | None,
    target: Target,
    digests: Digests,
) -> Subject:
    """Everything that is checked of a model's folder. Raises RunnerError when a library is missing."""
    config, text = _config(repository, folder, notes)
    folders = _version_folders(folder)
    versions = [_version(repository, path, config, notes) for path in folders if can_be_entered(path)]
    if model is not None:
        digests.begin(model.weights)
    return Subject(
        repository=repository,
        folder=folder,
        config=config,
        places=Places(text),
        versions=tuple(versions),
        closed=tuple(path for path in folders if not can_be_entered(path)),
        model=model,
        categories=categories,
        target=target,
        digests=digests,
    )


def begin_digests(folders: list[Path], digests: Digests) -> None:
    """Start on the files that every digest check needs, the largest first, while libraries are imported."""
    versions = [version for folder in folders for version in _version_folders(folder)]
    # Without a manifest most files are held to no digest, and a plan may be as large as the disk.
    versions = [version for version in versions if is_file(version / MANIFEST_NAME)]
    files = [version / name for version in versions for name in (*PLAN_NAMES.values(), ONNX_NAME)]
    files = [file for file in files if is_file(file)]
    for file in sorted(files, key=lambda file: file.stat().st_size, reverse=True):
        digests.begin(file)


def is_version(name: str) -> bool:
    """Whether Triton takes a folder of this name for a version."""
    return re.fullmatch("[1-9][0-9]{0,17}", name, re.ASCII) is not None


def subfolders(folder: Path) -> list[Path]:
    """Folders directly inside, sorted by name, without hidden ones. Raises Unreadable.

    What cannot be looked at is taken for a folder, since Triton may be able to.
    """
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}", folder) from error
    if not can_be_entered(folder):
        raise Unreadable("cannot be entered", folder)
    return [path for path in found if _may_be_folder(path)]


def _may_be_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError:
        return True
    except OSError:
        return False


def _version_folders(folder: Path) -> list[Path]:
    try:
        return sorted((p for p in subfolders(folder) if is_version(p.name)), key=lambda path: int(path.name))
    except Unreadable:
        return []  # the folder's own check says so


def _config(repository: Path, folder: Path, notes: Notes) -> tuple[Any | None, str]:
    path = folder / CONFIG_NAME
    shown = path.relative_to(repository).as_posix()
    try:
        text = read_text(path, LARGEST_CONFIG)
    except Unreadable as error:
        if error.missing:
            notes.add(
                "NO_CONFIG",
                shown,
                "no such file",
                expected="a configuration, since clients and this check rest on it",
                fix="write it, after the model of another folder or of docs/repository-check.md",
            )
        else:
            _unreadable(notes, shown, error, "a text in protobuf form")
        return None, ""
    try:
        return parse(text, shown), text
    except UsageError as error:
        line, column = (int(number) for number in error.where.rsplit(":", 2)[1:])
        notes.add(
            "CONFIG_PARSE",
            shown,
            f"{_shortened(error.found)} (column {column})",
            line=line,
            expected="a Triton model configuration in protobuf text form",
            fix="correct the line; nothing else of this file was checked",
        )
        return None, ""


def _shortened(text: str) -> str:
    """Protobuf quotes the whole line, however long it is."""
    return text if len(text) <= 300 else f"{text[:100]} ... {text[-197:]}"


def plan_name(config: Any | None) -> str:
    """The file that Triton loads of a version folder."""
    return PLAN_NAME if config is None else str(config.default_model_filename or PLAN_NAME)


def _version(repository: Path, path: Path, config: Any | None, notes: Notes) -> Version:
    # A name that leads out of the folder is a finding of its own; here the usual one stands in for it.
    plan = path / plan_name(config)
    if inside(path, plan_name(config)) is None:
        plan = path / PLAN_NAME
    manifest, graph = path / MANIFEST_NAME, path / ONNX_NAME
    return Version(
        path=path,
        plan=plan,
        has_plan=is_there(plan),
        header=_header(repository, plan, notes) if is_there(plan) else None,
        manifest=_manifest(repository, manifest, notes) if is_there(manifest) else None,
        has_manifest=is_there(manifest),
        graph=_graph(repository, graph, notes) if is_there(graph) else None,
        has_graph=is_there(graph),
    )


_FIXES = {
    "ENGINE_HEADER": "strip the header: parity repository build takes an Ultralytics engine and does it",
    "NOT_A_PLAN": BUILD_AGAIN,
    "PLAN_TRUNCATED": "copy the plan again, or build it again",
}


def _header(repository: Path, plan: Path, notes: Notes) -> PlanHeader | None:
    shown = plan.relative_to(repository).as_posix()
    try:
        with open_regular(plan) as file:
            start, size = file.read(HEADER_BYTES), file.seek(0, 2)
    except Unreadable as error:
        _unreadable(notes, shown, error, "a TensorRT plan")
        return None
    header = read_header(start, size)
    if isinstance(header, NoPlan):
        notes.add(
            header.code,
            shown,
            header.found,
            expected="a TensorRT plan, which begins with `ftrt`",
            fix=_FIXES[header.code],
        )
        return None
    return header


def _manifest(repository: Path, path: Path, notes: Notes) -> BuildManifest | None:
    shown = path.relative_to(repository).as_posix()
    try:
        open_regular(path).close()
        return read_manifest(path)
    except Unreadable as error:
        _unreadable(notes, shown, error, "a build manifest")
    except (EvidenceError, OSError) as error:
        notes.add(
            "MANIFEST_INVALID",
            shown,
            error.found if isinstance(error, EvidenceError) else str(error),
            expected="a manifest as parity repository build writes it",
            fix=BUILD_AGAIN,
        )
    return None


def _graph(repository: Path, path: Path, notes: Notes) -> GraphFacts | None:
    shown = path.relative_to(repository).as_posix()
    try:
        with open_regular(path) as file:
            graph = read_graph(slim(file))
    except Malformed:
        graph = None
    except Unreadable as error:
        _unreadable(notes, shown, error, "an ONNX model")
        return None
    if graph is None:
        notes.add(
            "GRAPH_UNREADABLE",
            shown,
            "no ONNX model with an opset, nodes and outputs",
            expected="the graph that the plan was built from",
            fix=BUILD_AGAIN,
        )
    return graph


def _unreadable(notes: Notes, shown: str, error: Unreadable, expected: str) -> None:
    notes.add("UNREADABLE", shown, error.found, expected=expected, fix="replace the file, or its permissions")
