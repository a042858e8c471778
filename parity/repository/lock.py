"""One process at a time: a lock on a file, for everything that is made once and kept in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parity.errors import RunnerError


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock on `path`, which is made if missing; others wait. It ends with its process in any case.

    Raises RunnerError when the folder cannot be written.
    """
    import fcntl  # not on every system, and only needed here

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise RunnerError(
            f"the cache cannot be written: {error.strerror}",
            where=str(path.parent),
            remedy="choose another cache folder",
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
