"""A whole load run: both sides in turn under each load, each first in every other turn (A B B A).

A machine that drifts one way then favours neither side.

    run = LoadRun()
    run_load(run, plan, {"reference": ..., "candidate": ...}, dataset.images, reader)

`run` keeps what was finished when something ends the run before its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from parity.dataset import ImageReader, ImageRecord
from parity.load.answers import Answer, OneOfEvery, Reservoir
from parity.load.clock import run_on_fine_loop, undisturbed
from parity.load.exchange import Exchange
from parity.load.loops import ClosedLoop, OpenLoop, Source
from parity.load.material import Material, gather
from parity.load.observers import Observer
from parity.load.plan import Load, LoadPlan
from parity.load.schedule import intended_times
from parity.load.step import run_step
from parity.load.summary import step_of
from parity.load.tally import Tally, Totals
from parity.load.threads import Clock, Threads, WorkerThreads, cores
from parity.progress import Progress, Silent
from parity.runners.target import Target
from parity.serving.evidence import LoadStep, SideName

ORDER: tuple[SideName, ...] = ("reference", "candidate")


def _totals() -> dict[SideName, Totals]:
    return {side: Totals() for side in ORDER}


@dataclass(kw_only=True)
class LoadRun:
    """What a load run has gathered, up to now if it still runs.

    steps: in the order in which they ran. answers: the sample that was kept, of all steps. totals: every
    request of each side, also those of a step that was broken off. images: different ones that were sent.
    problems: images that were left out, and why.
    """

    steps: list[LoadStep] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    totals: dict[SideName, Totals] = field(default_factory=_totals)
    images: int = 0
    problems: tuple[str, ...] = ()


def run_load(
    run: LoadRun,
    plan: LoadPlan,
    targets: Mapping[SideName, Target],
    images: Sequence[ImageRecord],
    reader: ImageReader,
    *,
    observers: Sequence[Observer] = (),
    progress: Progress | None = None,
) -> None:
    """`run_steps` from synchronous code, on an event loop of its own with fine timers.

    Raises as `run_steps` does, and KeyboardInterrupt after Ctrl-C, when nothing is under way any more.
    """
    with undisturbed():
        run_on_fine_loop(
            lambda: run_steps(run, plan, targets, images, reader, observers=observers, progress=progress)
        )


async def run_steps(
    run: LoadRun,
    plan: LoadPlan,
    targets: Mapping[SideName, Target],
    images: Sequence[ImageRecord],
    reader: ImageReader,
    *,
    observers: Sequence[Observer] = (),
    progress: Progress | None = None,
    stepped: Callable[[], None] = lambda: None,
    threads: Threads | None = None,
) -> None:
    """Put each load of the plan on the reference and the candidate in turn, `turns` times.

    Turns 0, 2, ... begin with the reference, turns 1, 3, ... with the candidate. targets: one or both sides,
    not yet entered; they are open for the whole run. observers: called around each step. stepped: called
    after each step, when it is in `run` and nothing is under way. threads: where encoding and decoding run;
    none: one for each core that this process may use. More would only take turns on the cores, and make each
    request slower.

    Raises EvidenceError when no image can be sent, and what entering a target or an observer raises. A
    request that fails is counted and raises nothing.
    """
    progress = progress or Silent()
    sides = tuple(side for side in ORDER if side in targets)
    async with AsyncExitStack() as stack:
        loop = asyncio.get_running_loop()
        if threads is None:
            threads = stack.enter_context(WorkerThreads(cores(), loop.time))
        entered = {side: await stack.enter_async_context(targets[side]) for side in sides}
        material, _, _ = await threads.call(gather, images, reader, entered, plan)
        run.images, run.problems = len(material.pictures), material.problems
        with progress.step("load: steps", len(plan.loads) * plan.turns * len(sides)) as whole:
            for load in plan.loads:
                for turn in range(plan.turns):
                    for side in sides if turn % 2 == 0 else sides[::-1]:
                        one = _OneStep(run, plan, side, load, turn, material)
                        await one.go(entered[side], threads, observers, progress, loop.time)
                        stepped()
                        whole.advance()


@dataclass(frozen=True)
class _OneStep:
    run: LoadRun
    plan: LoadPlan
    side: SideName
    load: Load
    turn: int
    material: Material

    async def go(
        self,
        target: Target,
        threads: Threads,
        observers: Sequence[Observer],
        progress: Progress,
        clock: Clock,
    ) -> None:
        """Run the step and add it to the run."""
        plan = self.plan
        tally = Tally(self.run.totals[self.side])
        kept = Reservoir(plan.keep, seed=plan.seed + len(self.run.steps))
        exchange = Exchange(
            side=self.side,
            target=target,
            material=self.material,
            work=plan.work,
            chosen=OneOfEvery(plan.check_every, plan.seed + self.turn),
            tally=tally,
            kept=kept,
            threads=threads,
            clock=clock,
        )
        with progress.step(f"{self.side}, {self.load.label}", plan.rules.least_requests) as shown:
            ending = await run_step(
                self._source(exchange, clock),
                tally,
                plan.rules,
                side=self.side,
                observers=observers,
                clock=clock,
                shown=shown,
            )
        self.run.steps.append(
            step_of(
                tally,
                side=self.side,
                load=self.load,
                turn=self.turn,
                stable=ending.stable,
                stability=ending.told,
                observed=ending.observed,
            )
        )
        self.run.answers += [
            Answer(side=self.side, load=self.load, turn=self.turn, result=result) for result in kept.kept
        ]

    def _source(self, exchange: Exchange, clock: Clock) -> Source:
        plan, load = self.plan, self.load
        if load.concurrency is not None:
            return ClosedLoop(exchange, load.concurrency, clock)
        # Both sides of a turn face the same arrivals, another turn has others.
        seed = plan.seed + self.turn
        times = intended_times(load.rate or 1.0, load.arrivals or "constant", seed)
        fitting = plan.most_payload_bytes // max(1, self.material.payload_bytes)
        return OpenLoop(exchange, times, max(1, min(plan.most_under_way, fitting)), clock)
