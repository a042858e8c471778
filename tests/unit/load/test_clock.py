"""The real event loop and the real threads: timers, Ctrl-C, and results that find their way back."""

from __future__ import annotations

import asyncio
import gc
import mmap
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from typing import Any

import numpy as np
import pytest

from parity.load.clock import FineSelector, run_on_fine_loop, undisturbed
from parity.load.threads import WorkerThreads, cores


def test_the_loop_waits_as_long_as_it_is_told_and_not_in_whole_milliseconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By itself epoll rounds up to the next millisecond; what is really waited is the system's affair."""
    waited: list[float | None] = []

    def noted(read: Any, write: Any, error: Any, timeout: float | None) -> Any:
        waited.append(timeout)
        return [], [], []

    with FineSelector() as selector:
        monkeypatch.setattr("parity.load.clock.select.select", noted)
        assert selector.select(0.0003) == []
    assert waited == [0.0003]
    monkeypatch.undo()

    async def main() -> Any:
        return asyncio.get_running_loop()._selector  # type: ignore[attr-defined]

    assert isinstance(run_on_fine_loop(main), FineSelector)


def test_timers_are_never_early() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        late = []
        for _ in range(50):
            due = loop.time() + 0.0003
            await asyncio.sleep(0.0003)
            late.append(loop.time() - due)
        return late

    assert min(run_on_fine_loop(main)) > -1e-6


def test_sockets_wake_the_loop_while_it_waits_for_a_timer() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            began = loop.time()
            threading.Timer(0.02, theirs.send, (b"x",)).start()
            assert await asyncio.wait_for(loop.sock_recv(ours, 1), 60) == b"x"
            return loop.time() - began

    assert 0.02 <= run_on_fine_loop(main) < 50


def test_ctrl_c_lets_the_work_end_what_it_began_and_then_interrupts() -> None:
    ended = []
    before = signal.getsignal(signal.SIGINT)

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        run_on_fine_loop(main)
    assert ended == [True]
    assert signal.getsignal(signal.SIGINT) is before


def test_what_the_work_raises_comes_through_and_nothing_is_left() -> None:
    left: list[str] = []

    async def forgotten() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            left.append("ended")

    async def main() -> None:
        task = asyncio.ensure_future(forgotten())
        await asyncio.sleep(0)
        del task
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_on_fine_loop(main)
    assert left == ["ended"]


def test_a_cancelled_task_is_no_ctrl_c() -> None:
    async def main() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_on_fine_loop(main)


def test_the_collector_forgets_what_was_frozen_only_for_the_run() -> None:
    with undisturbed():
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


def test_threads_give_results_and_errors_to_those_who_asked() -> None:
    async def main() -> None:
        with WorkerThreads(3, time.monotonic) as threads:
            results = await asyncio.gather(*(threads.call(pow, n, 2) for n in range(500)))
            assert [value for value, _, _ in results] == [n * n for n in range(500)]
            assert all(began <= ended for _, began, ended in results)
            with pytest.raises(ZeroDivisionError):
                await threads.call(divmod, 1, 0)
            assert (await threads.call(threading.get_ident))[0] != threading.get_ident()

    run_on_fine_loop(main)


def test_as_many_calls_run_at_a_time_as_there_are_threads() -> None:
    async def main() -> None:
        barrier = threading.Barrier(4)
        with WorkerThreads(4, time.monotonic) as threads:
            await asyncio.gather(*(threads.call(barrier.wait, 60) for _ in range(4)))

    run_on_fine_loop(main)


def test_a_call_that_nobody_waits_for_any_more_is_dropped() -> None:
    async def main() -> None:
        go = threading.Event()
        with WorkerThreads(1, time.monotonic) as threads:
            first, second = threads.call(go.wait, 60), threads.call(go.is_set)
            third = threads.call(go.is_set)
            second.cancel()
            go.set()
            assert (await first)[0] and (await third)[0]
            assert second.cancelled()

    run_on_fine_loop(main)


def test_threads_hold_on_to_nothing_after_a_call() -> None:
    async def main() -> None:
        with WorkerThreads(1, time.monotonic) as threads:
            payload: Any = np.zeros(10)
            seen = weakref.ref(payload)
            await threads.call(len, payload)
            await threads.call(int)
            del payload
            assert seen() is None

    run_on_fine_loop(main)


def test_there_is_a_core() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


TENSORS = """
import resource
import numpy as np
from parity.load.clock import undisturbed

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        tensors = [np.ones(1 << 20, np.uint8) for _ in range(16)]
        del tensors
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

by_itself = faults()
with undisturbed():
    faults()
    print(by_itself, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="no C library that can be told")
def test_freed_memory_stays_for_the_next_tensor() -> None:
    told = subprocess.run([sys.executable, "-c", TENSORS], capture_output=True, text=True, check=True)
    by_itself, kept = map(int, told.stdout.split())
    pages = 20 * (16 << 20) // mmap.PAGESIZE
    assert by_itself > pages / 2, "otherwise there is nothing to keep"
    assert kept < pages / 20
