"""Reads one model's folder, noting what cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from parity.config import ModelConfig
from parity.errors import EvidenceError, UsageError
from parity.repository.check.digests import Digests
from parity.repository.check.files import (
    Unreadable,
    can_be_entered,
    inside,
    is_file,
    is_there,
    read_text,
)
from parity.repository.check.findings import Notes
from parity.repository.check.folders import plan_name, version_folders
from parity.repository.check.graph_facts import GraphFacts, read_graph
from parity.repository.check.links import OutOfReach, Reach, note_escape
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
    reach: Reach,
    digests: Digests,
) -> Subject:
    """Everything that is checked of a model's folder. Raises RunnerError when a library is missing."""
    reader = _Reader(repository, reach, notes)
    config, text = reader.config(folder)
    folders = {path: reader.may_enter(path) for path in version_folders(folder)}
    versions = [reader.version(path, config) for path, open_ in folders.items() if open_]
    if model is not None:
        digests.begin(model.weights)
    return Subject(
        repository=repository,
        folder=folder,
        config=config,
        places=Places(text),
        versions=tuple(versions),
        closed=tuple(path for path, open_ in folders.items() if not open_),
        model=model,
        categories=categories,
        target=target,
        reach=reach,
        digests=digests,
    )


def begin_digests(folders: list[Path], digests: Digests) -> None:
    """Start on the files that every digest check needs, the largest first, while libraries are imported."""
    versions = [version for folder in folders for version in version_folders(folder)]
    # Without a manifest most files are held to no digest, and a plan may be as large as the disk.
    versions = [version for version in versions if is_file(version / MANIFEST_NAME)]
    files = [version / name for version in versions for name in (*PLAN_NAMES.values(), ONNX_NAME)]
    files = [file for file in files if is_file(file)]
    for file in sorted(files, key=lambda file: file.stat().st_size, reverse=True):
        digests.begin(file)


def _shortened(text: str) -> str:
    """Protobuf quotes the whole line, however long it is."""
    return text if len(text) <= 300 else f"{text[:100]} ... {text[-197:]}"


_FIXES = {
    "ENGINE_HEADER": "strip the header: parity repository build takes an Ultralytics engine and does it",
    "NOT_A_PLAN": BUILD_AGAIN,
    "PLAN_TRUNCATED": "copy the plan again, or build it again",
}


class _Reader:
    """Reads the files of one model, each within reach, and notes those that cannot be read."""

    def __init__(self, repository: Path, reach: Reach, notes: Notes) -> None:
        self._repository = repository
        self._reach = reach
        self._notes = notes

    def may_enter(self, folder: Path) -> bool:
        """Whether a version folder can be looked into."""
        shown, target = folder.relative_to(self._repository).as_posix(), self._reach.escape(folder)
        if target is not None:
            note_escape(target, shown, self._notes)
        elif not can_be_entered(folder):
            self._notes.add(
                "UNREADABLE",
                shown,
                "a folder that cannot be entered",
                expected="a version, which Triton reads as another user perhaps",
                fix="mend its permissions: read and execute for whoever serves and checks",
            )
            return False
        return target is None

    def config(self, folder: Path) -> tuple[Any | None, str]:
        """The message and its text, None and nothing when there is none."""
        path = folder / CONFIG_NAME
        shown = path.relative_to(self._repository).as_posix()
        try:
            text = read_text(path, LARGEST_CONFIG, self._reach.open)
        except Unreadable as error:
            if error.missing:
                self._notes.add(
                    "NO_CONFIG",
                    shown,
                    "no such file",
                    expected="a configuration, since clients and this check rest on it",
                    fix="write it, after the model of another folder or of docs/repository-check.md",
                )
            else:
                self._unreadable(shown, error, "a text in protobuf form")
            return None, ""
        try:
            return parse(text, shown), text
        except UsageError as error:
            line, column = (int(number) for number in error.where.rsplit(":", 2)[1:])
            self._notes.add(
                "CONFIG_PARSE",
                shown,
                f"{_shortened(error.found)} (column {column})",
                line=line,
                expected="a Triton model configuration in protobuf text form",
                fix="correct the line; nothing else of this file was checked",
            )
            return None, ""

    def version(self, path: Path, config: Any | None) -> Version:
        """What lies in a version folder that may be entered."""
        # A name that leads out of the folder is a finding of its own; here the usual one stands in for it.
        plan = path / plan_name(config)
        if inside(path, plan_name(config)) is None:
            plan = path / PLAN_NAME
        manifest, graph = path / MANIFEST_NAME, path / ONNX_NAME
        return Version(
            path=path,
            plan=plan,
            has_plan=is_there(plan),
            header=self._header(plan) if is_there(plan) else None,
            manifest=self._manifest(manifest) if is_there(manifest) else None,
            has_manifest=is_there(manifest),
            graph=self._graph(graph) if is_there(graph) else None,
            has_graph=is_there(graph),
        )

    def _header(self, plan: Path) -> PlanHeader | None:
        shown = plan.relative_to(self._repository).as_posix()
        try:
            with self._reach.open(plan) as file:
                start, size = file.read(HEADER_BYTES), file.seek(0, 2)
        except Unreadable as error:
            self._unreadable(shown, error, "a TensorRT plan")
            return None
        header = read_header(start, size)
        if isinstance(header, NoPlan):
            self._notes.add(
                header.code,
                shown,
                header.found,
                expected="a TensorRT plan, which begins with `ftrt`",
                fix=_FIXES[header.code],
            )
            return None
        return header

    def _manifest(self, path: Path) -> BuildManifest | None:
        shown = path.relative_to(self._repository).as_posix()
        try:
            self._reach.open(path).close()
            return read_manifest(path)
        except Unreadable as error:
            self._unreadable(shown, error, "a build manifest")
        except (EvidenceError, OSError) as error:
            self._notes.add(
                "MANIFEST_INVALID",
                shown,
                error.found if isinstance(error, EvidenceError) else str(error),
                expected="a manifest as parity repository build writes it",
                fix=BUILD_AGAIN,
            )
        return None

    def _graph(self, path: Path) -> GraphFacts | None:
        shown = path.relative_to(self._repository).as_posix()
        try:
            with self._reach.open(path) as file:
                graph = read_graph(slim(file))
        except Malformed:
            graph = None
        except Unreadable as error:
            self._unreadable(shown, error, "an ONNX model")
            return None
        if graph is None:
            self._notes.add(
                "GRAPH_UNREADABLE",
                shown,
                "no ONNX model with an opset, nodes and outputs",
                expected="the graph that the plan was built from",
                fix=BUILD_AGAIN,
            )
        return graph

    def _unreadable(self, shown: str, error: Unreadable, expected: str) -> None:
        if isinstance(error, OutOfReach):
            note_escape(error.target, shown, self._notes)
            return
        self._notes.add(
            "UNREADABLE", shown, error.found, expected=expected, fix="replace the file, or its permissions"
        )
