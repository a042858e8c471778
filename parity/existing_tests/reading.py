"""Reads JUnit XML: what any test runner can write, and so what anybody may have put there.

A file with a document type is refused, since entities are declared there; sizes are bounded before anything
is read; a file is read as a stream, and only names, counts and times are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from parity.errors import EvidenceError, first_line, join_problems
from parity.existing_tests.evidence import MOST_NAMED, ResultFile, Suite, TestsEvidence
from parity.visible import one_line

MOST_BYTES = 64 * 2**20
MOST_FILES = 1000
MOST_DEPTH = 64
MOST_SUITES = 10_000
MOST_NAME = 200
SUITES = ("testsuites", "testsuite")
NOT_RUN = ("notrun", "disabled")
"""Values of `status` with which runners write a test that they left out, without saying `<skipped>`."""

_OUTCOMES = ("passed", "failed", "errors", "skipped")
_ELEMENTS = {"failure": "failed", "error": "errors", "skipped": "skipped"}


class _RefusedError(Exception):
    """What keeps a file from being read."""


@dataclass(kw_only=True)
class _Open:
    """A suite whose end has not come: its own test cases, and the counts of it with all suites inside."""

    name: str
    declared: dict[str, int]
    is_suite: bool
    own: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_OUTCOMES, 0))
    total: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_OUTCOMES, 0))
    holds_suites: bool = False


def read_tests(paths: Sequence[Path]) -> TestsEvidence:
    """Read JUnit XML files, and of folders every `*.xml` in them at any depth.

    Without any path, and for a folder without such files, the evidence has no files, which is never PASS.
    Raises EvidenceError that names every file that cannot be read or is not JUnit XML.
    """
    files, failures, skips, problems = [], [], [], []
    for path in _files(paths):
        try:
            reader = _Reader(path)
            files.append(reader.read())
            failures += reader.failures
            skips += reader.skips
        except _RefusedError as refused:
            problems.append(f"{path}: {refused}")
    if problems:
        raise EvidenceError(
            join_problems(problems),
            where="results of existing tests",
            expected="JUnit XML as test runners write it, such as that of pytest --junitxml=results.xml",
        )
    return TestsEvidence(
        files=tuple(files), failures=tuple(failures[:MOST_NAMED]), skips=tuple(skips[:MOST_NAMED])
    )


def _files(paths: Sequence[Path]) -> list[Path]:
    found: dict[Path, Path] = {}
    for path in paths:
        inside = sorted(path.rglob("*.xml")) if path.is_dir() else [path]
        found |= {each.resolve(): each for each in inside}
    if len(found) > MOST_FILES:
        raise EvidenceError(
            f"{len(found):,} files", where="results of existing tests", expected=f"at most {MOST_FILES:,}"
        )
    return list(found.values())


class _Reader:
    """One file, read once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.suites: list[Suite] = []
        self.failures: list[str] = []
        self.skips: list[str] = []
        self.times: list[datetime] = []
        self.open: list[_Open] = []
        self.depth = 0
        self.case = ""
        self.case_depth = 0
        self.outcome = ""

    def read(self) -> ResultFile:
        content = _content(self.path)
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        try:
            parser.Parse(content, True)
        except (expat.ExpatError, ValueError, LookupError) as error:
            raise _RefusedError(f"not XML: {first_line(error)}") from error
        return ResultFile(
            path=one_line(str(self.path)),
            sha256=hashlib.sha256(content).hexdigest(),
            started=min(self.times, default=None),
            suites=tuple(self.suites),
        )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rsplit(":", 1)[-1]
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise _RefusedError(f"elements in each other over {MOST_DEPTH} deep")
        if self.depth == 1 and tag not in SUITES:
            raise _RefusedError(f"its root is <{tag[:MOST_NAME]}>, not <testsuites> or <testsuite>")
        if self.case:
            # Only what stands right under a test case is its outcome; an output may hold anything.
            if (
                self.depth == self.case_depth + 1
                and tag in _ELEMENTS
                and self.outcome not in ("failed", "errors")
            ):
                self.outcome = _ELEMENTS[tag]
        elif tag in SUITES:
            self._start_suite(tag, attributes)
        elif tag == "testcase":
            self.case = _name(f"{attributes.get('classname', '')}.{attributes.get('name', '')}".strip("."))
            self.case_depth = self.depth
            self.outcome = "skipped" if attributes.get("status", "").lower() in NOT_RUN else "passed"

    def _start_suite(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self.suites) >= MOST_SUITES:
            raise _RefusedError(f"over {MOST_SUITES:,} suites")
        if self.open:
            self.open[-1].holds_suites = True
        started = _time(attributes.get("timestamp", ""))
        if started is not None:
            self.times.append(started)
        self.open.append(
            _Open(
                name=_name(attributes.get("name", "") or self.path.name),
                declared=_declared(attributes),
                is_suite=tag == "testsuite",
            )
        )

    def _end(self, tag: str) -> None:
        tag = tag.rsplit(":", 1)[-1]
        if self.case and self.depth == self.case_depth:
            self._end_case()
        elif not self.case and tag in SUITES:
            self._end_suite()
        self.depth -= 1

    def _end_case(self) -> None:
        suite = self.open[-1]
        suite.own[self.outcome] += 1
        told = f"{suite.name}: {self.case}"
        if self.outcome in ("failed", "errors") and len(self.failures) < MOST_NAMED:
            self.failures.append(told)
        elif self.outcome == "skipped" and len(self.skips) < MOST_NAMED:
            self.skips.append(told)
        self.case = ""

    def _end_suite(self) -> None:
        suite = self.open.pop()
        total = {kind: suite.total[kind] + count for kind, count in suite.own.items()}
        if self.open:
            self.open[-1].total = {kind: self.open[-1].total[kind] + total[kind] for kind in total}
        contradiction = _contradiction(suite.declared, total)
        # A suite of suites is told of only where it has something to tell itself.
        if sum(suite.own.values()) or contradiction or (suite.is_suite and not suite.holds_suites):
            self.suites.append(
                Suite(
                    name=suite.name, tests=sum(suite.own.values()), contradiction=contradiction, **suite.own
                )
            )


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise _RefusedError("no such file")
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise _RefusedError(f"cannot be read: {error.strerror}") from error
    if len(content) > MOST_BYTES:
        raise _RefusedError(f"larger than {MOST_BYTES // 2**20} MiB")
    return content


def _refuse_doctype(name: str, *_rest: object) -> NoReturn:
    raise _RefusedError(f"has a document type ({name[:MOST_NAME]}), which results of tests do not need")


def _name(text: str) -> str:
    return one_line(text[:MOST_NAME]) or "without a name"


def _declared(attributes: dict[str, str]) -> dict[str, int]:
    """The counts that a suite gives of itself; one that is no number is -1, which no sum comes to."""
    names = {"tests": "tests", "failures": "failed", "errors": "errors"}
    texts = {kind: attributes[name].strip() for name, kind in names.items() if attributes.get(name, "")}
    return {
        kind: int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
        for kind, text in texts.items()
    }


def _contradiction(declared: dict[str, int], total: dict[str, int]) -> str:
    counted = {**total, "tests": sum(total.values())}
    return ", ".join(
        f"{'an unreadable number' if count < 0 else count} {kind} by its own count and {counted[kind]} in it"
        for kind, count in declared.items()
        if count != counted[kind]
    )


def _time(text: str) -> datetime | None:
    """An ISO 8601 time, UTC where it says no zone, None for anything else."""
    try:
        time = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
        return time.replace(tzinfo=time.tzinfo or timezone.utc).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None
