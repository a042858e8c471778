"""Everything that can be done to a ledger is found, and named for what it is."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from parity.errors import EvidenceError
from parity.ledger import CODES, append, examine, read
from parity.ledger.canonical import encode, sha256
from parity.ledger.chain import LARGEST, to_file
from parity.ledger.dsse import Envelope, seal
from parity.ledger.head import HEAD, Head
from parity.ledger.statement import PREDICATE, STATEMENT, to_statement
from tests.ledger_samples import digest, ledger_of, record

ONE, TWO, THREE = "000001.json", "000002.json", "000003.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ledger_of(tmp_path / "ledger", 3)
    return tmp_path / "ledger"


def found(folder: Path) -> set[tuple[str, str]]:
    """Codes and files; whatever is found, the records are not read as if nothing were."""
    findings = examine(folder).findings
    assert {finding.code for finding in findings} <= set(CODES)
    if findings:
        with pytest.raises(EvidenceError) as error:
            read(folder)
        assert error.value.exit_code == 3
        assert all(str(finding) in str(error.value) for finding in findings)
    return {(finding.code, finding.file) for finding in findings}


def rewritten(folder: Path, name: str, change: Callable[[dict[str, object]], None]) -> None:
    """A record with another statement in a whole envelope, as somebody who knows the format would make it."""
    envelope = Envelope.model_validate_json((folder / name).read_bytes())
    statement = json.loads(envelope.content())
    change(statement)
    (folder / name).write_bytes(to_file(seal(encode(statement), None)))


def head(folder: Path, **changed: object) -> None:
    old = Head.from_bytes((folder / HEAD).read_bytes())
    (folder / HEAD).write_bytes(encode({**old.model_dump(), **changed}) + b"\n")


def digest_of(folder: Path, name: str) -> str:
    return sha256((folder / name).read_bytes())


def test_nothing(folder: Path) -> None:
    assert found(folder) == set()


def test_a_removed_record(folder: Path) -> None:
    (folder / TWO).unlink()
    assert found(folder) == {("MISSING", THREE), ("UNKNOWN_BASIS", THREE)}


def test_several_removed_records_are_one_finding(folder: Path) -> None:
    (folder / ONE).unlink()
    (folder / TWO).unlink()
    (finding,) = [each for each in examine(folder).findings if each.code == "MISSING"]
    assert (finding.file, finding.found) == (THREE, "no 000001.json to 000002.json")


def test_a_removed_first_record(folder: Path) -> None:
    (folder / ONE).unlink()
    assert ("MISSING", TWO) in found(folder)


def test_a_removed_record_with_the_others_moved_up(folder: Path) -> None:
    (folder / THREE).replace(folder / TWO)
    assert found(folder) == {
        ("REORDERED", TWO), ("BROKEN_LINK", TWO), ("UNKNOWN_BASIS", TWO), ("TRUNCATED", HEAD),
    }  # fmt: skip


def test_a_tail_that_was_cut_off(folder: Path) -> None:
    (folder / THREE).unlink()
    assert found(folder) == {("TRUNCATED", HEAD)}


def test_all_records_cut_off(folder: Path) -> None:
    for name in (ONE, TWO, THREE):
        (folder / name).unlink()
    assert found(folder) == {("TRUNCATED", HEAD)}


def test_exchanged_records(folder: Path) -> None:
    contents = (folder / TWO).read_bytes(), (folder / THREE).read_bytes()
    (folder / THREE).write_bytes(contents[0])
    (folder / TWO).write_bytes(contents[1])
    codes = found(folder)
    assert {("REORDERED", TWO), ("REORDERED", THREE), ("BROKEN_LINK", TWO)} <= codes
    assert ("HEAD_MISMATCH", HEAD) in codes


def test_a_record_of_another_ledger_in_its_place(folder: Path, tmp_path: Path) -> None:
    ledger_of(tmp_path / "other", 2)
    shutil.copy(tmp_path / "other" / ONE, folder / ONE)
    assert found(folder) == {("BROKEN_LINK", TWO), ("UNKNOWN_BASIS", TWO)}


def test_a_record_that_was_rewritten(folder: Path) -> None:
    def passed(statement: dict[str, object]) -> None:
        statement["predicate"]["host"] = "elsewhere"  # type: ignore[index]

    rewritten(folder, TWO, passed)
    assert found(folder) == {("BROKEN_LINK", THREE), ("UNKNOWN_BASIS", THREE)}
    rewritten(folder, THREE, passed)
    assert ("HEAD_MISMATCH", HEAD) in found(folder)


def test_a_first_record_that_names_one_before_it(folder: Path) -> None:
    def linked(statement: dict[str, object]) -> None:
        statement["predicate"]["previous"] = digest("x")  # type: ignore[index]

    rewritten(folder, ONE, linked)
    assert ("BROKEN_LINK", ONE) in found(folder)


def test_a_subject_that_is_not_the_repository(folder: Path) -> None:
    rewritten(folder, THREE, lambda statement: statement.update(subject=[]))
    head(folder, digest=digest_of(folder, THREE))
    assert found(folder) == {("DAMAGED", THREE)}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"predicateType": PREDICATE[:-1] + "2"}, "UNKNOWN_VERSION"),
        ({"predicateType": "https://slsa.dev/provenance/v1"}, "DAMAGED"),
        ({"predicateType": None}, "DAMAGED"),
        ({"predicate": {"format": 2}}, "UNKNOWN_VERSION"),
        ({"predicate": {"format": None}}, "UNKNOWN_VERSION"),
        ({"predicate": []}, "UNKNOWN_VERSION"),
        ({"predicate": {"format": 1}}, "DAMAGED"),
        ({"_type": STATEMENT + ".1"}, "DAMAGED"),
        ({"more": 1}, "DAMAGED"),
    ],
)
def test_a_statement_that_is_not_ours(folder: Path, change: dict[str, object], code: str) -> None:
    rewritten(folder, THREE, lambda statement: statement.update(change))
    head(folder, digest=digest_of(folder, THREE))
    assert found(folder) == {(code, THREE)}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\n", b"null\n", b"[]\n", b"{}\n", b"{", b"\xff\n", b"[" * 100_000 + b"\n", b"NaN\n",
        b'{"payload":"!","payloadType":"application/vnd.in-toto+json","signatures":[]}\n',
        b'{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}\n',
        b'{"payload":"W10=","payloadType":"application/vnd.in-toto+json","signatures":[]}\n',
    ],
)  # fmt: skip
def test_a_file_that_is_no_record(folder: Path, content: bytes) -> None:
    (folder / THREE).write_bytes(content)
    head(folder, digest=sha256(content))
    assert found(folder) == {("DAMAGED", THREE)}


@pytest.mark.parametrize(
    "spelled",
    [
        lambda content: content.replace(b":", b": ", 1),
        lambda content: content[:-1],
        lambda content: content + b"\n",
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: content.replace(b"}\n", b',"signatures":[]}\n'),
        lambda content: content.replace(b"in-toto+json", b"in-toto.x+json"),
    ],
)
def test_another_spelling_of_the_same(folder: Path, spelled: Callable[[bytes], bytes]) -> None:
    content = spelled((folder / THREE).read_bytes())
    assert content != (folder / THREE).read_bytes()
    (folder / THREE).write_bytes(content)
    head(folder, digest=sha256(content))
    assert found(folder) == {("DAMAGED", THREE)}


def test_a_record_that_is_a_link_or_no_file(folder: Path, tmp_path: Path) -> None:
    (folder / ONE).replace(tmp_path / ONE)
    (folder / ONE).symlink_to(tmp_path / ONE)
    assert ("UNREADABLE", ONE) in found(folder)
    (folder / ONE).unlink()
    os.mkfifo(folder / ONE)
    assert ("UNREADABLE", ONE) in found(folder)


def test_a_record_over_the_limit(folder: Path) -> None:
    with (folder / THREE).open("ab") as file:
        file.truncate(LARGEST)
    assert ("DAMAGED", THREE) in found(folder)
    with (folder / THREE).open("ab") as file:
        file.truncate(LARGEST + 1)
    assert ("UNREADABLE", THREE) in found(folder)


@pytest.mark.parametrize(
    "name",
    ["README.md", "000000.json", "0000001.json", "1.json", ".000004.json", ".head.json.x", "000004.JSON"],
)
def test_a_file_that_is_not_ours(folder: Path, name: str) -> None:
    (folder / name).write_text("")
    assert found(folder) == {("NOT_OURS", name)}


def test_what_an_ended_writer_left_is_no_finding(folder: Path) -> None:
    (folder / ".000004.json.17").write_text("{")
    (folder / ".head.json.17").write_text("{")
    assert found(folder) == set()
    append(folder, record())
    assert not list(folder.glob(".*.17"))


def test_a_head_that_is_missing(folder: Path) -> None:
    (folder / HEAD).unlink()
    assert found(folder) == {("HEAD_MISSING", HEAD)}


@pytest.mark.parametrize("content", [b"", b"{}\n", b"null\n", b'{"count":3}\n', b"{", b"\xff\n"])
def test_a_head_that_is_none(folder: Path, content: bytes) -> None:
    (folder / HEAD).write_bytes(content)
    assert found(folder) == {("HEAD_DAMAGED", HEAD)}


@pytest.mark.parametrize(
    "spelled",
    [lambda head: head[:-1], lambda head: b" " + head, lambda head: head.replace(b"{", b'{"count":1,')],
)
def test_another_spelling_of_the_head(folder: Path, spelled: Callable[[bytes], bytes]) -> None:
    (folder / HEAD).write_bytes(spelled((folder / HEAD).read_bytes()))
    assert found(folder) == {("HEAD_DAMAGED", HEAD)}


def test_a_head_that_is_a_link(folder: Path, tmp_path: Path) -> None:
    (folder / HEAD).replace(tmp_path / HEAD)
    (folder / HEAD).symlink_to(tmp_path / HEAD)
    assert found(folder) == {("HEAD_DAMAGED", HEAD)}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"count": 4}, "TRUNCATED"),
        ({"count": 0}, "HEAD_DAMAGED"),
        ({"digest": None}, "HEAD_DAMAGED"),
        ({"count": -1}, "HEAD_DAMAGED"),
        ({"count": 3.0}, "HEAD_DAMAGED"),
        ({"count": True}, "HEAD_DAMAGED"),
        ({"format": 2}, "HEAD_DAMAGED"),
        ({"digest": digest("x")}, "HEAD_MISMATCH"),
        ({"count": 0, "digest": None}, "UNCOUNTED"),
    ],
)
def test_a_head_that_counts_wrongly(folder: Path, changed: dict[str, object], code: str) -> None:
    head(folder, **changed)
    assert found(folder) == {(code, HEAD)}


def test_only_the_record_that_the_head_announced_may_follow_it(folder: Path) -> None:
    two, three = digest_of(folder, TWO), digest_of(folder, THREE)
    head(folder, count=2, digest=two)
    assert found(folder) == {("UNCOUNTED", HEAD)}
    head(folder, count=2, digest=two, pending=digest("x"))
    assert found(folder) == {("UNCOUNTED", HEAD)}
    head(folder, count=2, digest=digest("x"), pending=three)
    assert found(folder) == {("HEAD_MISMATCH", HEAD)}
    head(folder, count=2, digest=two, pending=three)
    assert found(folder) == set()
    head(folder, count=1, digest=digest_of(folder, ONE), pending=three)
    assert found(folder) == {("UNCOUNTED", HEAD)}


def test_a_basis_that_comes_later_or_never(folder: Path) -> None:
    entry = read(folder)[1].entry
    for basis in (digest("x"), digest_of(folder, THREE)):
        changed = entry.model_copy(update={"rests_on": (basis,)})
        (folder / TWO).write_bytes(to_file(seal(to_statement(changed), None)))
        assert ("UNKNOWN_BASIS", TWO) in found(folder)


def test_everything_wrong_is_found_in_one_go(folder: Path) -> None:
    (folder / "notes.txt").write_text("")
    (folder / ONE).write_bytes(b"{}\n")
    (folder / HEAD).unlink()
    assert {code for code, _ in found(folder)} == {
        "NOT_OURS", "DAMAGED", "BROKEN_LINK", "UNKNOWN_BASIS", "HEAD_MISSING",
    }  # fmt: skip
