"""Waiting for a server that went away: all threads of a run wait together, for so long and no longer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from parity.requests import RequestError

POLL_S = 0.25
AGAIN_S = 5.0
"""After giving up, the server is not asked again for so long: the requests under way end at once."""


class Outage:
    """What is known of a server's absence. `notice` begins it, `pass_` waits for its end; thread-safe.

    ready: whether the server can answer again. gone: whether it is known that it never will. patience:
    seconds to wait, from the first failure on.
    """

    def __init__(self, *, ready: Callable[[], bool], gone: Callable[[], bool], patience: float) -> None:
        self.patience = patience
        self._ready = ready
        self._gone = gone
        self._lock = threading.Lock()
        self._since: float | None = None
        self._last: RequestError | None = None
        self._given_up: float | None = None
        self._stopped = threading.Event()

    @property
    def given_up(self) -> bool:
        """Whether the waiting was in vain."""
        return self._given_up is not None

    def notice(self, error: RequestError) -> None:
        """An attempt got no answer in a way that may mean that the server is away."""
        with self._lock:
            self._last = error
            if self._since is None:
                self._since = time.monotonic()

    def pass_(self) -> None:
        """Return at once without an outage, else when the server is back.

        Raises RequestError, not to be tried again, when it does not come back in time. One thread asks the
        server while the others wait for what it finds.
        """
        if self._since is None:
            return
        with self._lock:
            if self._since is None or self._last is None:
                return
            if self._given_up is not None and time.monotonic() < self._given_up + AGAIN_S:
                raise self._ended(self._last)
            while not self._ready():
                if self._given_up is not None or self._gone() or self._waited() >= self.patience:
                    self._given_up = time.monotonic()
                    raise self._ended(self._last)
                if self._stopped.wait(POLL_S):
                    raise self._ended(self._last)
            self._since = self._last = self._given_up = None

    @contextmanager
    def ending(self) -> Iterator[None]:
        """While the block lasts, which ends a run, nobody waits: Ctrl-C must not take `patience` seconds."""
        self._stopped.set()
        try:
            yield
        finally:
            self._stopped.clear()

    def _waited(self) -> float:
        return time.monotonic() - (self._since or time.monotonic())

    def _ended(self, last: RequestError) -> RequestError:
        why = "it has ended" if self._gone() else f"not back within {self.patience:g} s"
        if self._stopped.is_set():
            why = "the run ends"
        return RequestError(
            f"{last.found} ({why})",
            reason=last.reason,
            retryable=False,
            where=last.where,
            expected=last.expected,
            remedy=last.remedy,
        )
