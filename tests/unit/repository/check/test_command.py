"""`parity repository check`: exit codes, both outputs, the committed repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from parity.cli import app
from parity.cli.repository_check import FAIL
from parity.criteria import Outcome
from parity.gate import EXIT_CODES
from parity.repository.check.document import SCHEMA_PATH, schema
from tests.repository_samples import Sample

TARGET = ("--tensorrt", "11.0", "--compute-capability", "9.0")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["repository", "check", *map(str, arguments)])


@pytest.fixture
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clean repository, and a working directory without a run file."""
    Sample().write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "repository"


def document(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    jsonschema.validate(found, schema())
    return found


def test_a_clean_repository(clean: Path) -> None:
    result = run(clean, *TARGET)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "nothing found" in result.stdout
    assert result.stdout.endswith("\n0 errors, 0 warnings, 0 for information\n")
    found = document(run(clean, *TARGET, "--json"))
    assert (found["failed"], found["models"]) == (False, [{"name": "yolo26", "versions": 1}])


def test_errors_fail_and_are_shown_within_80_columns(clean: Path) -> None:
    config = clean / "yolo26" / "config.pbtxt"
    config.write_text(config.read_text().replace('"yolo26"', '"\x1b[31m' + "long " * 40 + '"'))
    (clean / "yolo26" / "1" / "model.plan").write_bytes(b"x" * 100)
    result = run(clean, *TARGET)
    assert result.exit_code == FAIL == EXIT_CODES[Outcome.FAIL]
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "\x1b" not in result.stdout
    assert "'\\x1b[31mlong" in result.stdout
    assert "  error NAME_MISMATCH  yolo26/config.pbtxt:3\n" in result.stdout
    severities = [
        line.split()[0] for line in result.stdout.splitlines() if line.startswith("  ") and line[2] != " "
    ]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    found = document(run(clean, *TARGET, "--json"))
    assert found["failed"]
    assert found["errors"] == severities.count("error")
    assert {finding["code"] for finding in found["findings"]} >= {
        "NAME_MISMATCH",
        "NOT_A_PLAN",
        "PLAN_DIGEST",
    }


def test_warnings_alone_pass_unless_strict(clean: Path) -> None:
    (clean / "yolo26" / "1" / "model.onnx").unlink()
    assert run(clean, *TARGET).exit_code == 0
    result = run(clean, *TARGET, "--strict")
    assert result.exit_code == FAIL
    assert result.stdout.endswith("\nFAIL: 0 errors, 1 warning, 0 for information\n")


def test_information_never_fails(clean: Path) -> None:
    result = run(clean, "--strict")
    assert (result.exit_code, "info NO_TARGET" in result.stdout) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "no such folder"),
        (("weights.pt",), "no folder"),
        (("repository", "--model", "yolo27"), "did you mean 'yolo26'"),
        (("repository", "--run-file", "none.toml"), "cannot be read"),
        (("repository", "--evidence", "none"), "no such report"),
        (("repository", "--tensorrt", "latest"), "10.13"),
        (("repository", "--compute-capability", "sm90"), "9.0"),
        (("repository", "--run-file", "a.toml", "--no-run-file"), "one of them"),
    ],
)
def test_usage(clean: Path, arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_an_empty_repository_is_never_clean(tmp_path: Path) -> None:
    assert run(tmp_path, "--no-run-file").exit_code == FAIL


def test_a_damaged_report_that_was_named(clean: Path) -> None:
    (clean.parent / "report.json").write_text("{}")
    result = run(clean, *TARGET, "--evidence", clean.parent / "report.json")
    assert result.exit_code == FAIL
    assert "UNREADABLE" in result.stdout


def test_the_run_file_names_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Sample().write(tmp_path)
    (tmp_path / "parity.toml").write_text(
        """model_repository = "repository"
dataset = "made"
datasets.made.path = "instances.json"
reference.runner = "a:runner of one's own, which a check does not import"
candidate.runner = "triton"
[models.yolo26]
family = "yolo26"
weights = "weights.pt"
input_size = [256, 256]
resize = "letterbox"
head = "one-to-many"
names = ["person", "bicycle", "car", "bus", "truck", "traffic light", "stop sign", "dog"]
"""
    )
    monkeypatch.chdir(tmp_path)
    found = document(run(*TARGET, "--json"))
    assert {finding["code"] for finding in found["findings"]} == {"HEAD_MISMATCH", "METADATA"}
    assert run(*TARGET, "--no-run-file", "repository").exit_code == 0


def test_the_committed_repository_lacks_only_its_engines() -> None:
    """The lint of what production serves: everything that needs no engine is right."""
    found = document(run("--json"))
    codes = {finding["code"] for finding in found["findings"] if finding["severity"] != "info"}
    if list(Path("model_repository").glob("*/*/model.plan")):
        pytest.skip("engines were built here")
    assert codes == {"PLAN_NOT_BUILT"}
    assert {model["name"] for model in found["models"]} == {"rtdetr", "yolo26"}
    assert run("--allow-unbuilt", "--strict").exit_code == 0


def test_the_schema_is_up_to_date() -> None:
    text = json.dumps(schema(), indent=2) + "\n"
    assert SCHEMA_PATH.read_text("utf-8") == text, (
        "python -m parity.repository.check.document writes it again"
    )
    jsonschema.Draft202012Validator.check_schema(schema())


def test_a_missing_library_names_its_extra(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    from parity.repository import messages

    messages._generated.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    result = run(clean)
    messages._generated.cache_clear()
    assert result.exit_code == 4
    assert "triton-parity[repository]" in result.stderr
