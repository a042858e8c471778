"""report.json in and out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from parity.errors import EvidenceError
from parity.report.document import Outcome, Report
from parity.report.schema import (
    SCHEMA_PATH,
    contradictions,
    read_json,
    report_schema,
    write_json,
    write_schema,
)
from parity.report.text import without_secrets
from tests import report_samples as samples


def test_schema_file_is_up_to_date(tmp_path: Path) -> None:
    write_schema(tmp_path / "schema.json")
    told = "run `python -m parity.report.schema`"
    assert SCHEMA_PATH.read_text("utf-8") == (tmp_path / "schema.json").read_text("utf-8"), told


@pytest.mark.parametrize(
    "make", [samples.demo, samples.many_classes, samples.hostile, lambda _: samples.stopped()]
)
def test_round_trip_fits_the_schema(make: Callable[[Path], Report], tmp_path: Path) -> None:
    report = make(tmp_path)
    write_json(report, tmp_path / "report.json")
    schema = report_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads((tmp_path / "report.json").read_text("utf-8")), schema)
    assert read_json(tmp_path / "report.json") == without_secrets(report)


def test_no_secret_is_written(tmp_path: Path) -> None:
    write_json(samples.report(), tmp_path / "report.json")
    assert "hunter2" not in (tmp_path / "report.json").read_text("utf-8")


def test_what_json_cannot_say_is_an_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_json(samples.report(), path)
    before = path.read_bytes()
    with pytest.raises(EvidenceError):
        write_json(samples.report([samples.pair(provenance={"x": object()})]), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.json"]


def test_nan_in_provenance_becomes_null(tmp_path: Path) -> None:
    write_json(samples.report([samples.pair(provenance={"x": float("nan")})]), tmp_path / "report.json")
    assert read_json(tmp_path / "report.json").pairs[0].provenance == {"x": None}


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    data = samples.report().model_dump(mode="json")
    change(data)
    return json.dumps(data).encode()


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not valid JSON"),
    "cut off": (changed(lambda _: None)[:-40], "not valid JSON"),
    "not text": (b"\xff\xfe\x00", "not valid JSON"),
    "NaN": (changed(lambda data: data["pairs"][0]["provenance"].update(x=float("nan"))), "not valid JSON"),
    "a list": (b"[]", "schema_version"),
    "no version": (changed(lambda data: data.pop("schema_version")), "schema_version"),
    "a later version": (changed(lambda data: data.update(schema_version="9.0")), "9.0"),
    "an unknown key": (changed(lambda data: data.update(extra=1)), "extra"),
    "a lost key": (changed(lambda data: data["pairs"][0].pop("images")), "pairs.0.images"),
    "a text for a number": (
        changed(lambda data: data["pairs"][0]["criteria"][0].update(observed="0.1")),
        "pairs.0.criteria.0.observed",
    ),
    "PASS after an error": (changed(lambda data: data.update(error="stopped")), "PASS though"),
    "PASS of nothing": (changed(lambda data: data.update(pairs=[])), "nothing was compared"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_damaged_files(case: str, tmp_path: Path) -> None:
    content, found = BROKEN[case]
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(EvidenceError) as caught:
        read_json(path)
    assert found in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.remedy
    assert caught.value.exit_code == 3


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="no such file"):
        read_json(tmp_path / "report.json")
    with pytest.raises(EvidenceError, match="cannot be read"):
        read_json(tmp_path)


def test_contradictions() -> None:
    assert contradictions(samples.report()) == []
    assert contradictions(samples.stopped()) == []
    failed = samples.pair(outcome=Outcome.FAIL)
    assert contradictions(samples.report([failed])) == []
    assert contradictions(samples.report([failed], verdict=Outcome.PASS))
    assert contradictions(samples.report([failed.model_copy(update={"verdict": Outcome.PASS})]))
    assert contradictions(samples.report([samples.pair(criteria=[])]))
