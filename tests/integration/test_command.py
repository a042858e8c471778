"""The command as people and CI run it: verdicts, exit codes, and what is left behind when it goes wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.integration.helpers import ROOT, cache, children, eventually, gone

pytestmark = pytest.mark.integration
PARITY = [sys.executable, "-m", "parity"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cache(tmp_path_factory)


def parity(
    *arguments: str, cwd: Path = ROOT, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PARITY, *arguments],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=420,
        check=False,
    )


def run_file(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    """The demo's run file with absolute paths and some text replaced."""
    text = (ROOT / "parity.toml").read_text()
    text = text.replace('"datasets/', f'"{ROOT}/datasets/').replace('"demo/', f'"{ROOT}/demo/')
    text = text.replace(
        'dataset = "street"', f'dataset = "street"\nmodel_repository = "{ROOT}/model_repository"'
    )
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def only_report(out: Path) -> tuple[Path, dict[str, Any]]:
    (folder,) = out.iterdir()
    return folder, json.loads((folder / "report.json").read_text())


def test_the_main_job_passes_and_reports(tmp_path: Path, kept: Path) -> None:
    done = parity("run", "--limit-images", "150", "--out", str(tmp_path), "--cache", str(kept))
    assert done.returncode == 0, done.stdout + done.stderr
    folder, report = only_report(tmp_path)
    lines = done.stdout.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    assert lines[-2] == "verdict: PASS (of the criteria judged here)"
    assert lines[-1] == f"report: {folder / 'index.html'}"
    assert "REHEARSAL" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr, "bars and colours are for terminals"
    assert report["verdict"] == "PASS"
    assert report["rehearsal"] is True
    assert report["phase"] == "rehearsal"
    assert report["schema_version"]
    assert report["unjudged"]["p95_latency"] == "parity load"
    assert report["unjudged"]["rollback_drill"] == "parity drill"
    for pair in report["pairs"]:
        assert set(pair["images"]) >= {"attempted", "answered_by_both"}
        assert set(pair["accuracy"]["reference"]) >= {
            "AP",
            "AP50",
            "AP75",
            "APs",
            "APm",
            "APl",
            "AR1",
            "AR10",
            "AR100",
        }
        assert set(pair["accuracy"]["difference"]["AP"]) >= {
            "value", "interval", "confidence", "relative_percent", "relative_percent_interval",
        }  # fmt: skip
        assert {c["name"] for c in pair["criteria"]} == {
            "image_coverage", "finite_outputs", "map_variance", "worst_class", "operating_point",
            "flip_rate", "confidence_shift", "box_agreement",
        }  # fmt: skip
        for criterion in pair["criteria"]:
            assert set(criterion) == {
                "name",
                "outcome",
                "observed",
                "limit",
                "unit",
                "sense",
                "interval",
                "n",
                "message",
            }
        digests = json.dumps(pair["provenance"])
        assert pair["provenance"]["reference"]["weights_sha256"] in digests
    for name in ("index.html", "criteria.csv", "images.csv", "differences.csv"):
        assert (folder / name).stat().st_size > 0
    assert "REHEARSAL" in (folder / "index.html").read_text()
    assert not list(folder.rglob(".*")), "no temporary file is left"


def test_int8_fails(tmp_path: Path, kept: Path) -> None:
    done = parity(
        "run", "demo/int8.toml", "--model", "yolo26", "--limit-images", "150",
        "--out", str(tmp_path), "--cache", str(kept),
    )  # fmt: skip
    assert done.returncode == 10, done.stdout + done.stderr
    assert "verdict: FAIL" in done.stdout


def test_fp16_is_judged_by_what_it_is(tmp_path: Path, kept: Path) -> None:
    done = parity(
        "run", "demo/fp16.toml", "--model", "yolo26", "--limit-images", "150",
        "--out", str(tmp_path), "--cache", str(kept),
    )  # fmt: skip
    assert done.returncode in (0, 11), done.stdout + done.stderr
    _, report = only_report(tmp_path)
    assert report["pairs"][0]["accuracy"]["difference"]["AP"]["value"] != 0


