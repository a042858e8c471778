"""How long steps tell that they advance, without knowing whether anybody watches.

Only the command line draws bars; everything below it is handed a `Progress`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Step(Protocol):
    """One running step."""

    def advance(self, count: int = 1) -> None:
        """Tell that `count` more units of the step's total are done."""


class Progress(Protocol):
    """Something that can show steps."""

    def step(self, label: str, total: int) -> AbstractContextManager[Step]:
        """Begin a step of `total` units that ends with the context.

        Work in which nothing can be counted is told in stages, so that there is a rate all the same.
        """


class _SilentStep:
    def advance(self, count: int = 1) -> None:
        """Show nothing."""


class Silent:
    """Shows nothing: the default wherever no terminal is attached."""

    @contextmanager
    def step(self, label: str, total: int) -> Iterator[Step]:
        """Run the step without showing it."""
        yield _SilentStep()
