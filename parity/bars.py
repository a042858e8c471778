"""Progress in a terminal: bars with rate and time left, on standard error."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.progress import (
    Progress as Bars,
)
from rich.table import Column
from rich.text import Text
from typing_extensions import Self

from parity.progress import Step


class _Step:
    def __init__(self, bars: Bars, task: TaskID) -> None:
        self.bars = bars
        self.task = task

    def advance(self, count: int = 1) -> None:
        """Move the bar."""
        self.bars.advance(self.task, count)


class _RateColumn(ProgressColumn):
    """Units a second since the step began, and the time left at that rate."""

    def render(self, task: Task) -> Text:
        """`28/s, 0:00:14 left`; only the time so far before the first unit is done."""
        elapsed = task.elapsed or 0.0
        so_far = timedelta(seconds=int(elapsed))
        if not task.completed or not elapsed or task.total is None:
            return Text(str(so_far), style="progress.elapsed")
        rate = task.completed / elapsed
        left = timedelta(seconds=math.ceil(max(0.0, task.total - task.completed) / rate))
        shown = f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}"
        return Text(f"{shown}/s, {left} left", style="progress.remaining")


class RichProgress:
    """Bars with rate and time left on standard error; nothing when that is no terminal."""

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self.bars = Bars(
            SpinnerColumn(),
            TextColumn(
                "{task.description}", table_column=Column(overflow="ellipsis", no_wrap=True, max_width=36)
            ),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            _RateColumn(table_column=Column(no_wrap=True)),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bars.stop()

    @contextmanager
    def step(self, label: str, total: int) -> Iterator[Step]:
        """Show one bar while the step runs."""
        task = self.bars.add_task(escape(label), total=total)
        try:
            yield _Step(self.bars, task)
        finally:
            self.bars.remove_task(task)
