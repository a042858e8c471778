"""Reads the whole ledger and finds everything that is wrong with its chain, at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pydantic import ValidationError

from parity.errors import EvidenceError
from parity.ledger.canonical import encode, sha256
from parity.ledger.dsse import PAYLOAD_TYPE, Envelope
from parity.ledger.findings import Finding
from parity.ledger.folder import LOCK, listing, record_name
from parity.ledger.head import HEAD, Head
from parity.ledger.record import Entry
from parity.ledger.statement import UnknownVersion, from_statement
from parity.repository.check.files import Unreadable, open_regular, read_limited
from parity.repository.lock import shared

LARGEST = 16 << 20
"""Bytes of a record's file."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A record as it lies in the ledger. digest: SHA-256 of its file, by which others name it."""

    file: str
    digest: str
    entry: Entry
    envelope: Envelope
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Chain:
    """What was read.

    stored: the records that are whole, in their order. partials: files of writers that were ended.
    """

    stored: tuple[Stored, ...]
    findings: tuple[Finding, ...]
    partials: tuple[Path, ...]

    @property
    def count(self) -> int:
        """How many records are whole."""
        return len(self.stored)

    @property
    def digest(self) -> str | None:
        """The last record's digest, None without any."""
        return self.stored[-1].digest if self.stored else None


def to_file(envelope: Envelope) -> bytes:
    """A record's file: the envelope on one line."""
    return encode(envelope.model_dump()) + b"\n"


def examine(folder: Path) -> Chain:
    """Read the ledger while no writer is at work. Raises EvidenceError when the folder cannot be read."""
    with shared(folder / LOCK):
        return examine_unlocked(folder)


def examine_unlocked(folder: Path) -> Chain:
    """`examine`, for a writer that holds the lock already."""
    try:
        sequences, strangers, partials = listing(folder)
    except OSError as error:
        raise EvidenceError(
            f"cannot be read: {error.strerror}", where=str(folder), expected="the folder of a ledger"
        ) from error
    findings = [
        Finding(code="NOT_OURS", file=name, found="an unknown file", expected="records and the head alone")
        for name in strangers
    ]
    findings += _gaps(sequences)
    stored: list[Stored] = []
    digests: dict[int, str] = {}
    for sequence in sequences:
        record = _read(folder, sequence, digests, findings)
        if record is not None:
            findings += _links(record, sequence, digests)
            stored.append(record)
    findings += _head(folder, sequences[-1] if sequences else 0, digests)
    return Chain(stored=tuple(stored), findings=tuple(findings), partials=tuple(partials))


def _gaps(sequences: list[int]) -> list[Finding]:
    return [
        Finding(
            code="MISSING",
            file=record_name(after),
            found=f"no {record_name(before + 1)}"
            + (f" to {record_name(after - 1)}" if after - before > 2 else ""),
            expected="every number from 1",
        )
        for before, after in pairwise([0, *sequences])
        if after != before + 1
    ]


def _read(folder: Path, sequence: int, digests: dict[int, str], findings: list[Finding]) -> Stored | None:
    """A record that is whole; else None and what is wrong with it, beside its digest if it can be read."""
    name = record_name(sequence)
    try:
        content = _content(folder / name, LARGEST)
    except Unreadable as error:
        findings.append(Finding(code="UNREADABLE", file=name, found=error.found, expected="a record"))
        return None
    digests[sequence] = sha256(content)
    code = "DAMAGED"
    try:
        envelope = parse(content)
        return Stored(
            file=name,
            digest=digests[sequence],
            entry=from_statement(envelope.content()),
            envelope=envelope,
            content=content,
        )
    except UnknownVersion as error:
        code, found = "UNKNOWN_VERSION", str(error)
    except ValueError as error:
        found = str(error)
    findings.append(Finding(code=code, file=name, found=found, expected="a record as parity writes it"))
    return None


def parse(content: bytes) -> Envelope:
    """The envelope of a record's file. Raises ValueError for all that `to_file` never wrote."""
    try:
        envelope = Envelope.model_validate_json(content, strict=True)
    except ValidationError as error:
        raise ValueError("no envelope") from error
    if envelope.payloadType != PAYLOAD_TYPE:
        raise ValueError(f"a payload of the type {envelope.payloadType!r:.80}")
    if to_file(envelope) != content:
        raise ValueError("not spelled as it was written")
    return envelope


def _content(path: Path, limit: int) -> bytes:
    """A regular file's bytes; a link may be changed from elsewhere. Raises Unreadable."""
    if path.is_symlink():
        raise Unreadable(f"a link to {os.readlink(path)!r:.200}", path)  # noqa: PTH115
    return read_limited(path, limit, open_regular)


def _links(record: Stored, sequence: int, digests: dict[int, str]) -> list[Finding]:
    findings = []
    entry, name = record.entry, record.file
    if entry.sequence != sequence:
        findings.append(
            Finding(
                code="REORDERED",
                file=name,
                found=f"record {entry.sequence}",
                expected=f"record {sequence}",
            )
        )
    before = digests.get(sequence - 1)
    if entry.previous != before and (before is not None or sequence == 1):
        findings.append(
            Finding(
                code="BROKEN_LINK",
                file=name,
                found=f"names {_short(entry.previous)} as the record before it",
                expected="none before it" if before is None else f"{_short(before)}, which is there",
            )
        )
    findings += [
        Finding(
            code="UNKNOWN_BASIS",
            file=name,
            found=f"rests on {_short(digest)}",
            expected="a record before it",
        )
        for digest in entry.rests_on
        if not any(known == digest and number < sequence for number, known in digests.items())
    ]
    return findings


def _head(folder: Path, last: int, digests: dict[int, str]) -> list[Finding]:
    def finding(code: str, found: str, expected: str) -> list[Finding]:
        return [Finding(code=code, file=HEAD, found=found, expected=expected)]

    try:
        head = Head.from_bytes(_content(folder / HEAD, LARGEST))
    except Unreadable as error:
        if error.missing and last == 0:
            return []  # a ledger that was not begun
        if error.missing:
            return finding("HEAD_MISSING", "no such file", f"a count of {last} records and the last digest")
        return finding("HEAD_DAMAGED", error.found, "the head of a ledger")
    except ValueError as error:
        return finding("HEAD_DAMAGED", str(error), "the head of a ledger")
    if last < head.count:
        return finding("TRUNCATED", f"a count of {head.count}", f"as many records; the last one is {last}")
    problems = []
    if digests.get(head.count) != head.digest:
        named = _short(digests.get(head.count))
        problems += finding("HEAD_MISMATCH", f"{_short(head.digest)} for record {head.count}", named)
    uncounted = last - head.count
    if uncounted > 1 or (uncounted == 1 and digests.get(last) != head.pending):
        problems += finding("UNCOUNTED", f"a count of {head.count}", f"{last}, as many as there are")
    return problems


def _short(digest: str | None) -> str:
    return "none" if digest is None else f"{digest[:16]}..."


def raise_if_damaged(folder: Path, findings: Sequence[Finding]) -> None:
    """Raise EvidenceError that names every finding."""
    if findings:
        lines = "\n".join(f"  - {finding}" for finding in findings)
        raise EvidenceError(
            f"{len(findings)} {'thing is' if len(findings) == 1 else 'things are'} wrong\n{lines}",
            where=str(folder),
            expected="a ledger that nobody changed",
            remedy="restore it from a copy, or keep it as it is and begin another folder with --ledger",
        )
