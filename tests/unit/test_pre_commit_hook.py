"""The hook is one that pre-commit takes, and runs where it has to: by pre-commit itself, in git."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.repository_samples import Sample

pytest.importorskip("pre_commit")
if shutil.which("git") is None:
    pytest.skip("pre-commit runs nowhere but in git, which is not installed", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = ROOT / ".pre-commit-hooks.yaml"
PARITY = f'{sys.executable} -c "from parity.cli import main; main()"'


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "PRE_COMMIT"))}
    changes = {
        "PRE_COMMIT_HOME": str(folder.parent / "pre-commit"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]]),
    }
    return subprocess.run(
        command, cwd=folder, env={**kept, **changes}, capture_output=True, text=True, check=False
    )


def pre_commit(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(folder, sys.executable, "-m", "pre_commit", *arguments)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with a clean model repository and the hook, which runs with this interpreter."""
    folder = tmp_path / "git"
    Sample().write(folder)
    (hook,) = yaml.safe_load(MANIFEST.read_text("utf-8"))
    local: dict[str, Any] = {**hook, "language": "system", "args": ["--no-run-file", "repository"]}
    del local["additional_dependencies"]
    program, *words = shlex.split(hook["entry"])
    assert program == "parity"
    local["entry"] = f"{PARITY} {shlex.join(words)}"
    (folder / ".pre-commit-config.yaml").write_text(
        yaml.safe_dump({"repos": [{"repo": "local", "hooks": [local]}]})
    )
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ):
        done = run(folder, "git", *command)
        assert done.returncode == 0, done.stderr
    return folder


def test_pre_commit_takes_the_definition(tmp_path: Path) -> None:
    done = pre_commit(tmp_path, "validate-manifest", str(MANIFEST))
    assert done.returncode == 0, done.stdout + done.stderr
    broken = tmp_path / "hooks.yaml"
    broken.write_text(MANIFEST.read_text("utf-8").replace("language: python", "language: cobol"))
    assert pre_commit(tmp_path, "validate-manifest", str(broken)).returncode != 0


def test_what_the_hook_installs_is_what_the_command_needs() -> None:
    (hook,) = yaml.safe_load(MANIFEST.read_text("utf-8"))
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert hook["additional_dependencies"] == project["optional-dependencies"]["repository"]


def test_a_deletion_is_checked(repository: Path) -> None:
    """A commit that only deletes hands no file on, so a hook that waited for its files would pass over it."""
    clean = pre_commit(repository, "run")
    assert (clean.returncode, "Passed" in clean.stdout) == (0, True), clean.stdout + clean.stderr
    assert run(repository, "git", "rm", "-q", "repository/yolo26/labels.txt").returncode == 0
    done = pre_commit(repository, "run")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "error LABELS" in done.stdout
