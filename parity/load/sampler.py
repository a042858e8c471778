"""Something read again and again in the background, until it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from parity.errors import first_line

T = TypeVar("T")


class Sampler(Generic[T]):
    """Awaits `read` again and again, with `interval_s` before each; a reading that fails ends nothing.

    Runs as a task of the event loop that `start` is called in, so `read` must not block it.
    """

    def __init__(self, read: Callable[[], Awaitable[T]], interval_s: float) -> None:
        self.read = read
        self.interval_s = interval_s
        self.readings: list[T] = []
        self.failures: list[str] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the readings so far are forgotten."""
        self.readings, self.failures = [], []
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> list[T]:
        """End, also in the midst of a reading, and give what was read. Harmless when nothing runs."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        return self.readings

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self.interval_s)
            try:
                self.readings.append(await self.read())
            except Exception as error:  # noqa: BLE001  # what is observed must not end because it was not seen
                self.failures.append(first_line(error))
