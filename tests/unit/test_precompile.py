"""Compiling ahead: it fits what is called later, never fails a run, and leaves no process behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from parity import precompile
from tests.compare_command import nearly_equal

AHEAD = ("lanes.", "pairing.", "resampling.")


def compiled_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.nbc") if path.name.startswith(AHEAD)}


def test_a_comparison_finds_everything_compiled(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    warm = subprocess.Popen([sys.executable, "-m", "parity.warmup"], env=environment, stdin=subprocess.PIPE)
    assert warm.wait(120) == 0
    ahead = compiled_in(tmp_path / "cache")
    assert len(ahead) >= len(AHEAD)
    files = nearly_equal(tmp_path / "in")
    command = [sys.executable, "-m", "parity", "compare", str(files.reference), str(files.candidate)]
    command += ["--annotations", str(files.annotations), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode in (0, 11), done.stderr
    assert compiled_in(tmp_path / "cache") == ahead, "types differ: something was compiled twice"


def test_the_process_ends_with_the_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with precompile.compiling_ahead():
        (child,) = precompile._children
        assert child.poll() is None
    assert child.poll() is not None
    assert not precompile._children


def test_the_process_ends_when_its_parent_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-m", "parity.warmup"], stdin=subprocess.PIPE)
    assert child.stdin is not None
    time.sleep(0.2)
    child.stdin.close()
    assert child.wait(60) == 0


def test_nothing_starts_where_the_kernels_are_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "accuracy_1").mkdir()
    (tmp_path / "accuracy_1" / "lanes._resample-1.py311.nbi").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    with precompile.compiling_ahead():
        assert not precompile._children


def test_a_process_that_cannot_start_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with precompile.compiling_ahead():
        precompile.wait()
