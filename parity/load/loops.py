"""The two ways to put requests on a path: as answers make room, or by the clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Protocol

from parity.load.exchange import Exchange
from parity.load.threads import Clock

CATCH_UP = 64
"""Overdue requests that are sent in one go before answers are let in."""
NAP_S = 0.1
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.01, 0.2
"""After a failed request of a closed loop's client; each further failure in a row doubles it."""
CLOSE_S = 1e-7
"""What the clock's own rounding may leave of a sleep."""


class Source(Protocol):
    """Something that sends requests until it is told to stop."""

    def stop(self) -> None:
        """Send no further ones."""
        ...

    async def run(self) -> None:
        """Send until stopped, and wait for the answers. Ends what is under way when it is cancelled."""
        ...


class ClosedLoop:
    """Exactly `concurrency` requests under way: each answer makes room for the next request.

    After a failure the client that sent it pauses, or a server that refuses at once would be sent thousands
    of requests a second. The pause is in no latency.
    """

    def __init__(self, exchange: Exchange, concurrency: int, clock: Clock) -> None:
        self.exchange = exchange
        self.concurrency = concurrency
        self.clock = clock
        self._numbers = count()
        self._stopped = False

    def stop(self) -> None:
        """Send no further requests."""
        self._stopped = True

    async def run(self) -> None:
        """Send until stopped, and wait for the answers."""
        clients = {asyncio.ensure_future(self._client()) for _ in range(self.concurrency)}
        async with _ended(clients, self.exchange):
            await _done(clients)

    async def _client(self) -> None:
        pause = SHORTEST_PAUSE_S
        while not self._stopped:
            if await self.exchange.send(next(self._numbers), self.clock()):
                pause = SHORTEST_PAUSE_S
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)


class OpenLoop:
    """Requests by the clock, whatever becomes of the ones before: a stalled server stalls no sends."""

    def __init__(self, exchange: Exchange, times: Iterator[float], most_under_way: int, clock: Clock) -> None:
        """times: when to send, s from the loop's start. most_under_way: what exceeds it is refused."""
        self.exchange = exchange
        self.times = times
        self.most_under_way = most_under_way
        self.clock = clock
        self._under_way: set[asyncio.Future[Any]] = set()
        self._stopped = False

    def stop(self) -> None:
        """Send no further requests."""
        self._stopped = True

    async def run(self) -> None:
        """Send until stopped, and wait for the answers."""
        async with _ended(self._under_way, self.exchange):
            await self._send()
            await _done(self._under_way)

    async def _send(self) -> None:
        begin = self.clock()
        overdue = 0
        for number, time in enumerate(self.times):
            intended = begin + time
            ahead = intended - self.clock()
            if ahead > 0:
                overdue = 0
                await self._sleep(ahead)
            else:
                overdue += 1
                if overdue % CATCH_UP == 0:
                    await asyncio.sleep(0)
            if self._stopped:
                return
            if len(self._under_way) >= self.most_under_way:
                self.exchange.refuse(intended)
                continue
            task = asyncio.ensure_future(self.exchange.send(number, intended))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _sleep(self, seconds: float) -> None:
        """Sleep in pieces, so that a loop with rare requests stops soon too."""
        wake = self.clock() + seconds
        while not self._stopped and (left := wake - self.clock()) > CLOSE_S:
            await asyncio.sleep(min(left, NAP_S))


async def _done(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Wait for all; the first one that broke is raised."""
    waiting = set(tasks)
    if waiting:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()


@asynccontextmanager
async def _ended(tasks: Collection[asyncio.Future[Any]], exchange: Exchange) -> AsyncIterator[None]:
    """See to it that no task is left, and that each one cancelled here enters its request as unanswered."""
    try:
        yield
    finally:
        left = [task for task in tasks if not task.done()]
        exchange.ending = exchange.ending or bool(left)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
