"""`python -m demo.load` waits for the command that it started, whatever Ctrl-C does."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from demo.load import running
from parity.errors import RunnerError
from parity.provenance import sha256_of_file

ROOT = Path(__file__).resolve().parents[2]
SLOW_TO_END = """
import signal, sys, time
def end(*_):
    time.sleep(1)
    print("ended by itself", flush=True)
    sys.exit(130)
signal.signal(signal.SIGINT, end)
print("up", flush=True)
time.sleep(99)
"""
DEMO = f"""
import sys
from demo.load import ended
sys.exit(ended([sys.executable, "-c", {SLOW_TO_END!r}]))
"""


def test_ctrl_c_leaves_the_command_the_time_to_end_what_it_began() -> None:
    demo = subprocess.Popen(
        [sys.executable, "-c", DEMO],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert demo.stdout is not None and demo.stdout.readline() == "up\n"
        os.killpg(demo.pid, signal.SIGINT)  # as a terminal does: to the demo and to the command
        assert demo.stdout.read() == "ended by itself\n"
        assert demo.wait() == 130
    finally:
        demo.kill()
        demo.stdout.close()  # type: ignore[union-attr]


@contextmanager
def answering(facts: object) -> Iterator[str]:
    """The address of a server that answers any GET with these facts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(facts).encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_service_of_the_same_weights_is_used_and_any_other_refused(tmp_path: Path) -> None:
    weights = tmp_path / "best.pt"
    weights.write_bytes(b"weights")
    same = {"model": "yolo26", "weights_sha256": sha256_of_file(weights)}
    with answering(same) as url:
        assert running(url, "yolo26", weights)
        with pytest.raises(RunnerError, match="in use by something else"):
            running(url, "rtdetr", weights)
    for other in ({**same, "weights_sha256": "0" * 64}, {}, ["yolo26"], None):
        with answering(other) as url, pytest.raises(RunnerError, match="stop it"):
            running(url, "yolo26", weights)


def test_a_free_port_takes_a_service_of_its_own(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert not running(f"http://127.0.0.1:{port}", "yolo26", tmp_path / "none.pt")


def test_a_service_whose_port_is_in_use_says_so_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "demo.service", "--model", "yolo26", "--port", port],
            check=False,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
    assert done.returncode == RunnerError.exit_code
    assert done.stderr.startswith(f"error: 127.0.0.1:{port}: cannot be listened on: ")
    assert "usage:" not in done.stderr and "--port" in done.stderr
