"""JUnit XML as runners write it, and as an enemy would."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

from parity.errors import EvidenceError
from parity.existing_tests import reading
from parity.existing_tests.evidence import TestsEvidence
from parity.existing_tests.reading import read_tests

GOOD = """<?xml version="1.0" encoding="utf-8"?>
<testsuites name="all"><testsuite name="api" tests="4" failures="1" errors="1" skipped="1"
 timestamp="2026-01-02T03:04:05+01:00">
  <testcase classname="a.B" name="one" time="0.1"/>
  <testcase classname="a.B" name="two"><failure message="no">text</failure></testcase>
  <testcase classname="a.B" name="three"><error/></testcase>
  <testcase classname="a.B" name="four"><skipped/><system-out>any <failure/> text</system-out></testcase>
</testsuite></testsuites>
"""


def read(tmp_path: Path, text: str | bytes, name: str = "results.xml") -> TestsEvidence:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_tests([path])


def counts(found: TestsEvidence) -> list[tuple[str, int, int, int, int, int]]:
    return [(s.name, s.tests, s.passed, s.failed, s.errors, s.skipped) for s in found.suites]


def test_a_file_with_every_outcome(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD)
    assert counts(found) == [("api", 4, 1, 1, 1, 1)]
    assert found.failures == ("api: a.B.two", "api: a.B.three")
    assert found.skips == ("api: a.B.four",)
    assert found.suites[0].contradiction == ""
    assert found.files[0].sha256 == hashlib.sha256(GOOD.encode()).hexdigest()
    assert found.oldest == datetime(2026, 1, 2, 2, 4, 5, tzinfo=timezone.utc)


def test_what_pytest_itself_writes(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_a(): pass\n"
        "def test_b(): assert False\n"
        "@pytest.fixture\n"
        "def broken(): raise ValueError\n"
        "def test_c(broken): pass\n"
        "@pytest.mark.skip\n"
        "def test_d(): pass\n"
        "@pytest.mark.xfail\n"
        "def test_e(): assert False\n"
    )
    out = tmp_path / "out.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={out}", "."]
    subprocess.run(command, cwd=tmp_path, check=False, capture_output=True)
    found = read_tests([out])
    assert counts(found) == [("pytest", 5, 1, 1, 1, 2)]
    assert found.suites[0].contradiction == ""
    assert found.oldest is not None


def test_suites_within_suites_are_each_told_of(tmp_path: Path) -> None:
    text = """<testsuites tests="3"><testsuite name="outer" tests="3"><testsuite name="inner" tests="2">
    <testcase name="a"/><testcase name="b"/></testsuite><testcase name="c"/></testsuite>
    <testsuite name="empty"/></testsuites>"""
    found = read(tmp_path, text)
    assert [row[:3] for row in counts(found)] == [("inner", 2, 2), ("outer", 1, 1), ("empty", 0, 0)]
    assert not any(suite.contradiction for suite in found.suites)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ('tests="2"', "2 tests by its own count and 1 in it"),
        ('failures="1"', "1 failed by its own count and 0 in it"),
        ('errors="1"', "1 errors by its own count and 0 in it"),
        ('tests="x"', "an unreadable number tests"),
        ('tests="-1"', "an unreadable number tests"),
        (f'tests="{"9" * 5000}"', "an unreadable number tests"),
    ],
)
@pytest.mark.parametrize("root", ["testsuite", "testsuites"])
def test_counts_that_the_cases_do_not_bear_out_are_told(
    tmp_path: Path, root: str, attributes: str, words: str
) -> None:
    inside = '<testsuite><testcase name="a"/></testsuite>' if root == "testsuites" else '<testcase name="a"/>'
    found = read(tmp_path, f"<{root} {attributes}>{inside}</{root}>")
    assert words in "".join(suite.contradiction for suite in found.suites)


def test_a_test_that_was_not_run_is_skipped_without_saying_so(tmp_path: Path) -> None:
    found = read(tmp_path, '<testsuite><testcase name="a" status="notrun"/><testcase name="b"/></testsuite>')
    assert counts(found)[0][1:] == (2, 1, 0, 0, 1)


def test_a_failure_stays_one_beside_a_skip(tmp_path: Path) -> None:
    found = read(tmp_path, '<testsuite><testcase name="a"><failure/><skipped/></testcase></testsuite>')
    assert counts(found)[0][1:] == (1, 0, 1, 0, 0)


def test_what_an_output_holds_is_no_outcome(tmp_path: Path) -> None:
    text = (
        '<testsuite><testcase name="a"><system-out><failure/><testcase/></system-out></testcase></testsuite>'
    )
    assert counts(read(tmp_path, text))[0][1:] == (1, 1, 0, 0, 0)


def test_times(tmp_path: Path) -> None:
    one = '<testsuite timestamp="{}"><testcase name="a"/></testsuite>'
    assert read(tmp_path, one.format("2026-01-02T03:04:05")).oldest == datetime(
        2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc
    )
    for bad in ("", "yesterday", "0001-01-01T00:00:00+14:00"):
        assert read(tmp_path, one.format(bad)).oldest is None


def test_one_file_without_a_time_leaves_the_age_of_all_unknown(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(GOOD)
    (tmp_path / "b.xml").write_text('<testsuite><testcase name="a"/></testsuite>')
    assert read_tests([tmp_path]).oldest is None


def test_folders_are_searched_and_files_named_twice_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.xml").write_text(GOOD)
    (tmp_path / "b.xml").write_text(GOOD)
    (tmp_path / "c.txt").write_text("nothing")
    assert len(read_tests([tmp_path, tmp_path / "b.xml"]).files) == 2
    (tmp_path / "none").mkdir()
    assert read_tests([tmp_path / "none"]).files == read_tests([]).files == ()


BOMB = """<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<testsuite name="&b;"><testcase name="a"/></testsuite>"""
OUTSIDE = '<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuite><testcase name="a"/></testsuite>'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "has a document type"),
        (OUTSIDE, "has a document type"),
        ("<coverage/>", "its root is <coverage>"),
        ("", "not XML"),
        ("<testsuite>", "not XML"),
        ('<testsuite name="&nope;"/>', "not XML"),
        (b"\xff\xfe\x00", "not XML"),
        ('<?xml version="1.0" encoding="nonsense"?><testsuite/>', "not XML"),
        ("<testsuite>" * 100 + "</testsuite>" * 100, "over 64 deep"),
        ("<testsuites>" + "<testsuite/>" * 10_001 + "</testsuites>", "over 10,000 suites"),
    ],
)
def test_what_no_runner_writes_is_refused(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(EvidenceError, match=words):
        read(tmp_path, text)


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(BOMB)
    with pytest.raises(EvidenceError, match="2 problems") as caught:
        read_tests([tmp_path / "a.xml", tmp_path / "gone.xml"])
    assert "gone.xml: no such file" in str(caught.value)
    assert caught.value.exit_code == 3


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 2**20)
    with pytest.raises(EvidenceError, match="larger than 1 MiB"):
        read(tmp_path, "<testsuite>" + " " * 2**20 + "</testsuite>")
    monkeypatch.setattr(reading, "MOST_FILES", 1)
    (tmp_path / "b.xml").write_text(GOOD)
    with pytest.raises(EvidenceError, match="2 files"):
        read_tests([tmp_path])


def test_names_are_shortened_and_made_visible(tmp_path: Path) -> None:
    text = (
        f'<testsuite name="{"n" * 5000}"><testcase name="a&#10;&#x202E;b"><failure/></testcase></testsuite>'
    )
    found = read(tmp_path, text)
    assert len(found.suites[0].name) == 200
    assert found.failures[0].endswith("a <U+202E>b")


def test_many_failures_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    cases = "".join(f'<testcase name="t{i}"><failure/></testcase>' for i in range(150))
    found = read(tmp_path, f"<testsuite>{cases}</testsuite>")
    assert (found.suites[0].failed, len(found.failures)) == (150, 100)
