"""trtexec: its version, its flags, and how its process is handled.

The real program needs a GPU and is not run here. What stands in for it is a shell script that prints what
trtexec prints and ends as it is told: it tests parity's handling of a process, and nothing of TensorRT.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from parity.errors import RunnerError
from parity.progress import Silent
from parity.repository.builders import Wish, choose
from parity.repository.builders.trtexec import Trtexec, arguments, parse_version
from tests import build_jobs

BANNER = "&&&& RUNNING TensorRT.trtexec [TensorRT v{number}] [b48] # trtexec --help"
SMI = '#!/bin/sh\necho "0, GPU-5d5ba0d6, NVIDIA L4, 580.95.05, 8.9"\n'


@pytest.mark.parametrize(
    ("said", "version"),
    [
        (BANNER.format(number="101602"), (10, 16, 2)),
        (BANNER.format(number="100500"), (10, 5, 0)),
        (BANNER.format(number="110401"), (11, 4, 1)),
        (BANNER.format(number="8601"), (8, 6, 1)),
        (BANNER.format(number="11.1.0.106"), (11, 1, 0)),
        ("[I] TensorRT version: 11.2.1\n", (11, 2, 1)),
        (BANNER.format(number="12"), (0, 0, 12)),
        (BANNER.format(number="1.2"), None),
        ("trtexec: command not found", None),
        ("", None),
    ],
)
def test_versions(said: str, version: tuple[int, int, int] | None) -> None:
    assert parse_version(said) == version


def test_the_flags_of_10_and_of_11(tmp_path: Path) -> None:
    job = build_jobs.job(tmp_path, workspace_mib=2048)
    ten, eleven = (arguments(major, job, "m.onnx", "m.plan") for major in (10, 11))
    assert ten == [
        "--onnx=m.onnx",
        "--saveEngine=m.plan",
        "--minShapes=images:1x3x64x96",
        "--optShapes=images:4x3x64x96",
        "--maxShapes=images:8x3x64x96",
        "--stronglyTyped",
        "--memPoolSize=workspace:2048",
        "--skipInference",
    ]
    assert eleven == [flag for flag in ten if flag != "--stronglyTyped"]


@pytest.mark.parametrize("major", [10, 11, 12])
def test_flags_that_11_refuses_are_never_said(tmp_path: Path, major: int) -> None:
    flags = {flag.partition("=")[0] for flag in arguments(major, build_jobs.job(tmp_path), "m", "p")}
    assert not flags & {"--fp16", "--bf16", "--int8", "--fp8", "--best", "--workspace", "--calib"}


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str, number: str = "110401") -> None:
    """Scripts in place of trtexec and nvidia-smi, first on the PATH."""
    programs = folder / "bin"
    programs.mkdir()
    head = f"#!/bin/sh\necho '{BANNER.format(number=number)}'\n[ \"$1\" = --help ] && exit 0\n"
    for name, text in {"trtexec": head + body, "nvidia-smi": SMI}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(name, raising=False)


WRITES = 'for word in "$@"; do case $word in --saveEngine=*) printf plan > "${word#*=}";; esac; done\n'


def test_a_build_that_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, f"{WRITES}echo '&&&& PASSED TensorRT.trtexec'\n")
    job = build_jobs.job(tmp_path)
    assert choose(job.wish, "trtexec").name == "trtexec"
    built = Trtexec().build(job, Silent())
    assert built.plan.read_bytes() == b"plan"
    assert (built.tensorrt_version, built.gpu, built.driver) == ("11.4.1", "NVIDIA L4", "580.95.05")
    assert built.capabilities == ("8.9",)
    assert built.command.startswith("trtexec --onnx=model.onnx --saveEngine=model.plan --minShapes=")
    assert str(tmp_path) not in built.command


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("echo 'out of memory'; exit 1\n", "ended with status 1; its last words:"),
        (f"{WRITES}exit 0\n", "without saying PASSED"),
        ("echo '&&&& PASSED TensorRT.trtexec'\n", "wrote no plan"),
        ("kill -9 $$\n", "ended with status -9"),
    ],
)
def test_builds_that_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, told: str) -> None:
    stand_in(tmp_path, monkeypatch, body)
    with pytest.raises(RunnerError) as caught:
        Trtexec().build(build_jobs.job(tmp_path), Silent())
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("number", "told"), [("8601", "its TensorRT is 8.6.1"), ("x", "does not tell its version")]
)
def test_versions_that_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str, told: str
) -> None:
    stand_in(tmp_path, monkeypatch, "exit 0\n", number)
    with pytest.raises(RunnerError, match=told):
        Trtexec().build(build_jobs.job(tmp_path), Silent())


def test_another_gpu_than_the_one_that_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "exit 0\n")
    assert Trtexec().missing(Wish(capabilities=("8.9",), engine=None)) == ""
    assert "of 8.9, and for no other" in Trtexec().missing(Wish(capabilities=("9.0",), engine=None))


def test_what_is_missing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunnerError, match="trtexec is neither on the PATH nor"):
        choose(Wish(capabilities=(), engine=None), "trtexec")
