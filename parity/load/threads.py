"""Threads for encoding and decoding, with a way back to the event loop that costs little.

`loop.run_in_executor` with a ThreadPoolExecutor costs some 20 microseconds of processor time a call with
eight calls under way, and this 5: no lock or condition is made for a call, and results that are ready
together wake the loop once. Decoding and resizing a small picture takes 600, and what is spent here is
missing there.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Protocol

from typing_extensions import Self

Clock = Callable[[], float]


class Threads(Protocol):
    """Something that calls functions off the event loop."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[tuple[Any, float, float]]:
        """What the function gives, and when it began and ended, by the clock; or what it raises."""
        ...


class WorkerThreads:
    """A fixed number of threads that take calls in the order in which they are made.

    Entered and left on the event loop that it serves. Leaving waits for the calls that have begun.
    """

    def __init__(self, count: int, clock: Clock) -> None:
        self.count = count
        self.clock = clock
        self._loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._ready: deque[_Outcome] = deque()
        self._woken = False
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        for number in range(self.count):
            thread = threading.Thread(target=self._work, name=f"parity-load-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()

    def call(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[tuple[Any, float, float]]:
        """Have a thread call the function."""
        future: asyncio.Future[tuple[Any, float, float]] = self._loop.create_future()
        self._calls.put((future, function, arguments))
        return future

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function, arguments = call
            if future.cancelled():
                continue
            began = self.clock()
            try:
                result, error = function(*arguments), None
            except Exception as problem:  # noqa: BLE001  # it is the caller's, and is raised there
                result, error = None, problem
            self._ready.append((future, error, (result, began, self.clock())))
            del call, future, function, arguments, result, error  # a payload is not to outlive its request
            if not self._woken:
                self._woken = True
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        # First this, so that a result which is added from here on wakes the loop again.
        self._woken = False
        while self._ready:
            future, error, outcome = self._ready.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(outcome)
            else:
                future.set_exception(error)


_Call = tuple["asyncio.Future[tuple[Any, float, float]]", Callable[..., Any], tuple[Any, ...]]
_Outcome = tuple["asyncio.Future[tuple[Any, float, float]]", "Exception | None", tuple[Any, float, float]]


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
