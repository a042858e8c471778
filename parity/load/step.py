"""One step: warm-up, then windows until the rules say that it is enough, then the last answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from parity.load.loops import Source
from parity.load.observers import Observed, Observer
from parity.load.plan import StepRules
from parity.load.stability import stability
from parity.load.summary import seen
from parity.load.tally import Tally
from parity.load.threads import Clock
from parity.progress import Step
from parity.serving.evidence import SideName

POLL_S = 0.1
SHORTEST_S = 0.001


@dataclass(frozen=True, kw_only=True)
class Ending:
    """Why a step ended, and what was seen around it."""

    stable: bool
    told: str
    observed: Observed


async def run_step(
    source: Source,
    tally: Tally,
    rules: StepRules,
    *,
    side: SideName,
    observers: Sequence[Observer],
    clock: Clock,
    shown: Step,
) -> Ending:
    """Run a source from warm-up to its last answer; the tally then holds all of it.

    Whatever is raised or cancels this, no request is left under way, and each is in the tally.
    """
    running = asyncio.ensure_future(source.run())
    control = _Control(running, tally, rules, clock, shown)
    try:
        await control.warm_up()
        for observer in observers:
            await observer.before(side)
        tally.begin(clock())
        stable, told = await control.measure()
        tally.finish(clock())
        observed = Observed()
        for observer in observers:
            more = await observer.after(side)
            observed = Observed(server=more.server or observed.server, gpu=more.gpu or observed.gpu)
        source.stop()
        await asyncio.wait({running}, timeout=rules.drain_s)
        if running.done():
            running.result()
        return Ending(stable=stable, told=told, observed=observed)
    finally:
        source.stop()
        running.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await running


class _Control:
    """Watches a running source by the rules."""

    def __init__(
        self, running: asyncio.Future[None], tally: Tally, rules: StepRules, clock: Clock, shown: Step
    ) -> None:
        self.running = running
        self.tally = tally
        self.rules = rules
        self.clock = clock
        self.shown = shown
        self._told = 0

    async def warm_up(self) -> None:
        """Wait until enough requests ended and enough time passed, or until it has taken too long."""
        rules, began = self.rules, self.clock()
        while True:
            passed = self.clock() - began
            warm = passed >= rules.warmup_s and self.tally.warmed_up >= rules.warmup_requests
            if warm or passed >= rules.warmup_most_s:
                return
            await self._pause(POLL_S)

    async def measure(self) -> tuple[bool, str]:
        """Close window after window until a rule ends the step: whether it was stable, and what was seen."""
        began = self.clock()
        deadline = began + self.rules.most_s
        while True:
            await self._window(began, deadline)
            now, tally, rules = self.clock(), self.tally, self.rules
            tally.close_window(now)
            if self._silent(began, now):
                silence = now - max(began, tally.last_answer)
                return False, f"ended after {silence:.1f} s without a usable answer"
            enough = tally.ended >= rules.least_requests and len(tally.windows) >= rules.least_windows
            verdict = stability(seen(tally), rules.tolerance)
            if verdict.stable and enough:
                return True, f"stable after {now - began:.1f} s: {verdict.told}"
            if now >= deadline:
                if verdict.stable:
                    told = f"{tally.ended} requests in {len(tally.windows)} windows, too few; {verdict.told}"
                    told = f"ended after {now - began:.1f} s with {told}"
                    return False, f"{told}; allow more `--seconds`, or ask for fewer `--requests`"
                told = f"not stable after {now - began:.1f} s: {verdict.told}"
                return False, f"{told}; allow more `--seconds`"

    async def _window(self, began: float, deadline: float) -> None:
        """Wait until the window may be closed: long enough and with enough requests, or the step is over."""
        rules = self.rules
        opened = self.clock()
        while True:
            now = self.clock()
            if now >= deadline or self._silent(began, now):
                return
            if now - opened >= rules.window_s:
                if self.tally.window_ended() >= rules.window_requests:
                    return
                await self._pause(min(POLL_S, deadline - now))
            else:
                await self._pause(min(rules.window_s - (now - opened), POLL_S))

    def _silent(self, began: float, now: float) -> bool:
        """Whether there has been no usable answer for so long that there is nothing to measure."""
        return now - max(began, self.tally.last_answer) >= self.rules.give_up_s

    async def _pause(self, seconds: float) -> None:
        """Sleep, show progress, and raise what ended the source if it broke."""
        await asyncio.wait({self.running}, timeout=max(seconds, SHORTEST_S))
        if self.running.done():
            self.running.result()
            raise RuntimeError("the load ended by itself")
        self.shown.advance(self.tally.ended - self._told)
        self._told = self.tally.ended
