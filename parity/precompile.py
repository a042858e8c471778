"""Has the largest kernels compiled by a second process while the first call reads its files.

Numba compiles one kernel at a time in a process, and a first call would spend as long in compiling as in all
the rest. This changes no result: a process that fails, or is late, costs its time and nothing else.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from platformdirs import user_cache_path

PATIENCE_S = 20.0
KERNEL = "lanes._resample-*.nbi"
"""Index file of the largest kernel in Numba's cache; where there is one, nothing is left to gain."""

_children: list[subprocess.Popen[bytes]] = []


@contextmanager
def compiling_ahead() -> Iterator[None]:
    """Compile beside what runs in this context, unless that was done before or one processor is all."""
    if (os.cpu_count() or 1) > 1 and not _is_cached():
        with suppress(OSError):
            _children.append(
                subprocess.Popen(
                    [sys.executable, "-m", "parity.warmup"],
                    stdin=subprocess.PIPE,  # the process ends when this end of it closes, however we end
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
    try:
        yield
    finally:
        while _children:
            _end(_children.pop())


def wait() -> None:
    """Let the other process finish, so that nothing is compiled twice; at once where there is none."""
    for child in _children:
        with suppress(subprocess.TimeoutExpired):
            child.wait(PATIENCE_S)


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()
    child.wait()
    if child.stdin is not None:
        child.stdin.close()


def _is_cached() -> bool:
    """Whether some earlier call left the kernel in one of the folders that Numba uses."""
    beside = Path(__file__).parent / "accuracy" / "__pycache__"
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given:
        return any(Path(given).glob(f"*/{KERNEL}"))
    return any(beside.glob(KERNEL)) or any(user_cache_path("numba").glob(f"*/{KERNEL}"))
