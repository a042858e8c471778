"""`parity ledger show | verify | export`, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from parity.cli import app
from parity.ledger import append, evidence_digests
from parity.ledger.canonical import sha256
from parity.outcome import Outcome
from tests.ledger_samples import digest, ledger_of, record, write_evidence, write_keys


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_evidence(tmp_path)


def parity(*arguments: str) -> Result:
    done = CliRunner().invoke(app, ["ledger", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert all(len(line) <= 80 for line in done.stdout.split("\n")), done.stdout
    return done


def test_a_table_of_the_verdicts() -> None:
    hostile = "because \x1b[31m of the " + "very long story " * 8
    append(Path("ledger"), record(models=("yolo26", "rtdetr"), phase="canary-100"))
    append(Path("ledger"), record(Outcome.FAIL, override=hostile))
    done = parity("show")
    assert done.exit_code == 0
    override = "#2 OVERRIDE by ada: because <U+001B>[31m"
    for text in ("canary-100", "yolo26", "rtdetr", "PASS", "FAIL", override):
        assert text in done.stdout
    assert "\x1b" not in done.stdout
    key, public = write_keys(Path(), "key")
    last = append(Path("ledger"), record(), key)
    done = parity("show")
    assert [line.split("│")[6].strip() for line in done.stdout.split("\n") if "│ canary" in line] == [
        "none", "none", public.keyid[:8],
    ]  # fmt: skip
    assert done.stdout.endswith(f"\nlast: {last}\n")


def test_the_verdicts_as_a_document() -> None:
    digests = ledger_of(Path("ledger"), 2)
    done = CliRunner().invoke(app, ["ledger", "show", "--json"])
    document = json.loads(done.stdout)
    assert done.exit_code == 0
    assert [each["digest"] for each in document["records"]] == digests
    assert [each["rests_on"] for each in document["records"]] == [[], digests[:1]]
    assert document["findings"] == []
    Path("ledger/000001.json").unlink()
    done = CliRunner().invoke(app, ["ledger", "show", "--json"])
    document = json.loads(done.stdout)
    assert done.exit_code == 3
    assert [each["code"] for each in document["findings"]] == ["MISSING", "UNKNOWN_BASIS"]
    assert [each["digest"] for each in document["records"]] == digests[1:]


def test_a_damaged_ledger_is_shown_as_far_as_it_goes() -> None:
    ledger_of(Path("ledger"), 2)
    Path("ledger/000002.json").write_text("{}\n")
    done = parity("show")
    assert done.exit_code == 3
    assert "canary-10" in done.stdout and "DAMAGED 000002.json" in done.stderr


def test_no_ledger_and_an_empty_one() -> None:
    assert parity("show").exit_code == 3
    done = parity("verify")
    assert done.exit_code == 3 and "EMPTY  ledger" in done.stdout and "WRONG: 1 finding" in done.stdout
    assert parity("export", "out.jsonl").exit_code == 3
    assert not Path("out.jsonl").exists()
    Path("ledger").mkdir()
    assert parity("show").stdout == "no record\n"
    assert parity("verify").exit_code == 3


def test_nothing_is_wrong() -> None:
    digests = ledger_of(Path("ledger"), 2)
    done = parity("verify", "--anchor", digests[0])
    assert done.exit_code == 0
    assert done.stdout.split("\n") == [
        "2 records in ledger",
        f"last: {digests[1]}",
        "signatures: 0 of 2 signed; not checked, since no --key was given",
        "evidence: 1 file, checked",
        "nothing is wrong",
        "",
    ]


def test_everything_wrong_is_told_at_once() -> None:
    mine, _ = write_keys(Path(), "mine")
    other, _ = write_keys(Path(), "other")
    append(Path("ledger"), record(), mine)
    append(Path("ledger"), record(), other)
    append(Path("ledger"), record())
    assert parity("verify", "--key", "mine.pub.pem", "--key", "other.pub.pem").exit_code == 3
    Path("ledger/notes.txt").write_text("")
    Path("reports/run/report.json").write_text("better")
    done = parity("verify", "--key", "mine.pub.pem", "--anchor", digest("x"))
    assert done.exit_code == 3
    codes = [line.split()[0] for line in done.stdout.split("\n") if "  " in line and line[0].isupper()]
    assert codes == [
        "NOT_OURS", "OTHER_KEY", "UNSIGNED", "ANCHOR_MISSING",
        "EVIDENCE_CHANGED",
    ]  # fmt: skip
    assert "signatures: 2 of 3 signed; checked" in done.stdout
    assert "WRONG: 5 findings" in done.stdout


def test_signatures_of_the_right_key() -> None:
    mine, _ = write_keys(Path(), "mine")
    ledger_of(Path("ledger"), 2, mine)
    done = parity("verify", "--key", "mine.pub.pem")
    assert done.exit_code == 0 and "2 of 2 signed; checked" in done.stdout


def test_evidence_below_another_root() -> None:
    Path("elsewhere").mkdir()
    evidence = evidence_digests(Path(), [Path("reports")])
    append(Path("elsewhere/ledger"), record(evidence=evidence))
    done = parity("verify", "--ledger", "elsewhere/ledger")
    assert done.exit_code == 3 and "EVIDENCE_GONE  reports/run/report.json" in done.stdout
    assert parity("verify", "--ledger", "elsewhere/ledger", "--evidence-root", ".").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("verify", "--key", "none.pem"), "No such file"),
        (("verify", "--key", "mine.pem"), "a private key"),
        (("verify", "--evidence-root", "none"), "no such folder"),
        (("verify", "--anchor", "abc"), "64 hexadecimal digits"),
        (("verify", "--ledger", ""), "an empty name"),
        (("export", "ledger/all.jsonl"), "inside the ledger"),
    ],
)
def test_what_was_typed_is_wrong(arguments: tuple[str, ...], message: str) -> None:
    ledger_of(Path("ledger"), 1)
    write_keys(Path(), "mine")
    done = parity(*arguments)
    assert done.exit_code == 2 and message in done.output
    assert parity("verify").exit_code == 0


def test_one_file_of_all_records() -> None:
    digests = ledger_of(Path("ledger"), 3)
    done = parity("export", "out/all.jsonl")
    assert (done.exit_code, done.stdout) == (0, "3 records: out/all.jsonl\n")
    lines = Path("out/all.jsonl").read_bytes().splitlines(keepends=True)
    assert [sha256(line) for line in lines] == digests
    assert all(sorted(json.loads(line)) == ["payload", "payloadType", "signatures"] for line in lines)
    Path("ledger/000003.json").unlink()
    assert parity("export", "out/all.jsonl").exit_code == 3
    assert len(Path("out/all.jsonl").read_bytes().splitlines()) == 3
