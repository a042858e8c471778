"""Where others look on while a step runs: a server's statistics, its metrics, a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from parity.serving.evidence import GpuUse, ServerSplit, SideName


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What an observer saw of one step; None for what it does not look at."""

    server: ServerSplit | None = None
    gpu: GpuUse | None = None


class Observer(Protocol):
    """Called around the measured part of every step, on the load's event loop, which it must not block.

    Load goes on during both calls. What it cannot see is for it to tell in what it returns; an exception
    ends the run.
    """

    async def before(self, side: SideName) -> None:
        """The warm-up of a step is over, and its measured part begins when this returns."""
        ...

    async def after(self, side: SideName) -> Observed:
        """The measured part is over; its last answers may still be under way."""
        ...
