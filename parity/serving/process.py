"""A server process that cannot be left behind: parity's side of `parity.serving.supervisor`."""

from __future__ import annotations

import contextlib
import json
import select
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import getpid
from pathlib import Path
from typing import IO

from parity.errors import RunnerError

GRACE_S = 10.0
"""How long a server may take to end by itself before it is killed."""

START_S = 30.0
SUPERVISOR = Path(__file__).resolve().parent / "supervisor.py"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # not a place for temporary files but where regions show up


@dataclass(kw_only=True)
class Workspace:
    """What a server needs on this machine and what is removed after it: a folder and shared memory.

    folder: temporary, for the server alone. shm_prefix: names of its shared-memory regions begin with it.
    """

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="parity-triton-")))
    shm_prefix: str = field(default_factory=lambda: f"parity_{getpid()}_{uuid.uuid4().hex[:8]}_")

    def remove(self) -> None:
        """Remove what is left; harmless when the supervisor has done so."""
        for path in SHARED_MEMORY.glob(f"{self.shm_prefix}*"):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class SupervisedProcess:
    """A command that runs until `stop`, until it ends by itself, or until this process is gone.

    Raises RunnerError when the command cannot be started. pid: of the command.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], workspace: Workspace, log_path: Path
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SUPERVISOR)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal is for parity, which then ends the server itself
        )
        request = {
            "command": list(command),
            "environment": dict(environment),
            "folder": str(workspace.folder),
            "shm_prefix": workspace.shm_prefix,
            "log": str(log_path.resolve()),
            "grace_s": GRACE_S,
        }
        answer: dict[str, str | int] = {}
        try:
            self._send(json.dumps(request).encode() + b"\n")
            answer = self._answer()
        finally:
            if "pid" not in answer:
                self.stop()
        if "pid" not in answer:
            raise RunnerError(f"cannot be started: {answer['error']}", where=command[0])
        self.pid = int(answer["pid"])

    def alive(self) -> bool:
        """Whether the command still runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the command and everything that it started, and wait for that; harmless when it has ended."""
        self._send(b"stop\n")
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # closing flushes, and nobody may be left to read
                    stream.close()
        try:
            self._process.wait(GRACE_S + 10)
        except subprocess.TimeoutExpired:
            self._process.kill()  # the kernel then kills the server
            self._process.wait()

    def _send(self, data: bytes) -> None:
        stream: IO[bytes] | None = self._process.stdin
        if stream is not None and not stream.closed:
            with contextlib.suppress(OSError):  # it may have ended by itself; its silence tells
                stream.write(data)
                stream.flush()

    def _answer(self) -> dict[str, str | int]:
        """The supervisor's line: `pid`, or `error`."""
        stream: IO[bytes] | None = self._process.stdout
        line = stream.readline() if stream and select.select([stream], [], [], START_S)[0] else b""
        answer: dict[str, str | int] = {"error": "its supervisor does not answer"}
        return json.loads(line) if line.endswith(b"\n") else answer
