"""Runs `parity compare` as a user does, and reads what it wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from parity.cli import app
from tests import results_files as made
from tests.results_files import Files


def nearly_equal(folder: Path) -> Files:
    """A reference and a candidate that is nearly the same."""
    document = made.coco_document()
    reference = made.results(document)
    return made.write(folder, document, reference, made.jittered(reference, 0.02, 0.0005))


def compare(files: Files, out: Path, *options: str) -> Result:
    return CliRunner().invoke(
        app,
        [
            "compare", str(files.reference), str(files.candidate),
            "--annotations", str(files.annotations), "--out", str(out), *options,
        ],
    )  # fmt: skip


def report_of(files: Files, out: Path, *options: str) -> dict[str, Any]:
    result = compare(files, out, *options)
    assert result.exit_code in (0, 10, 11), result.output
    report: dict[str, Any] = json.loads((out / "report.json").read_text("utf-8"))
    assert result.exit_code == {"PASS": 0, "FAIL": 10, "INCONCLUSIVE": 11}[report["verdict"]]
    return report


def pair_of(files: Files, out: Path, *options: str) -> dict[str, Any]:
    (pair,) = report_of(files, out, *options)["pairs"]
    return dict(pair)


def criterion(pair: dict[str, Any], name: str) -> dict[str, Any]:
    return dict(next(c for c in pair["criteria"] if c["name"] == name))
