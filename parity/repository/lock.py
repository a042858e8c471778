"""One process at a time: a lock on a file, for everything that is made once and kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from parity.errors import RunnerError


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock on `path`, which is made if missing; others wait. It ends with its process in any case.

    OSError goes through: the caller knows what cannot be written.
    """
    import fcntl  # not on every system, and only needed here

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Keep writers that hold the lock on `path` waiting; readers share it.

    Where there is no such file, or none that may be opened, nobody is kept waiting: a copy that cannot be
    written can be read all the same.
    """
    import fcntl

    with ExitStack() as stack:
        with suppress(OSError):
            file = stack.enter_context(path.open("rb"))
            fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """`held`, for what is kept in the cache. Raises RunnerError when the folder cannot be written."""
    with ExitStack() as stack:
        try:
            stack.enter_context(held(path))
        except OSError as error:
            raise RunnerError(
                f"the cache cannot be written: {error.strerror}",
                where=str(path.parent),
                remedy="choose another cache folder",
            ) from error
        yield
