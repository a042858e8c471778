"""`python -m demo.load` waits for the command that it started, whatever Ctrl-C does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

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
