"""Reading files that nobody vouches for: regular ones only, within a limit."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

Opening = Callable[[Path], BinaryIO]


class Unreadable(Exception):
    """A file cannot be read. found: why, as one clause. missing: whether it is simply not there."""

    def __init__(self, found: str, path: Path, *, missing: bool = False) -> None:
        super().__init__(found)
        self.found = found
        self.path = path
        self.missing = missing


def is_there(path: Path) -> bool:
    """Whether anything is there. What cannot be looked at is: whoever opens it is told why not."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def can_be_entered(folder: Path) -> bool:
    """Whether files of the folder can be looked at, whoever may list them."""
    return os.access(folder, os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def is_file(path: Path) -> bool:
    """Whether a regular file is there that can be looked at."""
    try:
        return path.is_file()
    except OSError:
        return False


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file; a pipe or a device, which might never end, is none. Raises Unreadable."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise Unreadable(f"cannot be read: {error.strerror}", path, missing=missing) from error
    except ValueError as error:
        raise Unreadable("its name is no path", path) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable("no regular file", path)
    return open(descriptor, "rb")  # noqa: PTH123


def read_limited(path: Path, limit: int, opening: Opening = open_regular) -> bytes:
    """All bytes of a file of at most `limit`. Raises Unreadable."""
    with opening(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise Unreadable(f"{size:,} bytes, over the limit of {limit:,}", path)
        try:
            return file.read(limit)
        except (OSError, MemoryError) as error:
            raise Unreadable(f"cannot be read: {error}", path) from error


def read_text(path: Path, limit: int, opening: Opening = open_regular) -> str:
    """A whole UTF-8 text. Raises Unreadable."""
    try:
        return read_limited(path, limit, opening).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8 text, at byte {error.start}", path) from error


def inside(folder: Path, name: str) -> Path | None:
    """`folder / name`, or None when the name leads out of the folder or is no path; links do not count."""
    normal = os.path.normpath(name)
    try:
        _try(folder / name)
    except (OSError, ValueError):
        return None
    leads_out = Path(name).is_absolute() or normal == ".." or normal.startswith("../")
    return None if leads_out or normal == "." else folder / name


def _try(path: Path) -> None:
    """Raise OSError or ValueError for a name that the file system cannot hold."""
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        path.stat()
