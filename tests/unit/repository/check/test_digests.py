"""Digests: of files within reach, told of while they take long, and ended at once with Ctrl-C."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from typer.testing import CliRunner

from parity.cli import app
from parity.cli.repository_check import _Bars
from parity.progress import Step
from parity.repository.check import check, digests
from parity.repository.check.digests import Digests
from parity.repository.check.files import Unreadable
from parity.repository.check.links import Reach
from tests.repository_faults import version
from tests.repository_samples import Sample

ENDLESS = 1 << 40
"""Bytes of a file without contents: its digest would take a quarter of an hour."""


class Bars:
    """Keeps what it is told, and may be interrupted at the first word, as by Ctrl-C."""

    def __init__(self, *, interrupted: bool = False) -> None:
        self.interrupted = interrupted
        self.begun = threading.Event()
        self.steps: dict[str, list[int]] = {}

    @contextmanager
    def step(self, label: str, total: int) -> Iterator[Step]:
        self.steps[label] = self.current = [total]
        self.begun.set()
        yield self

    def advance(self, count: int = 1) -> None:
        self.current.append(count)
        if self.interrupted:
            raise KeyboardInterrupt


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("parity-digest")]


def endless(path: Path) -> Path:
    with path.open("r+b" if path.exists() else "wb") as file:
        os.truncate(file.fileno(), ENDLESS)
    return path


def test_digests_are_right_and_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom((3 << 20) + 5)
    (tmp_path / "a").write_bytes(data)
    monkeypatch.setattr(digests, "BLOCK", 1 << 20)
    with Digests(Reach(tmp_path)) as made:
        first = made.of(tmp_path / "a")
        (tmp_path / "a").unlink()
        assert made.of(tmp_path / "a") == first == hashlib.sha256(data).hexdigest()
        with pytest.raises(Unreadable):
            made.of(tmp_path / "none")


def test_a_large_file_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "SHOWN", 1)
    (tmp_path / "model.plan").write_bytes(b"x" * (48 << 20))
    bars = Bars()

    class Gate(Reach):
        """Opens nothing before the bar is there, so that no machine is too fast for it."""

        def open(self, path: Path) -> BinaryIO:
            bars.begun.wait()
            return super().open(path)

    with Digests(Gate(tmp_path), bars) as made:
        made.of(tmp_path / "model.plan")
    ((label, (total, *advances)),) = bars.steps.items()
    assert label == "digest of model.plan, MiB"
    assert total == 48 == sum(advances)


def test_a_small_file_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    bars = Bars()
    with Digests(Reach(tmp_path), bars) as made:
        made.of(tmp_path / "a")
    assert bars.steps == {}


def test_ctrl_c_ends_what_is_still_being_read(tmp_path: Path) -> None:
    """A check that went on reading would not come back here for a quarter of an hour."""
    request = Sample().write(tmp_path)
    endless(version(tmp_path) / "model.plan")
    bars = Bars(interrupted=True)
    with pytest.raises(KeyboardInterrupt):
        check(request, bars)
    assert workers() == []
    assert [total for total, *_ in bars.steps.values()] == [ENDLESS >> 20]


def test_ctrl_c_leaves_the_command_with_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Sample().write(tmp_path)
    endless(version(tmp_path) / "model.plan")
    monkeypatch.setattr(_Bars, "step", Bars(interrupted=True).step)
    done = CliRunner().invoke(app, ["repository", "check", str(tmp_path / "repository"), "--no-run-file"])
    assert done.exit_code == 130
    assert "interrupted" in done.stderr
    assert workers() == []
