"""`parity load` on the command line: what it refuses before anything starts, and files of perf_analyzer."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest
from typer.testing import CliRunner

from parity.cli import app
from tests.unit.load.test_perf_analyzer import HEADER, LINES

ROOT = Path(__file__).parents[2]
SERVICES = str(ROOT / "demo" / "services.toml")


def called(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["load", *arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--concurrency", "1,two"), "'1,two' is not a list of whole numbers"),
        (("--concurrency", "0"), "--concurrency: concurrency 0"),
        (("--concurrency", "2,2"), "--concurrency and --rate: a load twice: 2 at a time"),
        (("--concurrency", ""), "--concurrency and --rate: no load"),
        (("--rate", "-3"), "--rate: request rate -3"),
        (("--rate", "inf"), "--rate: request rate inf"),
        (("--rate", "nan"), "--rate: request rate nan"),
        (("--rate", "1e300"), "at most 100,000"),
        (("--seconds", "inf"), "--seconds: inf seconds"),
        (("--seconds", "nan"), "'--seconds'"),
        (
            ("--perf-analyzer", "candidate=x.csv", "--rate", "3", "--concurrency", "1,2,4,8,16"),
            "--perf-analyzer: given together with --concurrency, --rate",
        ),
        (("--model", "yolo27"), "did you mean 'yolo26'?"),
        (("--dataset", "stret"), "did you mean 'street'?"),
        (("--perf-analyzer", "candidat=x.csv"), "reference=FILE or candidate=FILE"),
        (("--perf-analyzer", "candidate="), "reference=FILE or candidate=FILE"),
        (("--perf-analyzer", "candidate=x.csv"), "say which with --model"),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    code, output = called(SERVICES, "--out", str(tmp_path), *arguments)
    assert code == 2, output
    assert words in output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["load", "drill", "run", "config"])
def test_every_command_with_a_candidate_has_the_options_of_triton(command: str, tmp_path: Path) -> None:
    out = [] if command == "config" else ["--out", str(tmp_path)]
    wrong = {
        "--triton-url": "nowhere",
        "--triton-http-url": "nowhere",
        "--triton-protocol": "ftp",
        "--triton-model": "../x",
        "--timeout": "-1",
        "--retries": "-1",
    }
    options = [part for option in wrong.items() for part in option]
    done = CliRunner().invoke(app, [command, SERVICES, *out, *options])
    assert done.exit_code == 2, done.output
    for option in wrong:
        assert f"{option}: " in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["load", "drill"])
def test_the_command_line_wins_over_the_environment(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One name for two models is refused, and the refusal says where the name is from."""
    monkeypatch.setenv("TRITON_MODEL", "of-the-environment")
    given = [command, SERVICES, "--out", str(tmp_path), "--triton-model", "of-the-command-line"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 2 and "--triton-model is 'of-the-command-line'" in done.output


def test_a_side_in_process_cannot_be_put_under_load(tmp_path: Path) -> None:
    code, output = called(str(ROOT / "parity.toml"), "--out", str(tmp_path))
    assert code == 2 and "'ultralytics' answers in process" in output and "services.toml" in output


def test_a_runner_of_ones_own_without_a_target_cannot_be_either(tmp_path: Path) -> None:
    text = (ROOT / "demo" / "services.toml").read_text()
    assert 'runner = "triton"' in text
    mine = tmp_path / "mine.toml"
    mine.write_text(
        text.replace('runner = "triton"', 'runner = "parity.runners.onnxruntime:OnnxRuntimeRunner"')
    )
    code, output = called(str(mine), "--model", "yolo26", "--out", str(tmp_path))
    assert code == 2 and "has no `target`" in output and "candidate of model 'yolo26'" in output


def test_a_candidate_that_is_switched_off_is_not_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_ENABLED", "false")
    code, output = called(SERVICES, "--out", str(tmp_path))
    assert code == 2 and "Triton is switched off for rtdetr, yolo26" in output


def test_files_of_perf_analyzer_are_judged_and_never_pass(tmp_path: Path) -> None:
    given = tmp_path / "perf.csv"
    given.write_text("\n".join((HEADER, *LINES)) + "\n")
    files = [f"--perf-analyzer={side}={given}" for side in ("reference", "candidate")]
    code, output = called(SERVICES, "--model", "yolo26", "--out", str(tmp_path / "out"), *files)
    assert code == 11, output
    assert "REHEARSAL: perf_analyzer's files" in output
    (folder,) = (tmp_path / "out").iterdir()
    (pair,) = json.loads((folder / "report.json").read_text())["pairs"]
    assert {criterion["outcome"] for criterion in pair["criteria"]} == {"INCONCLUSIVE"}
    assert len(pair["serving"]["steps"]) == 4 and len(pair["serving"]["imported"]) == 2
    assert "It does not tell" in (folder / "index.html").read_text()


def test_a_policy_of_ones_own_judges_and_what_it_loosens_is_in_the_report(tmp_path: Path) -> None:
    (tmp_path / "perf.csv").write_text("\n".join((HEADER, *LINES)) + "\n")
    (tmp_path / "own.toml").write_text(
        'extends = "integration"\nallow_looser = "Ours."\nwithout = ["gpu_utilisation"]\n'
    )
    services = Path(SERVICES).read_text().replace('phase = "rehearsal"', 'phase = "integration"')
    services = services.replace('"../', f'"{ROOT}/').replace('"weights/', f'"{ROOT}/demo/weights/')
    run_file = tmp_path / "run.toml"
    run_file.write_text('policy = "own.toml"\n' + services)
    given = f"--perf-analyzer=candidate={tmp_path / 'perf.csv'}"
    code, output = called(str(run_file), "--model", "yolo26", "--out", str(tmp_path / "out"), given)
    assert code == 11, output
    (path,) = (tmp_path / "out").glob("*/report.json")
    report = json.loads(path.read_text())
    assert report["notes"][0] == (
        "Policy loosened: criteria.gpu_utilisation is left out, in integration judged. Reason: Ours."
    )
    criteria = [criterion["name"] for criterion in report["pairs"][0]["criteria"]]
    assert criteria[0] == "tensorrt_engine" and "gpu_utilisation" not in criteria
    assert report["phase"] == "integration"


def test_files_of_one_side_are_turns(tmp_path: Path) -> None:
    files = []
    for number, lines in enumerate((LINES, (*LINES[:1], "9" + LINES[1]), LINES[:1])):
        given = tmp_path / f"{number}.csv"
        given.write_text("\n".join((HEADER, *lines)) + "\n")
        files.append(f"--perf-analyzer=candidate={given}")
    code, output = called(SERVICES, "--model", "yolo26", "--out", str(tmp_path / "out"), *files)
    assert code == 11, output
    (folder,) = (tmp_path / "out").iterdir()
    (pair,) = json.loads((folder / "report.json").read_text())["pairs"]
    seen = [(step["concurrency"], step["turn"]) for step in pair["serving"]["steps"]]
    assert seen == [(1, 0), (4, 0), (1, 1), (94, 0), (1, 2)]
    assert pair["serving"]["candidate_endpoint"] == "0.csv, 1.csv, 2.csv"
    code, output = called(
        SERVICES,
        "--model",
        "yolo26",
        "--out",
        str(tmp_path / "out"),
        *files,
        files[0].replace("0.csv", "./0.csv"),
    )
    assert code == 2 and "the same measurement is there twice" in output


def test_a_full_disk_leaves_the_table_and_the_verdict(tmp_path: Path) -> None:
    given = tmp_path / "perf.csv"
    given.write_text("\n".join((HEADER, *LINES)) + "\n")
    files = [f"--perf-analyzer={side}={given}" for side in ("reference", "candidate")]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # no file takes a byte, as on a full disk
        code, output = called(SERVICES, "--model", "yolo26", "--out", str(tmp_path / "out"), *files)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert code == 3, output
    assert "p95_latency" in output and "verdict: INCONCLUSIVE" in output
    assert "the report could not be written" in output and "report: " not in output
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_a_file_that_is_none_of_perf_analyzers(tmp_path: Path) -> None:
    (tmp_path / "perf.csv").write_text("a,b\n1,2\n")
    code, output = called(
        SERVICES,
        "--model",
        "yolo26",
        "--out",
        str(tmp_path),
        f"--perf-analyzer=candidate={tmp_path / 'perf.csv'}",
    )
    assert code == 3 and "perf.csv" in output
