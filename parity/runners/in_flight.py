"""Many images under way at once to one server, and the end of the run when that server is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any

from parity.dataset import ImageRecord
from parity.detections import Status
from parity.errors import RunnerError
from parity.runners.base import ImageResult

CONSECUTIVE_FAILURES = 5
"""After so many failed images in a row the server counts as broken, and the run ends."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """The server that answers. what: its name in a sentence. where: its endpoint, without secrets.

    live: whether it still says that it is there. log_tail: the end of its log, where that can be read.
    ending: entered while the last requests are waited for, to cut short what they wait for. excused: whether
    a failure is the image's own and shows nothing of the server.
    """

    what: str
    where: str
    live: Callable[[], bool]
    log_tail: Callable[[], str] = str
    ending: Callable[[], AbstractContextManager[Any]] = nullcontext
    excused: Callable[[ImageResult], bool] = lambda _: False

    def stop_if_broken(self, result: ImageResult, failures: int) -> None:
        """Raise RunnerError when the server is gone, or has failed so many images in a row."""
        live = self.live()
        if live and failures < CONSECUTIVE_FAILURES:
            return
        found = (
            f"{failures} requests failed in a row: {result.message}"
            if live
            else f"{self.what} stopped answering ({result.message})"
        )
        tail = self.log_tail()
        raise RunnerError(
            f"{found}\n{tail}" if tail else found,
            where=self.where,
            expected="a server that answers until the last image",
            remedy="see the server's log, then run again; what was answered is kept",
        )


def answer_in_flight(
    images: Iterable[ImageRecord],
    answer: Callable[[ImageRecord], ImageResult],
    *,
    most: int,
    server: Watched,
) -> Iterator[ImageResult]:
    """Results in the order in which they finish, from `most` threads that each carry one image at a time.

    answer: from file to boxes; what goes wrong is in its result. Images are taken only as threads get free.
    Raises RunnerError when the server is broken; what was answered until then has been given.
    """
    remaining = iter(images)
    failures = 0
    pool = ThreadPoolExecutor(most, thread_name_prefix="parity-in-flight")
    pending: set[Future[ImageResult]] = set()
    try:
        while True:
            free = most - len(pending)
            pending |= {pool.submit(answer, image) for image in islice(remaining, free)}
            if not pending:
                return
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            results = [future.result() for future in done]
            yield from results  # all that was answered, before anything ends the run
            for result in results:
                if server.excused(result):
                    continue
                failures = failures + 1 if result.status is Status.FAILED else 0
                if failures:
                    server.stop_if_broken(result, failures)
    finally:
        with server.ending():
            pool.shutdown(cancel_futures=True)
