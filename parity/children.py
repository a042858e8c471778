"""Runs another program to its end, looking in on it now and then so that a step can tell how far it is."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

POLL_S = 0.1
TAIL_LINES = 15


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a program ended. problem: what went wrong, empty when nothing did. tail: its last lines."""

    problem: str
    tail: str


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    timeout_s: float,
    watch: Callable[[int], None],
    folder: Path | None = None,
    log: Path | None = None,
) -> Ended:
    """Run a program without input in `folder`; it never outlives this call.

    watch: called with its process id every `POLL_S` seconds while it runs. log: file that takes what it says,
    for `watch` to read; without one only the answer has the end of it. Raises nothing of its own: a program
    that cannot be started, takes longer than `timeout_s` or fails is told in the answer.
    """
    with _output(log) as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            return Ended(problem=f"could not be started: {error.strerror}", tail="")
        try:
            problem = _wait(process, timeout_s, watch)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        output.seek(0)
        lines = output.read().decode(errors="replace").strip().splitlines()
        return Ended(problem=problem, tail="\n".join(lines[-TAIL_LINES:]))


def _output(log: Path | None) -> contextlib.AbstractContextManager[IO[bytes]]:
    return tempfile.TemporaryFile() if log is None else log.open("w+b")


def _wait(process: subprocess.Popen[bytes], timeout_s: float, watch: Callable[[int], None]) -> str:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            status = process.wait(POLL_S)
        except subprocess.TimeoutExpired:
            watch(process.pid)
            if time.monotonic() > deadline:
                return f"took longer than {timeout_s / 60:.0f} minutes"
        else:
            return f"ended with status {status}" if status else ""
