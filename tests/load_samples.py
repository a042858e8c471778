"""An event loop whose time jumps, and served paths that exist in it alone: load without a machine's moods."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from parity.dataset import ImageProblem, ImageRecord
from parity.detections import Status
from parity.requests import RequestError
from parity.runners import ImageResult

T = TypeVar("T")


class _Jumping(selectors.DefaultSelector):
    """Instead of waiting, moves the loop's time to when the next timer is due."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events:
            if timeout is None:
                raise AssertionError("everything waits, and no timer will wake it")
            self.loop.now += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its `time()` moves only when nothing is left to do, so that sleeping is exact and takes no time."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _Jumping()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


class Inline:
    """Calls at once and on the same thread."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[tuple[Any, float, float]]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[Any, float, float]] = loop.create_future()
        began = loop.time()
        try:
            future.set_result((function(*arguments), began, loop.time()))
        except Exception as error:  # noqa: BLE001  # it is raised where it is awaited
            future.set_exception(error)
        return future


def in_virtual_time(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main())
    finally:
        assert not [task for task in asyncio.all_tasks(loop) if not task.done()], "tasks are left"
        loop.close()


def record(number: int, folder: Path) -> ImageRecord:
    path = folder / f"{number}.jpg"
    path.write_bytes(b"picture %d" % number)
    return ImageRecord(image_id=number, file_name=path.name, path=path, width=64, height=64)


class AnyReader:
    """Finds every file good but those of `bad`."""

    def __init__(self, bad: frozenset[int] = frozenset()) -> None:
        self.bad = bad

    def read(self, image: ImageRecord) -> NDArray[np.uint8]:
        if image.image_id in self.bad:
            raise ImageProblem(Status.UNREADABLE, "truncated")
        return np.zeros((64, 64, 3), np.uint8)

    def file(self, image: ImageRecord) -> bytes:
        return image.path.read_bytes()


@dataclass(kw_only=True)
class FakeTarget:
    """A path with `servers` at its end; each request takes one of them for `service(number)` seconds.

    service: seconds of the request of that number, from 0. fails: the exception instead of an answer, or
    None. Counts what is under way.
    """

    service: Callable[[int], float]
    servers: int = 1
    fails: Callable[[int], BaseException | None] = lambda number: None
    result: Callable[[ImageRecord, int], ImageResult] = lambda image, number: ImageResult(
        image_id=image.image_id
    )
    sent: list[float] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    entered: int = 0
    left: int = 0
    encoded: int = 0
    decoded: int = 0
    _gate: Any = None

    @property
    def endpoint(self) -> str:
        return "fake://target"

    async def __aenter__(self) -> Self:
        self.entered += 1
        self._gate = asyncio.Semaphore(self.servers)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.left += 1

    def encode(self, image: ImageRecord, file: bytes) -> Any:
        self.encoded += 1
        return np.zeros(100, np.uint8)

    async def send(self, payload: Any) -> int:
        number = len(self.sent)
        self.sent.append(asyncio.get_running_loop().time())
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            async with self._gate:
                await asyncio.sleep(self.service(number))
            error = self.fails(number)
            if error is not None:
                raise error
            return number
        finally:
            self.under_way -= 1

    def decode(self, image: ImageRecord, payload: Any, answer: int) -> ImageResult:
        self.decoded += 1
        return self.result(image, answer)


def unavailable() -> RequestError:
    return RequestError("gone", reason="unavailable", retryable=True)
