"""`parity ledger verify` and `export`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from parity.errors import EvidenceError
from parity.files import write_whole
from parity.ledger.chain import Stored, examine
from parity.ledger.digests import check_evidence
from parity.ledger.findings import Finding
from parity.ledger.keys import PublicKey
from parity.ledger.signatures import check_signatures
from parity.ledger.store import read
from parity.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Everything that is wrong, and what was looked at. signed: records that carry a signature at all."""

    stored: tuple[Stored, ...]
    findings: tuple[Finding, ...]
    files: int
    signed: int
    signatures_checked: bool


def verify(
    folder: Path,
    *,
    keys: Sequence[PublicKey] = (),
    evidence_root: Path | None = None,
    anchors: Sequence[str] = (),
    progress: Progress | None = None,
) -> Verification:
    """Check the chain, the signatures when there are keys, and every evidence file; all in one go.

    evidence_root: the folder that the ledger lies in unless given. anchors: digests that were written down
    elsewhere, of which each has to be a record's. A ledger without records is a finding. Raises EvidenceError
    when the folder cannot be read.
    """
    chain = examine(folder)
    findings = [*chain.findings, *check_signatures(chain.stored, keys)]
    if not chain.stored and not chain.findings:
        findings.append(
            Finding(code="EMPTY", file=str(folder), found="no record", expected="at least one verdict")
        )
    known = {record.digest for record in chain.stored}
    findings += [
        Finding(code="ANCHOR_MISSING", file=str(folder), found=f"no record {digest}", expected="that record")
        for digest in anchors
        if digest not in known
    ]
    findings += check_evidence(chain.stored, evidence_root or folder.absolute().parent, progress)
    return Verification(
        stored=chain.stored,
        findings=tuple(findings),
        files=len({file.path for record in chain.stored for file in record.entry.evidence}),
        signed=sum(bool(record.envelope.signatures) for record in chain.stored),
        signatures_checked=bool(keys),
    )


def export(folder: Path, target: Path) -> int:
    """Write all envelopes into one file, JSON Lines in their order, and return how many they are.

    Each line is a record's file, so its SHA-256 with the line feed is the record's digest. Raises
    EvidenceError for a ledger that is damaged or has no record.
    """
    stored = read(folder)
    if not stored:
        raise EvidenceError("no record", where=str(folder), expected="a ledger with at least one verdict")
    write_whole(target, b"".join(record.content for record in stored))
    return len(stored)
