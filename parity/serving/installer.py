"""Fills a virtual environment from the package index, and tells how far it is."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from parity import children
from parity.errors import RunnerError
from parity.progress import Step

MEGABYTES = 380
"""What uv writes for the embedded Triton when it has none of it; what is cached already comes for free."""

TIMEOUT_S = 1800.0


def install(root: Path, interpreter: Path, requirements: tuple[str, ...], step: Step) -> None:
    """Make a virtual environment at `root` and install into it, by uv where there is one.

    step: advanced by the megabytes that were written. Raises RunnerError with the last of what the
    installer said when it fails, or takes longer than `TIMEOUT_S`.
    """
    python = str(root / "bin" / "python")
    uv = _uv()
    if uv:
        commands = [
            [*uv, "venv", "--quiet", "--python", str(interpreter), str(root)],
            [*uv, "pip", "install", "--quiet", "--python", python, *requirements],
        ]
    else:
        commands = [
            [str(interpreter), "-m", "venv", str(root)],
            [python, "-m", "pip", "install", "--quiet", *requirements],
        ]
    mixed = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    variables = {key: value for key, value in os.environ.items() if key not in mixed}
    told = 0

    def watch(pid: int) -> None:
        nonlocal told
        written = _megabytes_written(pid)
        step.advance(max(0, written - told))
        told = max(told, written)

    for command in commands:
        ended = children.run(command, environment=variables, timeout_s=TIMEOUT_S, watch=watch)
        if ended.problem:
            name = Path(command[0]).name
            raise RunnerError(
                f"installing the embedded Triton failed: {name} {ended.problem}\n{ended.tail}",
                where=str(root),
                expected=f"{', '.join(requirements)} from PyPI",
                remedy="check the network and the package index, or name a running server in the run file",
            )


def _megabytes_written(pid: int) -> int:
    """What a process has written to files so far, by Linux's own count; 0 where that cannot be read."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("wchar:"))) // 1_000_000
    except (OSError, StopIteration, ValueError):
        return 0


def _uv() -> list[str] | None:
    """How to call uv, None when it is not installed."""
    if found := shutil.which("uv"):
        return [found]
    return [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") else None
