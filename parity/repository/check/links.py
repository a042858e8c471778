"""How far links are followed: to what the user named, and no further.

Triton follows every link. But whoever checks a repository need not trust it, and what a check tells of a file
(a line that does not parse, a label, a digest) must not be of a file that somebody else pointed it to.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from parity.repository.check.files import Unreadable, open_regular
from parity.repository.check.findings import Notes


class OutOfReach(Unreadable):
    """A path leads, through links, to what nobody named. target: where to."""

    def __init__(self, target: Path, path: Path) -> None:
        super().__init__(f"a link to {target}, out of the repository", path)
        self.target = target


class Reach:
    """The folders and files that the user named: the repository, its stores, the run file's weights."""

    def __init__(self, *named: Path) -> None:
        self._named = tuple(Path(os.path.realpath(path)) for path in named)

    def escape(self, path: Path) -> Path | None:
        """Where a path leads to when that is out of reach, else None."""
        target = Path(os.path.realpath(path))
        return None if any(target.is_relative_to(each) for each in self._named) else target

    def open(self, path: Path) -> BinaryIO:
        """Open a regular file. Raises OutOfReach, or Unreadable as `open_regular` does."""
        target = self.escape(path)
        if target is not None:
            raise OutOfReach(target, path)
        return open_regular(path)


def note_escape(target: Path, shown: str, notes: Notes) -> None:
    """Note a link that leads out. shown: the file or folder that leads there, as findings name it."""
    notes.add(
        "UNSAFE_PATH",
        shown,
        f"a link to {target}, out of the repository",
        expected="a file of the repository, or of a folder that --store names",
        fix="copy it here, or name the folder that it leads to with --store",
    )
