"""Appending and reading: in order, whole, by several processes at once, and through kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from parity.errors import EvidenceError
from parity.ledger import append, examine, read
from parity.ledger.head import HEAD, Head
from parity.ledger.store import _put
from parity.outcome import Outcome
from tests.ledger_samples import criterion, digest, ledger_of, record

WRITER = """
import sys
from pathlib import Path
from parity.ledger import append
from tests.ledger_samples import record
folder, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for number in range(count):
    print(append(folder, record(host=f"{name}-{number}")), flush=True)
"""


def writer(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )


def test_what_is_read_is_what_was_appended(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "ledger"
    assert read(folder) == []
    digests = ledger_of(folder, 3)
    stored = read(folder)
    assert [each.digest for each in stored] == digests
    assert [each.file for each in stored] == ["000001.json", "000002.json", "000003.json"]
    assert [digest((folder / each.file).read_text()) for each in stored] == digests
    assert [each.entry.sequence for each in stored] == [1, 2, 3]
    assert [each.entry.previous for each in stored] == [None, *digests[:2]]
    again = record(rests_on=(digests[1],), created=stored[2].entry.created)
    assert stored[2].entry.model_dump(exclude={"sequence", "previous"}) == again.model_dump()
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock", "000001.json", "000002.json", "000003.json", "head.json",
    ]  # fmt: skip
    head = Head.from_bytes((folder / HEAD).read_bytes())
    assert head == Head(count=3, digest=digests[2], pending=None)


def test_secrets_are_not_kept(tmp_path: Path) -> None:
    given = record(
        Outcome.FAIL,
        command="parity gate --token hunter2hunter2 http://me:hunter2hunter2@host/",
        override="TOKEN=hunter2hunter2 says so",
        criteria=(criterion(Outcome.FAIL, message="Authorization: Bearer hunter2hunter2"),),
    )
    append(tmp_path / "ledger", given)
    (stored,) = read(tmp_path / "ledger")
    assert "hunter2" not in stored.entry.model_dump_json()
    assert "[redacted]" in stored.entry.command
    assert stored.entry.override == "TOKEN=[redacted] says so"


def test_a_basis_that_the_ledger_does_not_have_is_refused(tmp_path: Path) -> None:
    (first,) = ledger_of(tmp_path / "ledger", 1)
    with pytest.raises(EvidenceError, match=f"rests on {digest('other')}, which this ledger does not have"):
        append(tmp_path / "ledger", record(rests_on=(first, digest("other"))))
    assert [each.digest for each in read(tmp_path / "ledger")] == [first]


def test_a_damaged_ledger_takes_no_more(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    ledger_of(folder, 2)
    (folder / "000001.json").unlink()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(EvidenceError, match=r"MISSING 000002.json"):
        append(folder, record())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_record_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger_of(tmp_path / "one", 1)
    size = (tmp_path / "one" / "000001.json").stat().st_size
    monkeypatch.setattr("parity.ledger.store.LARGEST", size)
    append(tmp_path / "two", record())
    monkeypatch.setattr("parity.ledger.store.LARGEST", size - 1)
    with pytest.raises(EvidenceError, match=f"a record of {size:,} bytes"):
        append(tmp_path / "three", record())
    assert read(tmp_path / "three") == []


def test_a_full_ledger_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parity.ledger.store.MOST", 2)
    ledger_of(tmp_path / "ledger", 2)
    with pytest.raises(EvidenceError, match="full, with 2 records"):
        append(tmp_path / "ledger", record())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(EvidenceError, match="the ledger cannot be written: Permission denied"):
        append(tmp_path / "ledger", record())


def test_a_name_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("")
    with pytest.raises(EvidenceError, match="the ledger cannot be written"):
        append(tmp_path / "ledger", record())
    with pytest.raises(EvidenceError, match="cannot be read: Not a directory"):
        read(tmp_path / "ledger")


def test_processes_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    writers = [writer(folder, str(number), 5) for number in range(8)]
    told = [line for each in writers for line in each.communicate(timeout=120)[0].split()]
    assert [each.returncode for each in writers] == [0] * 8
    stored = read(folder)
    assert sorted(told) == sorted(each.digest for each in stored)
    hosts = {f"{number}-{turn}" for number in range(8) for turn in range(5)}
    assert len(stored) == 40 and {each.entry.host for each in stored} == hosts


def test_a_reader_beside_a_writer_finds_nothing_wrong(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    ledger_of(folder, 1)
    process = writer(folder, "w", 12)
    looks = 0
    while process.poll() is None:
        assert examine(folder).findings == ()
        looks += 1
    assert process.wait() == 0 and looks > 0
    assert len(read(folder)) == 13


def test_kills_in_mid_write_lose_nothing(tmp_path: Path) -> None:
    """A record whose digest was told is there whenever the writer was killed; the chain stays whole."""
    folder = tmp_path / "ledger"
    told: list[str] = []
    for turn in range(4):
        process = writer(folder, str(turn), 10_000)
        assert process.stdout is not None
        told.append(process.stdout.readline().strip())
        time.sleep(0.003 * turn)
        process.send_signal(signal.SIGKILL)
        told += process.stdout.read().split()
        assert process.wait() == -signal.SIGKILL
        digests = [each.digest for each in read(folder)]
        assert digests[: len(told)] == told or set(told) <= set(digests)
    assert len(told) >= 4
    last = append(folder, record())
    stored = read(folder)
    assert stored[-1].digest == last
    assert not [path for path in folder.iterdir() if path.name.startswith(".0") or ".head" in path.name]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_every_step_of_an_append_may_be_the_last(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each of the three writes, or half of one, the chain is whole and the next append goes on."""
    folder = tmp_path / "ledger"
    digests = ledger_of(folder, 2)
    steps = iter(range(1, 4))

    def put(where: Path, name: str, content: bytes) -> None:
        if next(steps) == step:
            (where / f".{name}.4194304").write_bytes(content[: len(content) // 2])
            raise KeyboardInterrupt
        _put(where, name, content)

    with monkeypatch.context() as patch:
        patch.setattr("parity.ledger.store._put", put)
        with pytest.raises(KeyboardInterrupt):
            append(folder, record())
    kept = [each.digest for each in read(folder)]
    assert kept[:2] == digests and len(kept) == (3 if step == 3 else 2)
    last = append(folder, record(rests_on=tuple(kept)))
    assert [each.digest for each in read(folder)] == [*kept, last]
    assert len(list(folder.iterdir())) == len(kept) + 3
