"""Locks keep others waiting, destroy nothing, and need no right to write for reading."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from parity.errors import RunnerError
from parity.repository.lock import exclusive, held, shared


def taken(path: Path, kind: int) -> bool:
    """Whether somebody keeps a lock of this kind from being had at once."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_writer_is_alone_and_readers_are_not(tmp_path: Path) -> None:
    path = tmp_path / "deep" / ".lock"
    with held(path):
        assert taken(path, fcntl.LOCK_SH)
    with shared(path):
        assert taken(path, fcntl.LOCK_EX) and not taken(path, fcntl.LOCK_SH)
    assert not taken(path, fcntl.LOCK_EX)


def test_a_reader_needs_no_lock_file(tmp_path: Path) -> None:
    with shared(tmp_path / "none" / ".lock"):
        pass
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError), shared(tmp_path / ".lock"):
        raise FileNotFoundError


def test_what_a_lock_is_a_link_to_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / ".lock").symlink_to("precious")
    with exclusive(tmp_path / ".lock"):
        pass
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunnerError, match="the cache cannot be written"), exclusive(tmp_path / "file" / "x"):
        pass
    with pytest.raises(NotADirectoryError), exclusive(tmp_path / ".lock"):
        raise NotADirectoryError
