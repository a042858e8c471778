"""Counts one step while it runs: every request once, answers by window, latencies in order of arrival."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from parity.requests import LedgerCounts, RequestLedger

NOT_SENT = "not-sent"
"""Too many requests were under way: one that was meant to be sent was not."""
NOT_ANSWERED = "not-answered"
"""Sent, and without an answer when the step had waited long enough."""
IMAGE_UNUSABLE = "image-unusable"
"""The picture could not be made a request, though it could before the run."""


@dataclass(kw_only=True)
class Totals:
    """All requests of one side in a whole run, each of which is in here once.

    around, measured: those that were sent before and after the measured parts, and in them; a server may
    have counted either. unsent: those that were not sent, by reason.
    """

    around: RequestLedger = field(default_factory=RequestLedger)
    measured: RequestLedger = field(default_factory=RequestLedger)
    unsent: Counter[str] = field(default_factory=Counter)

    def sent(self) -> LedgerCounts:
        """Both together, as a server's counters see them."""
        first, second = self.around.counts(), self.measured.counts()
        return LedgerCounts(
            ok=first.ok + second.ok,
            retried=first.retried + second.retried,
            failed=dict(sorted((Counter(first.failed) + Counter(second.failed)).items())),
            attempts=first.attempts + second.attempts,
            lost_attempts=dict(
                sorted((Counter(first.lost_attempts) + Counter(second.lost_attempts)).items())
            ),
        )


@dataclass(kw_only=True)
class Window:
    """A stretch of the measured part. Times in seconds.

    answers: usable answers that arrived in it. ended: requests that ended in it, failed ones too. first,
    last: its latencies are those from `first` up to `last` in the tally's.
    """

    started: float
    first: int
    seconds: float = 0.0
    answers: int = 0
    ended: int = 0
    last: int = 0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


class Tally:
    """What one step counts. Used from the event loop's thread alone.

    A request belongs to the measured part when it was meant to be sent at or after its begin, and then
    counts however late it ends, or slow ones would be missed. An answer counts in the window in which it
    arrives, whenever it was sent, so that throughput is that of a server at work from begin to end.
    """

    def __init__(self, totals: Totals) -> None:
        self.totals = totals
        self.since = math.inf
        self.until = math.inf
        self.last_answer = -math.inf
        self.warmed_up = 0
        self.ended = 0
        self.ok = 0
        self.failed: Counter[str] = Counter()
        self.late_sends = 0
        self.checked = 0
        self.latencies = array("d")
        self.client = ClientTimes()
        self.windows: list[Window] = []
        self._window: Window | None = None

    def begin(self, now: float) -> None:
        """The warm-up is over."""
        self.since = now
        self._window = Window(started=now, first=0)

    def finish(self, now: float) -> None:
        """The measured part is over; what is under way still counts, but in no window."""
        self.until = now
        self._window = None

    def measured(self, intended: float) -> bool:
        """Whether a request that was meant to be sent at that time counts."""
        return self.since <= intended < self.until

    def answered(self, intended: float, ended: float) -> bool:
        """Enter a request with a usable answer; whether it belongs to the measured part."""
        self.last_answer = ended
        window = self._window
        if window is not None:
            window.answers += 1
        if not self.measured(intended):
            self.warmed_up += intended < self.since
            self.totals.around.enter("ok", [])
            return False
        self.totals.measured.enter("ok", [])
        self.ok += 1
        self.ended += 1
        self.latencies.append(ended - intended)
        if window is not None:
            window.ended += 1
        return True

    def lost(self, intended: float, reason: str, *, sent: bool = True) -> None:
        """Enter a request without a usable answer."""
        measured = self.measured(intended)
        if not sent:
            self.totals.unsent[reason] += 1
        else:
            (self.totals.measured if measured else self.totals.around).enter("failed", [reason])
        if not measured:
            self.warmed_up += intended < self.since
            return
        self.failed[reason] += 1
        self.ended += 1
        if self._window is not None:
            self._window.ended += 1

    def window_ended(self) -> int:
        """How many requests have ended in the window that is open."""
        return self._window.ended if self._window is not None else 0

    def close_window(self, now: float) -> None:
        """End a window and begin the next one."""
        window = self._window
        if window is None or now <= window.started:
            return
        window.seconds, window.last = now - window.started, len(self.latencies)
        self.windows.append(window)
        self._window = Window(started=now, first=window.last)

    def of(self, window: Window) -> NDArray[np.float64]:
        """Latencies of a closed window, s, in order of arrival."""
        return np.array(self.latencies[window.first : window.last], np.float64)


@dataclass(kw_only=True)
class ClientTimes:
    """Where the client's time went, seconds summed over the measured part's answers.

    waiting: for a thread of the client that encodes or decodes. sending: from sending to the answer.
    """

    waiting: float = 0.0
    encoding: float = 0.0
    sending: float = 0.0
    decoding: float = 0.0

    def add(self, *, waiting: float, encoding: float, sending: float, decoding: float) -> None:
        """Add one request's."""
        self.waiting += waiting
        self.encoding += encoding
        self.sending += sending
        self.decoding += decoding
