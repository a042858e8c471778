"""Supervised processes with real commands in the server's place: every way in which they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from parity.errors import RunnerError
from parity.serving import process
from parity.serving.process import SUPERVISOR, SupervisedProcess, Workspace
from tests.integration.helpers import children, eventually, gone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the embedded server is Linux only")
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(99)"
)
WITH_CHILD = (
    "import subprocess, sys, time;"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)']); time.sleep(99)"
)


def start(tmp_path: Path, code: str) -> tuple[SupervisedProcess, Workspace]:
    workspace = Workspace()
    command = [sys.executable, "-c", code]
    return SupervisedProcess(command, dict(os.environ), workspace, tmp_path / "log"), workspace


def test_a_process_that_ends_by_itself(tmp_path: Path) -> None:
    running, workspace = start(tmp_path, "print('hello')")
    assert eventually(lambda: not running.alive())
    assert (tmp_path / "log").read_text() == "hello\n"
    running.stop()
    running.stop()
    assert not workspace.folder.exists()


def test_stop_ends_it_and_what_it_started(tmp_path: Path) -> None:
    running, workspace = start(tmp_path, WITH_CHILD)
    assert eventually(lambda: len(children(running.pid)) == 1)
    region = process.SHARED_MEMORY / f"{workspace.shm_prefix}region"
    region.write_bytes(b"x")
    (child,) = children(running.pid)
    running.stop()
    assert gone(running.pid)
    assert gone(child)
    assert not region.exists()
    assert not workspace.folder.exists()


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.5)
    running, _ = start(tmp_path, STUBBORN)
    assert eventually(lambda: (tmp_path / "log").read_text() == "up\n")
    running.stop()
    assert gone(running.pid)


def test_orphans_of_a_killed_process_are_ended(tmp_path: Path) -> None:
    running, _ = start(tmp_path, WITH_CHILD)
    assert eventually(lambda: len(children(running.pid)) == 1)
    (child,) = children(running.pid)
    os.kill(running.pid, signal.SIGKILL)
    assert eventually(lambda: not running.alive())
    assert gone(child)
    running.stop()


def test_a_killed_supervisor_takes_the_process_along(tmp_path: Path) -> None:
    running, workspace = start(tmp_path, "import time; time.sleep(99)")
    running._process.kill()
    assert eventually(lambda: gone(running.pid))
    running.stop()
    workspace.remove()
    assert not workspace.folder.exists()


def test_sigterm_to_the_supervisor_stops_the_process(tmp_path: Path) -> None:
    running, _ = start(tmp_path, "import time; time.sleep(99)")
    running._process.terminate()
    assert eventually(lambda: gone(running.pid))
    assert eventually(lambda: not running.alive())
    running.stop()


def test_ctrl_c_in_the_terminal_does_not_reach_it(tmp_path: Path) -> None:
    running, _ = start(tmp_path, "import time; time.sleep(99)")
    assert os.getpgid(running.pid) == running.pid
    assert len({os.getsid(pid) for pid in (0, running._process.pid, running.pid)}) == 3
    running.stop()


def test_a_command_that_does_not_exist(tmp_path: Path) -> None:
    workspace = Workspace()
    with pytest.raises(RunnerError, match="No such file") as caught:
        SupervisedProcess([str(tmp_path / "none")], {}, workspace, tmp_path / "log")
    assert caught.value.exit_code == 4
    assert not workspace.folder.exists()


def test_a_supervisor_without_a_request_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(SUPERVISOR)], input=b"", capture_output=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_fork_that_keeps_the_pipe_open_does_not_keep_the_server(tmp_path: Path) -> None:
    """A fork of parity holds the write end too; the parent's death must be seen all the same."""
    code = f"""
import os, sys, time
sys.path.insert(0, {str(Path(__file__).resolve().parents[3])!r})
from pathlib import Path
from parity.serving.process import SupervisedProcess, Workspace
command = [sys.executable, "-c", "import time; time.sleep(99)"]
running = SupervisedProcess(command, {{}}, Workspace(), Path({str(tmp_path / "log")!r}))
fork = os.fork()
if fork == 0:
    os.close(1)
    time.sleep(99)
print(running.pid, fork, flush=True)
time.sleep(99)
"""
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert host.stdout is not None
    pid, fork = map(int, host.stdout.readline().split())
    try:
        assert not gone(pid)
        host.kill()
        host.wait()
        assert eventually(lambda: gone(pid))
    finally:
        os.kill(fork, signal.SIGKILL)
        host.stdout.close()
