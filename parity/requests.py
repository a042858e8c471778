"""What becomes of requests to a server: tried again where that can help, and counted exactly once.

Attempts follow the published advice for clients of busy servers: exponential backoff with full jitter
(Brooker 2015, "Exponential Backoff And Jitter"), so that clients which failed together do not come back
together.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import tenacity

from parity.errors import RunnerError

T = TypeVar("T")
Ending = Literal["ok", "retried", "failed"]
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0


class RequestError(RunnerError):
    """One attempt that got no usable answer.

    reason: a short name to count by, the same for all servers: `unavailable`, `deadline`, `http-503`,
    `invalid-argument`, `not-found`, `bad-answer`, `connection`, ... retryable: whether the same request may
    succeed later, as after UNAVAILABLE, DEADLINE_EXCEEDED or an HTTP status from 502 to 504.
    """

    def __init__(
        self,
        found: str,
        *,
        reason: str,
        retryable: bool,
        where: str = "",
        expected: str = "",
        remedy: str = "",
    ) -> None:
        super().__init__(found, where=where, expected=expected, remedy=remedy)
        self.reason = reason
        self.retryable = retryable


@dataclass(frozen=True, kw_only=True)
class LedgerCounts:
    """What a ledger has counted: requests by how they ended, and attempts.

    ok: answered at the first attempt. retried: answered at a later one. failed: never answered, by the last
    attempt's reason. attempts: all of them, each of which a server may have counted. lost_attempts: those
    that got no usable answer, by reason.
    """

    ok: int = 0
    retried: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    attempts: int = 0
    lost_attempts: dict[str, int] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        """All requests that ended."""
        return self.ok + self.retried + sum(self.failed.values())


class RequestLedger:
    """Counts every request once, at its end. May be used from any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._endings: Counter[Ending] = Counter()
        self._failed: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._attempts = 0

    def enter(self, ending: Ending, lost: list[str]) -> None:
        """Count a request that ended. lost: the reasons of its attempts without an answer, in their order."""
        if (ending == "ok" and lost) or (ending != "ok" and not lost):
            raise ValueError(f"a request that ended {ending!r} cannot have lost {lost}")
        with self._lock:
            self._endings[ending] += 1
            self._attempts += len(lost) + (ending != "failed")
            self._lost.update(lost)
            if ending == "failed":
                self._failed[lost[-1]] += 1

    def counts(self) -> LedgerCounts:
        """What was counted so far."""
        with self._lock:
            return LedgerCounts(
                ok=self._endings["ok"],
                retried=self._endings["retried"],
                failed=dict(sorted(self._failed.items())),
                attempts=self._attempts,
                lost_attempts=dict(sorted(self._lost.items())),
            )


@dataclass(frozen=True, kw_only=True)
class Retries:
    """How often a request is tried again, and how long it waits before. most: further attempts, or 0."""

    most: int = 3
    first_wait_s: float = FIRST_WAIT_S
    longest_wait_s: float = LONGEST_WAIT_S

    def ask(self, attempt: Callable[[], T], ledger: RequestLedger) -> T:
        """Call `attempt` until it answers, and enter the request in the ledger.

        Raises the last RequestError when no further attempt is allowed or one would not help; any other
        exception ends the request as failed, with its class as the reason.
        """
        lost: list[str] = []

        def one() -> T:
            try:
                return attempt()
            except RequestError as error:
                lost.append(error.reason)
                raise
            except Exception as error:
                lost.append(type(error).__name__)
                raise

        try:
            answer = tenacity.Retrying(
                stop=tenacity.stop_after_attempt(1 + self.most),
                wait=tenacity.wait_random_exponential(multiplier=self.first_wait_s, max=self.longest_wait_s),
                retry=tenacity.retry_if_exception(_may_help),
                reraise=True,
            )(one)
        except Exception:
            ledger.enter("failed", lost)
            raise
        ledger.enter("retried" if lost else "ok", lost)
        return answer


def _may_help(error: BaseException) -> bool:
    return isinstance(error, RequestError) and error.retryable