def start(tmp_path: Path, kept: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PARITY, "run", "--model", "yolo26", "--out", str(tmp_path / "out"), "--cache", str(kept)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def servers(pid: int) -> list[int]:
    """Process ids of the tritonservers under a process."""
    found = []
    for child in children(pid):
        try:
            name = Path(f"/proc/{child}/comm").read_text().strip()
        except OSError:
            continue
        found += [child] if name.startswith("tritonserver") else []
        found += servers(child)
    return found


def evidence(tmp_path: Path) -> list[Path]:
    return list(tmp_path.glob("out/*/evidence/yolo26/reference.images.parquet"))


def test_kill_9_of_triton_ends_in_exit_4_with_what_was_computed(tmp_path: Path, kept: Path) -> None:
    process = start(tmp_path, kept)
    assert eventually(lambda: bool(evidence(tmp_path)), 180)
    time.sleep(0.3)
    (server,) = servers(process.pid)
    os.kill(server, signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 4, stdout + stderr
    assert "Triton stopped answering" in stderr
    assert "Traceback" not in stderr
    folder, report = only_report(tmp_path / "out")
    assert report["verdict"] != "PASS"
    assert "Triton stopped answering" in report["error"]
    assert "verdict: FAIL (of what was computed; the run stopped)" in stdout
    (pair,) = report["pairs"]
    assert 0 < pair["images"]["answered_by_both"] < pair["images"]["attempted"] == 500
    assert (folder / "index.html").is_file()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_no_server(tmp_path: Path, kept: Path, number: int, code: int) -> None:
    process = start(tmp_path, kept)
    assert eventually(lambda: bool(servers(process.pid)), 180)
    server = servers(process.pid)[0]
    time.sleep(2)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    # Where SIGINT meets an import, CPython itself ends by the signal; a shell shows 130 for both.
    assert process.returncode in (code, -number), stdout + stderr
    assert "Traceback" not in stderr
    assert eventually(lambda: gone(server), 20)


def test_a_server_that_is_not_there(tmp_path: Path, kept: Path) -> None:
    path = run_file(tmp_path, ('precision = "fp32"', 'url = "127.0.0.1:1"'))
    done = parity("run", str(path), "--out", str(tmp_path / "out"), "--cache", str(kept))
    assert done.returncode == 4
    assert "127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists(), "nothing was begun, so nothing is written"


def test_a_server_that_is_not_triton(tmp_path: Path, kept: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        path = run_file(
            tmp_path, ('precision = "fp32"', f'url = "127.0.0.1:{other.server_port}"\ntimeout = 5')
        )
        done = parity("run", str(path), "--out", str(tmp_path / "out"), "--cache", str(kept))
        other.shutdown()
    assert done.returncode == 4
    assert "8000 is HTTP" in done.stderr


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ([('"letterbox"', '"letterbocks"'), ('"fp32"', '"fp31"')], 2, "2 problems"),
        ([("rtdetr-small-street.pt", "gone.pt")], 3, "gone.pt"),
        ([("yolo26n-street.pt", "../make_dataset.py")], 3, "make_dataset.py"),
        ([('["person", "bicycle"', '["bicycle", "person"')], 3, "the same in another order"),
        ([('["person", ', '["human", ')], 3, "only the model has ['human']"),
    ],
)
def test_bad_run_files(
    tmp_path: Path, kept: Path, changes: list[tuple[str, str]], code: int, words: str
) -> None:
    done = parity(
        "run", str(run_file(tmp_path, *changes)), "--limit-images", "2",
        "--out", str(tmp_path / "out"), "--cache", str(kept),
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("report.json"))


@pytest.mark.parametrize("arguments", [["run", "--modle", "x"], ["run", "--model", "yolo27"], ["rum"]])
def test_bad_command_lines(arguments: list[str]) -> None:
    done = parity(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_does_not_change_the_exit_code(tmp_path: Path, kept: Path) -> None:
    """As `parity run | head -1` does."""
    command = (
        f"{' '.join(PARITY)} run --model rtdetr --limit-images 40 --out {tmp_path} --cache {kept} | true"
    )
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode in (0, 11), done.stderr


def test_an_output_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in ("/proc/x", str(tmp_path / "file"), str(tmp_path / "file" / "below")):
        done = parity("run", "--out", out)
        assert done.returncode == 2
        assert f"--out {out}" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_full_disk_is_one_message(tmp_path: Path, kept: Path) -> None:
    """/dev/full is no folder, so a real file system of no size stands in for the disk."""
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=False
    ).returncode:
        pytest.skip("mounting needs root")
    try:
        done = parity(
            "run", "--model", "yolo26", "--limit-images", "40", "--out", str(small), "--cache", str(kept)
        )
        assert done.returncode == 3, done.stdout + done.stderr
        assert "No space left" in done.stderr
        assert "Traceback" not in done.stderr
        assert not list(small.rglob(".*")), "no half-written file is left"
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_two_runs_at_once_do_not_disturb_each_other(tmp_path: Path, kept: Path) -> None:
    arguments = [
        "run",
        "--model",
        "rtdetr",
        "--limit-images",
        "40",
        "--out",
        str(tmp_path),
        "--cache",
        str(kept),
    ]
    with futures.ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda _: parity(*arguments), range(2)))
    codes = [done.returncode for done in runs]
    assert codes in ([0, 0], [11, 11]), [done.stdout + done.stderr for done in runs]
    assert len(list(tmp_path.iterdir())) == 2


def test_serve_keeps_a_server_until_ctrl_c(kept: Path) -> None:
    process = subprocess.Popen(
        [*PARITY, "serve", "--cache", str(kept)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = {}
    for line in process.stdout:
        words = line.split()
        lines[words[0]] = words[-1]
        if words[0] == "log":
            break
    server = servers(process.pid)[0]
    import tritonclient.grpc

    with tritonclient.grpc.InferenceServerClient(lines["gRPC"]) as client:
        assert client.is_model_ready("yolo26")
        assert client.is_model_ready("rtdetr")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr
    assert eventually(lambda: gone(server), 20)
