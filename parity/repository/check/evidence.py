"""Whether what lies in the repository is what the last run measured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parity.errors import UsageError
from parity.repository.check.files import Unreadable, is_file, read_limited
from parity.repository.check.findings import Notes
from parity.repository.check.subject import Subject
from parity.repository.config_pbtxt import CONFIG_NAME
from parity.repository.manifest import ONNX_NAME

REPORT = "report.json"
LARGEST_REPORT = 64 << 20
MOST_REPORTS = 20
"""Of the newest reports, this many are searched for a model."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Digests that a report's provenance tells of one model; None where it does not."""

    report: str
    config: str | None
    weights: str | None
    network: str | None
    network_precision: str | None
    engine: str | None

    @property
    def tells_something(self) -> bool:
        """Whether there is anything to compare."""
        return any((self.config, self.weights, self.network, self.engine))


class Evidence:
    """The reports to compare with: one that was named, or those of a folder, newest first."""

    def __init__(self, named: Path | None, reports: Path) -> None:
        self.named = named
        if named is not None:
            inner = named / REPORT
            path = inner if is_file(inner) else named
            if not is_file(path):
                raise UsageError(
                    "no such report", where=f"--evidence {named}", expected="a finished run's folder"
                )
            self.paths = [path]
        else:
            found = [path for path in reports.glob(f"*/{REPORT}") if is_file(path)]
            self.paths = sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[:MOST_REPORTS]
        self._read: dict[Path, dict[str, Measured] | Unreadable] = {}

    def of(self, model: str) -> Measured | None:
        """What the newest report with digests of this model says. Raises Unreadable for a named report."""
        for path in self.paths:
            if path not in self._read:
                self._read[path] = _measured(path)
            report = self._read[path]
            if isinstance(report, Unreadable):
                if self.named is not None:
                    raise report
            elif model in report and report[model].tells_something:
                return report[model]
        return None


def _measured(path: Path) -> dict[str, Measured] | Unreadable:
    try:
        document = json.loads(read_limited(path, LARGEST_REPORT))
        pairs = [pair for pair in document["pairs"] if isinstance(pair, dict)]
        return {str(pair["model"]): _of_pair(pair, str(path)) for pair in pairs}
    except Unreadable as error:
        return error
    except (ValueError, KeyError, TypeError, RecursionError):
        return Unreadable("no report of parity run", path)


def _of_pair(pair: dict[str, Any], report: str) -> Measured:
    def text(*keys: str) -> str | None:
        value: Any = pair.get("provenance")
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, str) and value else None

    return Measured(
        report=report,
        config=text("candidate", "embedded", "production_config_sha256"),
        weights=text("candidate", "embedded", "network", "weights_sha256")
        or text("candidate", "network", "weights_sha256")
        or text("candidate", "build", "weights_sha256")
        or text("reference", "weights_sha256"),
        network=text("candidate", "embedded", "network", "sha256") or text("candidate", "network", "sha256"),
        network_precision=text("candidate", "embedded", "network", "precision")
        or text("candidate", "network", "precision"),
        # TensorRT-RTX's plan is another file than the one that Triton serves.
        engine=None if text("candidate", "runner") == "tensorrt-rtx" else text("candidate", "engine_sha256"),
    )


def check(subject: Subject, evidence: Evidence, notes: Notes) -> None:
    """Note every digest that differs from the last evidence's, or that there is none to compare."""
    try:
        measured = evidence.of(subject.name)
    except Unreadable as error:
        notes.add(
            "UNREADABLE",
            str(error.path),
            error.found,
            expected="report.json of a run",
            fix="name another report",
        )
        return
    if measured is None:
        notes.add(
            "NO_EVIDENCE",
            subject.shown(subject.folder),
            "no report with digests of this model",
            expected="report.json of a run through this configuration",
            fix="run `parity run`, or name a report with --evidence",
        )
        return
    for file, what, before, now in _digests(subject, measured):
        if before != now:
            notes.add(
                "EVIDENCE_DRIFT",
                file,
                f"{what} with SHA-256 {now[:16]}...",
                expected=f"{before[:16]}..., which {measured.report} was measured with",
                fix="run `parity run` again: the report says nothing of what lies here",
            )


def _digests(subject: Subject, measured: Measured) -> list[tuple[str, str, str, str]]:
    """What can be compared: file, what it is, the digest in evidence, the digest now."""
    rows: list[tuple[str, str, str, str]] = []

    def add(path: Path, what: str, before: str | None) -> None:
        if before is None or not is_file(path):
            return
        try:
            rows.append((subject.shown(path), what, before, subject.digests.of(path)))
        except Unreadable:
            return  # noted where the file itself is checked

    add(subject.folder / CONFIG_NAME, "a configuration", measured.config)
    for version in subject.loaded:
        add(version.plan, "a plan", measured.engine)
        manifest = version.manifest
        if manifest is not None and measured.weights is not None:
            shown = subject.manifest_file(version)
            rows.append((shown, "an engine from weights", measured.weights, manifest.weights_sha256))
        if manifest is not None and manifest.precision == measured.network_precision:
            add(version.path / ONNX_NAME, "a graph", measured.network)
    return rows
