"""Records that say more than they show are none."""

from __future__ import annotations

import os
import re
from datetime import datetime, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from parity.ledger import FileDigest, RepositoryDigest, who
from parity.ledger.record import Entry, _digest, now
from parity.outcome import Outcome
from tests.ledger_samples import REPOSITORY, criterion, digest, record


@pytest.mark.parametrize(
    ("said", "criteria"),
    [
        (Outcome.PASS, ()),
        (Outcome.PASS, (Outcome.FAIL,)),
        (Outcome.PASS, (Outcome.INCONCLUSIVE,)),
        (Outcome.PASS, (Outcome.PASS, Outcome.INCONCLUSIVE)),
        (Outcome.PASS, (Outcome.PASS, Outcome.FAIL)),
        (Outcome.INCONCLUSIVE, (Outcome.PASS, Outcome.FAIL)),
    ],
)
def test_an_outcome_that_the_criteria_do_not_bear(said: Outcome, criteria: tuple[Outcome, ...]) -> None:
    with pytest.raises(ValidationError, match=r"PASS without|criterion that failed"):
        record(said, criteria=tuple(criterion(outcome) for outcome in criteria))


@pytest.mark.parametrize(
    ("said", "criteria"),
    [
        (Outcome.PASS, (Outcome.PASS, Outcome.PASS)),
        (Outcome.INCONCLUSIVE, ()),
        (Outcome.INCONCLUSIVE, (Outcome.PASS,)),
        (Outcome.FAIL, (Outcome.PASS,)),
        (Outcome.FAIL, ()),
        (Outcome.FAIL, (Outcome.FAIL, Outcome.INCONCLUSIVE)),
    ],
)
def test_an_outcome_may_be_worse_than_the_criteria(said: Outcome, criteria: tuple[Outcome, ...]) -> None:
    assert record(said, criteria=tuple(criterion(outcome) for outcome in criteria)).outcome is said


def test_a_pass_rests_on_evidence() -> None:
    with pytest.raises(ValidationError, match="PASS without evidence"):
        record(evidence=())
    assert record(Outcome.FAIL, evidence=()).evidence == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"format": 2},
        {"models": ()},
        {"models": ("",)},
        {"phase": ""},
        {"override": ""},
        {"user": ""},
        {"phase": "x" * 257},
        {"command": "x" * 65_537},
        {"created": "2026-11-25T15:00:00Z"},
        {"created": "2026-11-25T15:00:00.000001"},
        {"created": "2026-11-25T15:00:00.1Z"},
        {"created": "2026-02-30T15:00:00.000001Z"},
        {"rests_on": ("x",)},
        {"rests_on": (digest("x").upper(),)},
        {"rests_on": (digest("x") + "\n",)},
        {"more": 1},
    ],
)
def test_a_field_that_is_wrong(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        record(**changed)


def test_the_largest_and_the_smallest_that_will_do() -> None:
    assert record(phase="x", user="x" * 256, command="x" * 65_536, override="x").override == "x"
    assert len(FileDigest(path="x" * 4096, sha256=digest("x")).path) == 4096
    with pytest.raises(ValidationError):
        FileDigest(path="x" * 4097, sha256=digest("x"))
    first = {**record().model_dump(), "previous": None}
    assert Entry.model_validate({**first, "sequence": 1}).format == 1
    with pytest.raises(ValidationError):
        Entry.model_validate({**first, "sequence": 0})


def test_a_record_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        record(Outcome.FAIL).outcome = Outcome.PASS  # type: ignore[misc]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_is_finite(value: float) -> None:
    with pytest.raises(ValidationError):
        criterion(observed=value)


@pytest.mark.parametrize("path", ["", "/etc/passwd", "..", "a/../b", "a//b", "./a", "a/", "a\0b", "a/.", "."])
def test_a_path_stays_below_its_root(path: str) -> None:
    with pytest.raises(ValidationError, match="not a path below a folder"):
        FileDigest(path=path, sha256=digest("x"))


@pytest.mark.parametrize("path", ["a", "a/b.c", "...", "a b/..c", "é"])
def test_any_other_path_will_do(path: str) -> None:
    assert FileDigest(path=path, sha256=digest("x")).path == path


def test_an_argument_that_is_not_utf8_is_kept_readable() -> None:
    assert record(command=os.fsdecode(b"parity gate \xff")).command == r"parity gate \udcff"


def test_the_digest_of_a_repository_is_of_all_that_is_in_it() -> None:
    files = {file.path: file.sha256 for file in REPOSITORY.files}
    others = [
        RepositoryDigest.of({**files, "yolo26/config.pbtxt": digest("x")}, ("yolo26/2",)),
        RepositoryDigest.of({**files, "other/config.pbtxt": digest("x")}, ("yolo26/2",)),
        RepositoryDigest.of(files, ("yolo26/2", "yolo26/3")),
        RepositoryDigest.of(files),
        RepositoryDigest.of({"moved/" + path: sha256 for path, sha256 in files.items()}, ("yolo26/2",)),
    ]
    assert len({REPOSITORY.digest, *(other.digest for other in others)}) == 6
    assert RepositoryDigest.of(dict(reversed(files.items())), ("yolo26/2",)) == REPOSITORY


def test_a_model_has_a_digest_of_its_own() -> None:
    files = {"a/config.pbtxt": digest("a"), "ab/config.pbtxt": digest("b"), "README.md": digest("c")}
    before = RepositoryDigest.of(files, ("empty", "ab/1")).models()
    assert list(before) == ["a", "ab", "empty"]
    after = RepositoryDigest.of({**files, "a/config.pbtxt": digest("x")}, ("empty",)).models()
    assert [before[name] == after[name] for name in before] == [False, False, True]
    assert RepositoryDigest.of({**files, "README.md": digest("x")}, ("empty", "ab/1")).models() == before


@pytest.mark.parametrize(
    "changed",
    [
        {"digest": digest("x")},
        {"files": ()},
        {"files": REPOSITORY.files[:1]},
        {"files": REPOSITORY.files[::-1]},
        {"files": (*REPOSITORY.files, REPOSITORY.files[-1])},
        {"empty_folders": ()},
        {"empty_folders": ("yolo26/2", "yolo26/2")},
    ],
)
def test_a_digest_that_is_not_of_its_files(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RepositoryDigest.model_validate({**REPOSITORY.model_dump(), **changed})


@pytest.mark.parametrize(
    ("files", "folders"),
    [
        (REPOSITORY.files[::-1], ()),
        ((*REPOSITORY.files, REPOSITORY.files[-1]), ()),
        (REPOSITORY.files, ("b", "a")),
        (REPOSITORY.files, ("a", "a")),
    ],
)
def test_paths_are_in_order_and_once_each(files: tuple[FileDigest, ...], folders: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="not sorted, or not once each"):
        RepositoryDigest(digest=_digest(files, folders), files=files, empty_folders=folders)


def test_the_time_is_now_and_reads_back() -> None:
    before = datetime.now(timezone.utc)
    made = record(created=now())
    assert before <= made.time <= datetime.now(timezone.utc)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record().created)


def test_who_ran_it_can_be_said() -> None:
    assert who({"PARITY_USER": "ada", "PARITY_HOST": "bench"}) == ("ada", "bench")
    user, host = who({})
    assert user and host
    assert who({"PARITY_USER": "x" * 300, "PARITY_HOST": "y" * 300}) == ("x" * 256, "y" * 256)


def test_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError

    monkeypatch.setattr("getpass.getuser", nobody)
    assert who({})[0] == f"uid {os.getuid()}"
