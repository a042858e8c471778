"""SHA-256 of files, each computed once, in threads of its own: hashing leaves the interpreter free."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from types import TracebackType

from typing_extensions import Self

from parity.progress import Progress, Silent
from parity.repository.check.files import Unreadable
from parity.repository.check.links import Reach

BLOCK = 4 << 20
SHOWN = 256 << 20
"""Bytes of a file from which on progress is told; a bar for less would be gone before it is seen."""

_TICK_S = 0.1


@dataclass
class _Job:
    """A file's digest. done: bytes so far."""

    done: int = 0
    digest: Future[str] = field(default_factory=Future)


class Digests:
    """Digests of files within reach. Leaving the context ends what is still being read."""

    def __init__(self, reach: Reach, progress: Progress | None = None) -> None:
        self._reach = reach
        self._progress = progress or Silent()
        self._pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="parity-digest")
        self._jobs: dict[Path, _Job] = {}
        self._ended = Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._pool.shutdown(cancel_futures=True)

    def begin(self, path: Path) -> None:
        """Start on a file, so that its digest is there when it is asked for."""
        if path not in self._jobs:
            job = self._jobs[path] = _Job()
            job.digest = self._pool.submit(self._sha256, path, job)

    def of(self, path: Path) -> str:
        """The digest as hexadecimal digits. Raises Unreadable."""
        self.begin(path)
        job = self._jobs[path]
        if not job.digest.done() and _size(path) >= SHOWN:
            self._watch(path, job)
        return job.digest.result()

    def _watch(self, path: Path, job: _Job) -> None:
        """Wait for a large file, telling how many MiB of it are done."""
        told, finished = 0, False
        with self._progress.step(f"digest of {path.name}, MiB", _size(path) >> 20) as step:
            while not finished:
                finished = bool(wait([job.digest], timeout=_TICK_S).done)
                now = job.done >> 20
                step.advance(now - told)
                told = now

    def _sha256(self, path: Path, job: _Job) -> str:
        digest = hashlib.sha256()
        with self._reach.open(path) as file:
            try:
                while block := file.read(BLOCK):
                    if self._ended.is_set():
                        raise Unreadable("not read to its end", path)
                    digest.update(block)
                    job.done += len(block)
            except OSError as error:
                raise Unreadable(f"cannot be read: {error.strerror}", path) from error
        return digest.hexdigest()


def _size(path: Path) -> int:
    """Bytes; 0 for what cannot be looked at, which the digest itself tells."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
