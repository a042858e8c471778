"""An event loop that keeps time to the microsecond, and a process that is not disturbed while it measures."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import select
import selectors
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

if sys.platform == "linux":

    class FineSelector(selectors.EpollSelector):
        """epoll that wakes on time: by itself it rounds a timeout up to the next millisecond.

        `select` waits to the microsecond, and an epoll descriptor can be waited for like any other. Without
        this every send of an open loop would be up to a millisecond late, and its latency as much too long.
        """

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            """As EpollSelector's. Falls back to it where the descriptor's number is too large."""
            if timeout is None or timeout <= 0 or self.fileno() >= MOST_DESCRIPTOR:
                return super().select(timeout)
            select.select([self.fileno()], [], [], timeout)
            return super().select(0)

else:
    FineSelector = selectors.DefaultSelector  # type: ignore[misc, unused-ignore]

MOST_DESCRIPTOR = 1024
"""FD_SETSIZE: `select` takes no descriptor from here on."""


def run_on_fine_loop(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end on an event loop of its own; what `asyncio.run` does, with fine timers.

    Ctrl-C cancels the coroutine, waits until it has ended what it began, and then raises KeyboardInterrupt.
    """
    loop = asyncio.SelectorEventLoop(FineSelector())
    interrupted = False
    try:
        asyncio.set_event_loop(loop)
        task = loop.create_task(main())

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            task.cancel()

        with _on_ctrl_c(loop, interrupt):
            return loop.run_until_complete(task)
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        try:
            left = asyncio.all_tasks(loop)
            for each in left:
                each.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


@contextmanager
def _on_ctrl_c(loop: asyncio.AbstractEventLoop, interrupt: Callable[[], None]) -> Iterator[None]:
    """Have Ctrl-C call `interrupt` on the loop, where this thread may take signals at all."""
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN or before is None:  # a shell's background job takes no Ctrl-C
        yield
        return
    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep the garbage collector from going through everything that exists, and memory from coming and going.

    A full collection of a process that has torch or numba loaded stops it for tens of milliseconds, which
    would be the p99 of a fast server.
    """
    gc.collect()
    gc.freeze()
    _keep_freed_memory()
    try:
        yield
    finally:
        gc.unfreeze()


def _keep_freed_memory() -> None:
    """Have the C library use freed memory again before it gives it back to the system; glibc's alone can.

    By itself it returns a tensor's pages and takes them anew for the next one: 236 page faults an image of
    256 pixels that goes through gRPC, and 0.4 ms of 2.2. Memory in use stays as flat as it is. This cannot be
    undone for the process, since glibc's own rule that adapts these limits ends when they are set.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""
_KEPT_BLOCK = 32 << 20
"""Largest block that is kept, bytes: the most that glibc takes."""
_KEPT = 256 << 20
