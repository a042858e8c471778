"""Writing a file or a folder whole or not at all."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content` (text as UTF-8) to `path` through a temporary file beside it.

    A reader sees the old file or the new one, never half of either. Missing folders are made.
    OSError goes through: the caller knows what a full disk means for the run.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def folder_whole(target: Path) -> Iterator[Path]:
    """A new folder beside `target` that takes its place when the block ends well, and else is gone.

    A reader sees the old folder or the new one: on Linux both change places in one step. OSError goes
    through.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{target.name}.part-", dir=target.parent))
    try:
        part.chmod(0o755)
        yield part
        if target.is_dir():
            _exchange(part, target)
        else:
            part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _exchange(first: Path, second: Path) -> None:
    """Swap two folders; in one step where the system can, else in two with a moment in between."""
    if sys.platform == "linux":
        names = os.fsencode(first), os.fsencode(second)
        renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
        arguments = (_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
        if renameat2 is not None and renameat2(*arguments) == 0:
            return
    aside = first.with_name(f"{first.name}.old")
    second.replace(aside)
    try:
        first.replace(second)
    except OSError:
        aside.replace(second)
        raise
    aside.replace(first)
