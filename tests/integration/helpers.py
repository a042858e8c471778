"""What the integration tests share: the demo's weights, models, and a look at processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from parity.config import ModelConfig

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("person", "bicycle", "car", "bus", "truck", "traffic light", "stop sign", "dog")
REPOSITORY = ROOT / "model_repository"


def weights(name: str) -> Path:
    """A checkpoint of the demo, from PARITY_TEST_WEIGHTS when that names a folder."""
    return Path(os.environ.get("PARITY_TEST_WEIGHTS", ROOT / "demo" / "weights")) / name


def yolo26(head: str = "nms-free", path: Path | None = None) -> ModelConfig:
    """The demo's YOLO26n."""
    return ModelConfig.model_validate(
        {
            "family": "yolo26",
            "weights": path or weights("yolo26n-street.pt"),
            "input_size": (256, 256),
            "resize": "letterbox",
            "head": head,
            "names": NAMES,
        }
    )


def rtdetr(path: Path | None = None) -> ModelConfig:
    """The demo's small RT-DETR."""
    return ModelConfig.model_validate(
        {
            "family": "rtdetr",
            "weights": path or weights("rtdetr-small-street.pt"),
            "input_size": (256, 256),
            "resize": "stretch",
            "head": "rtdetr",
            "names": NAMES,
        }
    )


def cache(factory: pytest.TempPathFactory) -> Path:
    """One cache folder for the whole test run: a new one, or PARITY_TEST_CACHE to save time on repeats."""
    kept = os.environ.get("PARITY_TEST_CACHE")
    if kept:
        return Path(kept)
    # Where several processes run the tests, each has a folder of its own in the run's.
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    return (factory.getbasetemp() if alone else factory.getbasetemp().parent) / "shared-cache"


def gone(pid: int) -> bool:
    """Whether a process has ended; one that only waits to be reaped has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in ("Z", "X")


def children(pid: int) -> list[int]:
    """Process ids of the direct children."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether the condition becomes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def halt(pid: int) -> None:
    """Stop a process that may go on with SIGCONT; returns when each of its threads has stopped.

    The signal alone is not enough: a thread that runs on another core may answer one more request.
    """
    os.kill(pid, signal.SIGSTOP)

    def stopped() -> bool:
        states = [
            path.read_text().rpartition(")")[2].split()[0]
            for path in Path(f"/proc/{pid}/task").glob("*/stat")
        ]
        return all(state in "TZX" for state in states)

    assert eventually(stopped), f"process {pid} goes on"
