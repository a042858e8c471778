"""A served path as load is put on it: asynchronous, no retries, cut where the clock may start or stop."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol

from typing_extensions import Self

from parity.dataset import ImageRecord
from parity.runners.base import ImageResult


class Target(Protocol):
    """One side of a load run. An asynchronous context manager that opens and closes its connections.

    What a client of this path does for one image, in order: `encode` before sending, `send`, `decode` after.
    A service that takes pictures has nearly nothing to encode; a client of Triton decodes the picture and
    resizes it. So a fair comparison of two paths puts all three between start and stop of the clock.
    `encode` and `decode` may be called from other threads than `send`, several at a time.
    """

    @property
    def endpoint(self) -> str:
        """Where requests go, for messages; without secrets."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def encode(self, image: ImageRecord, file: bytes) -> Any:
        """The file of an image as what `send` takes, any number of times, also at once.

        Raises ImageProblem for one that cannot be used, RequestError without room for the payload.
        """
        ...

    async def send(self, payload: Any) -> Any:
        """Send once and wait for the answer. Raises RequestError."""
        ...

    def decode(self, image: ImageRecord, payload: Any, answer: Any) -> ImageResult:
        """The answer as boxes. Raises RequestError with the reason `bad-answer` for one without sense."""
        ...


class Servable(Protocol):
    """A runner whose path can be put under load."""

    def target(self) -> Target:
        """The path as a target. The runner has to be entered, and to stay so while the target is used."""
        ...
