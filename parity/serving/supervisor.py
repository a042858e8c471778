"""The process between parity and tritonserver: it sees to it that no server is left behind.

Run as a script (`python -I -S supervisor.py`) with one line of JSON on standard input. It starts the server
in a session of its own, writes the server's process id to standard output, and stops the server when its
standard input says so or ends, when its parent is gone (also by kill -9), or on SIGTERM. It then kills what
is left of the server's process group and removes its shared memory and its folder. It is its own process
because only a process that outlives a killed parity can clean up after it. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
POLL_S = 0.5
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # not a place for temporary files but where regions show up


def main() -> int:
    """Start, watch, stop, clean up; the server's exit status, 128 + signal when it was killed."""
    parent = os.getppid()
    request: dict[str, Any] = json.loads(_read_line(0))
    # Orphans of the server (its Python stubs) become our children, so that they can be waited for.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake, asked = _listen()
    try:
        server = _start(request)
    except OSError as error:
        _say({"error": f"{error.strerror}: {error.filename or request['command'][0]}"})
        _clean(request)
        return 1
    _say({"pid": server.pid})
    while server.poll() is None and not asked and os.getppid() == parent:
        ready, _, _ = select.select([0, wake], [], [], POLL_S)
        if wake in ready:
            os.read(wake, 4096)
        if 0 in ready:
            break
    _stop(server, float(request["grace_s"]))
    _clean(request)
    status = server.returncode or 0
    return status if status >= 0 else 128 - status


def _listen() -> tuple[int, list[int]]:
    """Make signals wake the loop: the descriptor that becomes readable, and the list of SIGTERMs."""
    wake, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)
    asked: list[int] = []
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return wake, asked


def _start(request: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start the server so that the kernel kills it when this process is killed."""
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    with Path(request["log"]).open("ab") as log:
        return subprocess.Popen(
            request["command"],
            env=request["environment"],
            cwd=request["folder"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509  # this process has one thread
        )


def _stop(server: subprocess.Popen[bytes], grace_s: float) -> None:
    """End the server politely, then its whole group by force, and wait until none is left."""
    if server.poll() is None:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(grace_s)
    _kill_group(server.pid)
    server.wait()
    # Stubs end by themselves when the server is gone; they were adopted and are reaped here.
    deadline = time.monotonic() + 5
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            found, _ = os.waitpid(-1, os.WNOHANG)
            if not found:
                _kill_group(server.pid)
                time.sleep(0.02)


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _clean(request: dict[str, Any]) -> None:
    """Remove what a killed stub leaves in shared memory, and the server's folder."""
    for path in SHARED_MEMORY.glob(f"{request['shm_prefix']}*"):
        with contextlib.suppress(OSError):
            path.unlink()
    shutil.rmtree(request["folder"], ignore_errors=True)


def _read_line(descriptor: int) -> bytes:
    """One line straight from the kernel, so that nothing after it is lost in a buffer."""
    line = b""
    while not line.endswith(b"\n"):
        block = os.read(descriptor, 65536)
        if not block:
            sys.exit(0)  # the parent died before it asked for anything
        line += block
    return line


def _say(message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # nobody may be listening any more
        os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
