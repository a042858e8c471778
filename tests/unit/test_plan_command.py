"""`parity plan`: what a data set can prove, from an earlier report or from simulation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from parity.cli import app
from tests import results_files as made


@pytest.fixture
def ground_truth(tmp_path: Path) -> Path:
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(made.coco_document()))
    return path


def plan(ground_truth: Path, out: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["plan", "--annotations", str(ground_truth), "--out", str(out), *options])


def test_without_a_report_it_simulates_on_the_annotations(tmp_path: Path, ground_truth: Path) -> None:
    out = tmp_path / "out"
    result = plan(ground_truth, out, "--resamples", "100", "--detections", "20")
    assert result.exit_code == 0, result.output
    plans = json.loads((out / "plan.json").read_text())
    assert [entry["images"] for entry in plans] == [40] * 3
    assert all("simulated" in entry["source"] for entry in plans)
    assert (out / "plan.svg").read_text().count("<path") > 5
    assert "plans a comparison and proves nothing" in result.output


def test_a_report_is_extrapolated(tmp_path: Path, ground_truth: Path) -> None:
    document = json.loads(ground_truth.read_text())
    reference = made.results(document)
    files = made.write(tmp_path / "in", document, reference, made.jittered(reference, 0.3, 0.003))
    arguments = [
        "compare",
        str(files.reference),
        str(files.candidate),
        "--annotations",
        str(files.annotations),
    ]
    CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "report")])
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    low, high = report["pairs"][0]["accuracy"]["difference"]["AP"]["relative_percent_interval"]
    result = plan(ground_truth, tmp_path / "out", "--from", str(tmp_path / "report"), "--json", "-")
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)
    rows = {row["images"]: row["provable_percent"] for row in found["rows"]}
    assert rows[40] == pytest.approx(max(abs(low), abs(high)))
    assert found["needed"] is None or found["needed"] > 40


def test_equal_files_cannot_be_extrapolated(tmp_path: Path, ground_truth: Path) -> None:
    rows = made.results(json.loads(ground_truth.read_text()))
    files = made.write(tmp_path / "in", json.loads(ground_truth.read_text()), rows, rows)
    arguments = [
        "compare",
        str(files.reference),
        str(files.candidate),
        "--annotations",
        str(files.annotations),
    ]
    CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "report")])
    result = plan(ground_truth, tmp_path / "out", "--from", str(tmp_path / "report"))
    assert result.exit_code == 11
    assert "no AP difference was seen at all" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--from", "nowhere"), 3, "no such file"),
        (("--limit", "0"), 2, "--limit"),
        (("--json", "."), 2, "--json"),
        (("--resamples", "1"), 2, "resamples"),
        (("--resamples", "100", "--confidence", "0.999"), 2, "at least 2000"),
        (("--limit", "inf"), 2, "--limit"),
        (("--limit", "101"), 2, "--limit"),
        (("--out", ""), 2, "an empty name"),
    ],
)
def test_wrong_options_write_nothing(
    tmp_path: Path, ground_truth: Path, options: tuple[str, ...], code: int, words: str
) -> None:
    result = plan(ground_truth, tmp_path / "out", *options)
    assert result.exit_code == code, result.output
    assert words in result.output
    assert not (tmp_path / "out").exists()


def test_no_ground_truth_says_nothing(tmp_path: Path, ground_truth: Path) -> None:
    document = {**json.loads(ground_truth.read_text()), "annotations": []}
    ground_truth.write_text(json.dumps(document))
    result = plan(ground_truth, tmp_path / "out", "--resamples", "100")
    assert result.exit_code in (3, 11), result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("name", ["confidence", "resamples", "seed", "detections"])
def test_options_of_the_simulation_are_refused_with_a_report(
    tmp_path: Path, ground_truth: Path, name: str
) -> None:
    value = {"confidence": "0.9"}.get(name, "200")
    result = plan(ground_truth, tmp_path / "out", "--from", str(tmp_path), f"--{name}", value)
    assert result.exit_code == 2
    assert f"--{name} with --from" in result.output
    assert not (tmp_path / "out").exists()


def test_a_model_is_refused_without_a_report(tmp_path: Path, ground_truth: Path) -> None:
    result = plan(ground_truth, tmp_path / "out", "--model", "yolo26")
    assert result.exit_code == 2
    assert "--model without --from" in result.output
