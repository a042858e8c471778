"""Which record lets a step be taken: the last word on exactly this repository and these models."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from parity.errors import EvidenceError
from parity.ledger import RepositoryDigest, Stored, age, append, basis, latest, latest_pass, read
from parity.ledger.query import CLOCK_TOLERANCE
from parity.outcome import Outcome
from tests.ledger_samples import PHASE, REPOSITORY, digest, record

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE
OTHER = RepositoryDigest.of({"yolo26/1/model.plan": digest("other")})


def records(folder: Path, *given: tuple[Outcome, dict[str, Any]]) -> list[Stored]:
    for outcome, changed in given:
        append(folder / "ledger", record(outcome, **changed))
    return read(folder / "ledger")


@pytest.mark.parametrize(
    ("given", "wanted", "sequence"),
    [
        ([], ("yolo26",), None),
        ([(PASS, {})], ("yolo26",), 1),
        ([(PASS, {})], (), None),
        ([(PASS, {}), (PASS, {})], ("yolo26",), 2),
        ([(FAIL, {})], ("yolo26",), None),
        ([(INCONCLUSIVE, {})], ("yolo26",), None),
        ([(FAIL, {}), (PASS, {})], ("yolo26",), 2),
        ([(PASS, {}), (FAIL, {})], ("yolo26",), None),
        ([(PASS, {}), (INCONCLUSIVE, {})], ("yolo26",), None),
        ([(PASS, {}), (FAIL, {"override": "now"})], ("yolo26",), None),
        ([(PASS, {"override": "now"})], ("yolo26",), None),
        ([(PASS, {"phase": "canary-25"})], ("yolo26",), None),
        ([(PASS, {}), (FAIL, {"phase": "canary-25"})], ("yolo26",), 1),
        ([(PASS, {"repository": OTHER})], ("yolo26",), None),
        ([(PASS, {}), (FAIL, {"repository": OTHER})], ("yolo26",), 1),
        ([(PASS, {"models": ("rtdetr",)})], ("yolo26",), None),
        ([(PASS, {})], ("yolo26", "rtdetr"), None),
        ([(PASS, {"models": ("yolo26", "rtdetr")})], ("rtdetr", "yolo26"), 1),
        ([(PASS, {"models": ("yolo26", "rtdetr")}), (PASS, {})], ("yolo26", "rtdetr"), 1),
        ([(PASS, {"models": ("yolo26", "rtdetr")}), (FAIL, {})], ("yolo26", "rtdetr"), None),
        ([(PASS, {"models": ("yolo26", "rtdetr")}), (FAIL, {})], ("rtdetr",), 1),
        ([(PASS, {}), (FAIL, {"models": ("rtdetr",)})], ("yolo26",), 1),
    ],
)
def test_the_last_word_counts(
    tmp_path: Path, given: list[tuple[Outcome, dict[str, Any]]], wanted: tuple[str, ...], sequence: int | None
) -> None:
    found = latest_pass(records(tmp_path, *given), PHASE, REPOSITORY, wanted)
    assert (found.entry.sequence if found else None) == sequence


def test_the_latest_of_any_outcome(tmp_path: Path) -> None:
    stored = records(tmp_path, (PASS, {}), (FAIL, {}), (PASS, {"phase": "canary-25"}))
    found = latest(stored, PHASE, REPOSITORY, ("yolo26", "rtdetr"))
    assert found is not None and (found.entry.sequence, found.entry.outcome) == (2, FAIL)
    assert latest(stored, PHASE, REPOSITORY, ()) is None
    assert latest(stored, PHASE, OTHER, ("yolo26",)) is None
    assert latest(stored, "canary-50", REPOSITORY, ("yolo26",)) is None


def test_what_a_record_rests_on_through_others(tmp_path: Path) -> None:
    digests: list[str] = []
    for rests_on in ((), (0,), (), (1,), (2, 3)):
        given = record(rests_on=tuple(digests[number] for number in rests_on))
        digests.append(append(tmp_path / "ledger", given))
    stored = read(tmp_path / "ledger")
    found = [[each.entry.sequence for each in basis(stored, one)] for one in stored]
    assert found == [[], [1], [], [1, 2], [1, 2, 3, 4]]


def test_an_age_is_never_negative(tmp_path: Path) -> None:
    (stored,) = records(tmp_path, (PASS, {}))
    made = stored.entry.time
    assert timedelta(minutes=5) == CLOCK_TOLERANCE
    assert age(stored, made + timedelta(days=3)) == timedelta(days=3)
    assert age(stored, made) == age(stored, made - CLOCK_TOLERANCE) == timedelta()
    with pytest.raises(EvidenceError, match="in the future"):
        age(stored, made - CLOCK_TOLERANCE - timedelta(microseconds=1))
    assert timedelta() < age(stored) < timedelta(minutes=10)
