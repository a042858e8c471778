"""Reading files that nobody vouches for: regular ones only, within a limit, digested in threads."""

from __future__ import annotations

import hashlib
import os
import stat
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from typing_extensions import Self

BLOCK = 4 << 20


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


def read_limited(path: Path, limit: int) -> bytes:
    """All bytes of a file of at most `limit`. Raises Unreadable."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise Unreadable(f"{size:,} bytes, over the limit of {limit:,}", path)
        try:
            return file.read(limit)
        except (OSError, MemoryError) as error:
            raise Unreadable(f"cannot be read: {error}", path) from error


def read_text(path: Path, limit: int) -> str:
    """A whole UTF-8 text. Raises Unreadable."""
    try:
        return read_limited(path, limit).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8 text, at byte {error.start}", path) from error


def inside(folder: Path, name: str) -> Path | None:
    """`folder / name` resolved, or None when that is outside the folder, through links too, or no path."""
    try:
        path, root = (folder / name).resolve(), folder.resolve()
        _try(path)
        return path if name and path.is_relative_to(root) and path != root else None
    except (OSError, ValueError, RuntimeError):
        return None


def _try(path: Path) -> None:
    """Raise OSError or ValueError for a name that the file system cannot hold."""
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        path.stat()


class Digests:
    """SHA-256 of files, each computed once, in threads of its own: hashing leaves the interpreter free."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="parity-digest")
        self._known: dict[Path, Future[str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def begin(self, path: Path) -> None:
        """Start on a file, so that its digest is there when it is asked for."""
        if path not in self._known:
            self._known[path] = self._pool.submit(_sha256, path)

    def of(self, path: Path) -> str:
        """The digest as hexadecimal digits. Raises Unreadable."""
        self.begin(path)
        return self._known[path].result()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open_regular(path) as file:
        try:
            while block := file.read(BLOCK):
                digest.update(block)
        except OSError as error:
            raise Unreadable(f"cannot be read: {error.strerror}", path) from error
    return digest.hexdigest()
