"""Building without the heavy parts: who is chosen, what is put in place, what the command refuses."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from parity.cli import app, repository_build
from parity.config import RunFile
from parity.errors import EvidenceError, RunnerError, UsageError
from parity.progress import Silent
from parity.repository import build as module
from parity.repository.builders import BUILDERS, Built, Job, ToDo, Wish, choose
from parity.repository.builders.container import IMAGE, Container
from parity.repository.graphs import Graph
from parity.repository.manifest import BatchProfile, Stage, read_manifest
from parity.repository.precision import Signature, TensorSpec
from tests import build_jobs

DIGEST = "0" * 64


def options(folder: Path, **changes: Any) -> module.Options:
    values: dict[str, Any] = {
        "precision": "fp16",
        "converter": None,
        "builder": "fake",
        "profile": BatchProfile(min=1, opt=4, max=8),
        "workspace_mib": None,
        "wish": Wish(capabilities=(), engine=None),
        "repository": None,
        "version": 1,
        "onnx": None,
        "image": IMAGE,
        "cache": folder / "cache",
    }
    return module.Options(**{**values, **changes})


class Fake:
    """Writes the bytes that it is given, or fails: what `build` does around a builder needs no engine."""

    def __init__(self, content: bytes, runtime: str = "tensorrt") -> None:
        self.content = content
        self.runtime = runtime

    def missing(self, wish: Wish) -> str:
        return ""

    def build(self, job: Job, progress: Any) -> Built:
        if not self.content:
            raise RunnerError("no engine today")
        plan = job.work / "plan"
        plan.write_bytes(self.content)
        return Built(
            plan=plan, tensorrt_version="10.16.2", capabilities=("8.9",), seconds=1.0, command="by hand"
        )


@pytest.fixture
def run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFile:
    """A run file whose stages 1 and 2 are already done."""
    (tmp_path / "w.pt").write_bytes(b"weights")
    (tmp_path / "graph.onnx").write_bytes(b"graph")
    spec = TensorSpec(name="images", datatype="FP32", dims=(3, 64, 96))
    graph = Graph(
        path=tmp_path / "graph.onnx",
        weights_sha256="1" * 64,
        stages=(Stage(name="onnx", sha256=DIGEST, seconds=0, versions={}),),
        signature=Signature(inputs=(spec,), outputs=(spec,)),
        tensor_types={"FP32": ("images",)},
    )
    monkeypatch.setattr(module, "made_graph", lambda *_: graph)
    return RunFile.model_validate(
        {
            "dataset": "d",
            "model_repository": tmp_path / "repository",
            "datasets": {"d": {"path": tmp_path}},
            "models": {"yolo": build_jobs.model(tmp_path / "w.pt").model_dump()},
            "reference": {"runner": "ultralytics"},
            "candidate": {"runner": "triton"},
        }
    )


def build(
    run_file: RunFile, folder: Path, builder: Any, monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> Any:
    monkeypatch.setitem(BUILDERS, "fake", builder)
    return module.build(run_file, "yolo", options(folder, **changes), Silent())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_plan_graph_and_manifest_are_put_in_place(
    tmp_path: Path, run_file: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = build(run_file, tmp_path, Fake(build_jobs.plan()), monkeypatch)
    folder = tmp_path / "repository" / "yolo" / "1"
    assert placed.folder == folder
    assert sorted(contents(folder)) == ["build.json", "model.onnx", "model.plan"]
    assert read_manifest(folder / "build.json") == placed.manifest
    assert placed.manifest.stages[-1].sha256 == placed.manifest.plan_sha256
    assert [path.name for path in folder.parent.iterdir()] == ["1"]
    assert list((tmp_path / "cache").glob(".build-*")) == []


@pytest.mark.parametrize(
    ("content", "error"),
    [(b"", RunnerError), (b"no plan", EvidenceError), (build_jobs.plan()[:50], EvidenceError)],
)
def test_a_failed_build_leaves_the_former_version(
    tmp_path: Path,
    run_file: RunFile,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    error: type[Exception],
) -> None:
    build(run_file, tmp_path, Fake(build_jobs.plan()), monkeypatch)
    before = contents(tmp_path / "repository")
    with pytest.raises(error):
        build(run_file, tmp_path, Fake(content), monkeypatch)
    assert contents(tmp_path / "repository") == before
    assert list((tmp_path / "cache").glob(".build-*")) == []


def test_a_full_disk_leaves_the_former_version(
    tmp_path: Path, run_file: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(run_file, tmp_path, Fake(build_jobs.plan()), monkeypatch)
    before = contents(tmp_path / "repository")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_manifest", full)
    with pytest.raises(OSError, match="No space left"):
        build(run_file, tmp_path, Fake(build_jobs.plan(size=200)), monkeypatch)
    assert contents(tmp_path / "repository") == before


def test_what_else_lies_in_the_version_stays(
    tmp_path: Path, run_file: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "repository" / "yolo" / "1"
    (folder / "notes").mkdir(parents=True)
    (folder / "README.md").write_text("mine")
    (folder / "notes" / "n.txt").write_text("mine too")
    (folder / "model.plan").write_bytes(b"former")
    build(run_file, tmp_path, Fake(build_jobs.plan()), monkeypatch)
    found = contents(folder)
    assert (found["README.md"], found["notes/n.txt"]) == (b"mine", b"mine too")
    assert found["model.plan"] == build_jobs.plan()


def test_plans_of_tensorrt_rtx_stay_out_of_tritons_repository(
    tmp_path: Path, run_file: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Fake(build_jobs.plan(b"vtrt"), "tensorrt-rtx")
    placed = build(run_file, tmp_path, fake, monkeypatch)
    assert placed.plan == tmp_path / "builds" / "tensorrt-rtx" / "yolo" / "1" / "model.rtx.plan"
    assert placed.manifest.runtime == "tensorrt-rtx"
    (tmp_path / "triton" / "yolo").mkdir(parents=True)
    (tmp_path / "triton" / "yolo" / "config.pbtxt").touch()
    with pytest.raises(UsageError, match="Triton loads no plan of TensorRT-RTX"):
        build(run_file, tmp_path, fake, monkeypatch, repository=tmp_path / "triton")


def test_nothing_at_hand_but_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    chosen = choose(Wish(capabilities=(), engine=None), None)
    assert chosen.name == "container"
    assert list(chosen.passed_over) == ["engine-file", "tensorrt", "trtexec", "tensorrt-rtx"]
    assert chosen.passed_over["trtexec"].startswith("trtexec is neither on the PATH nor")
    assert choose(Wish(capabilities=(), engine=None), "container").passed_over == {}
    assert choose(Wish(capabilities=(), engine=tmp_path / "e"), None).name == "engine-file"
    with pytest.raises(UsageError, match="did you mean 'trtexec'"):
        choose(Wish(capabilities=(), engine=None), "trtexe")


def test_why_only_a_command_is_left_is_told(
    tmp_path: Path, run_file: RunFile, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    todo = module.build(run_file, "yolo", options(tmp_path, builder=None), Silent())
    assert isinstance(todo, ToDo)
    repository_build._explain("yolo", todo)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "yolo: nothing was built, since no builder can here:"
    assert [line.split(":")[0].strip() for line in lines[1:5]] == list(todo.passed_over)
    assert lines[5] == "Where there is a GPU, run:"
    asked = module.build(run_file, "yolo", options(tmp_path, builder="container"), Silent())
    assert isinstance(asked, ToDo)
    repository_build._explain("yolo", asked)
    assert capsys.readouterr().err.splitlines()[0] == "yolo: nothing was built."


def test_a_folder_that_nothing_can_be_written_in_is_one_for_models(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = CliRunner().invoke(app, ["repository", "build", "--out", str(tmp_path / "file" / "x")])
    assert done.exit_code == 2
    assert "a folder that models can be written in" in done.output


def test_the_container_command_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys,
        "argv",
        ["parity", "repository", "build", "--builder", "container", "--model=a", "--version", "2"],
    )
    job = build_jobs.job(tmp_path)
    job.onnx.write_bytes(b"graph")
    todo = Container().build(job, Silent())
    assert isinstance(todo, ToDo)
    first, second = (shlex.split(command) for command in todo.commands)
    assert first[:5] == ["docker", "run", "--rm", "--gpus", "all"]
    assert f"{tmp_path}/hand over:/build" in first
    assert first[first.index("registry.example/triton:1") + 1] == "/usr/src/tensorrt/bin/trtexec"
    assert {"--onnx=/build/model.onnx", "--saveEngine=/build/model.plan", "--stronglyTyped"} <= set(first)
    assert (job.handover / "model.onnx").read_bytes() == b"graph"
    assert second[:5] == ["parity", "repository", "build", "--version", "2"]
    assert second[5:9] == ["--model", "yolo", "--builder", "engine-file"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--profile", "8,4,1"], "three batch sizes that do not fall"),
        (["--profile", "1,4"], "three batch sizes"),
        (["--compute-capability", "ada"], "such as 8.9"),
        (["--precision", "int8"], "add --embedded"),
        (["--engine", "x.engine"], "one model, named by --model"),
        (["--engine", "x", "--model", "yolo26", "--builder", "trtexec"], "--builder engine-file, or none"),
        (["--model", "yolo27"], "did you mean 'yolo26'"),
        (["--out", ""], "an empty name"),
        (["--embedded", "--out", "model_repository"], "the production repository"),
    ],
)
def test_options_that_are_refused(tmp_path: Path, arguments: list[str], told: str) -> None:
    done = CliRunner().invoke(app, ["repository", "build", "--cache", str(tmp_path), *arguments])
    assert done.exit_code == 2, done.output
    assert told in done.output
    assert list(tmp_path.iterdir()) == []
