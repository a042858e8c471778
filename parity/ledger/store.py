"""Appends records, one process at a time, so that no crash and no other process loses one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from parity.errors import EvidenceError
from parity.files import write_whole
from parity.ledger.canonical import sha256
from parity.ledger.chain import LARGEST, Chain, Stored, examine, examine_unlocked, raise_if_damaged, to_file
from parity.ledger.dsse import seal
from parity.ledger.folder import LOCK, MOST, record_name
from parity.ledger.head import HEAD, Head
from parity.ledger.keys import PublicKey, SigningKey
from parity.ledger.record import Entry, Record
from parity.ledger.signatures import check_signatures
from parity.ledger.statement import to_statement
from parity.repository.lock import held


def append(folder: Path, record: Record, key: SigningKey | None = None) -> str:
    """Add a record, without secrets in its texts, and return its digest once it is on the disk.

    Waits for other processes that append. Raises EvidenceError when the ledger is damaged, the record rests
    on one that is not in it or is too large, or the folder cannot be written.
    """
    try:
        with held(folder / LOCK):
            chain = examine_unlocked(folder)
            raise_if_damaged(folder, chain.findings)
            content = _next(folder, chain, record, key)
            digest = sha256(content)
            _write(folder, chain, content, digest)
            return digest
    except OSError as error:
        raise EvidenceError(
            f"the ledger cannot be written: {error.strerror}",
            where=str(folder),
            expected="a folder that a record can be added to",
            remedy="make room or mend its permissions, or name another folder with --ledger",
        ) from error


def read(folder: Path, keys: Sequence[PublicKey] = ()) -> list[Stored]:
    """All records, oldest first; none when there is no ledger. With keys, each has to be signed by one.

    Raises EvidenceError that names everything wrong with the chain or a signature. Evidence files are not
    looked at: `check_evidence` does that.
    """
    chain = examine(folder)
    raise_if_damaged(folder, [*chain.findings, *check_signatures(chain.stored, keys)])
    return list(chain.stored)


def _next(folder: Path, chain: Chain, record: Record, key: SigningKey | None) -> bytes:
    """The file of the record that comes next."""
    known = {stored.digest for stored in chain.stored}
    absent = [digest for digest in record.rests_on if digest not in known]
    problem = ""
    if absent:
        problem = f"the record rests on {', '.join(absent)}, which this ledger does not have"
    elif chain.count >= MOST:
        problem = f"full, with {MOST:,} records"
    if problem:
        raise EvidenceError(problem, where=str(folder), remedy="name the right ledger, or begin another")
    clean = record.without_secrets().model_dump(mode="json", exclude={"sequence", "previous"})
    entry = Entry.model_validate({**clean, "sequence": chain.count + 1, "previous": chain.digest})
    content = to_file(seal(to_statement(entry), key))
    if len(content) > LARGEST:
        raise EvidenceError(
            f"a record of {len(content):,} bytes",
            where=str(folder),
            expected=f"at most {LARGEST:,}",
            remedy="name fewer files as evidence",
        )
    return content


def _write(folder: Path, chain: Chain, content: bytes, digest: str) -> None:
    for path in chain.partials:  # their writers are gone, since the lock is held here
        path.unlink(missing_ok=True)
    # Each step is on the disk before the next: the head never counts a record that is not there.
    _put(folder, HEAD, Head(count=chain.count, digest=chain.digest, pending=digest).to_bytes())
    _put(folder, record_name(chain.count + 1), content)
    _put(folder, HEAD, Head(count=chain.count + 1, digest=digest).to_bytes())


def _put(folder: Path, name: str, content: bytes) -> None:
    write_whole(folder / name, content)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some network file systems cannot, and have it done already
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
