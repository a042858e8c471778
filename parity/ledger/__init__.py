"""The ledger: a chain of verdicts, each with everything that it rests on, that cannot be changed unseen."""

from __future__ import annotations

from parity.ledger.chain import Stored, examine
from parity.ledger.digests import check_evidence, evidence_digests, repository_digest
from parity.ledger.findings import CODES, Finding
from parity.ledger.keys import PublicKey, SigningKey, public_key, signing_key
from parity.ledger.query import age, basis, latest, latest_pass
from parity.ledger.record import (
    CriterionRecord,
    DatasetDigest,
    Entry,
    FileDigest,
    PolicyDigest,
    Record,
    RepositoryDigest,
    who,
)
from parity.ledger.store import append, read
from parity.ledger.verify import Verification, export, verify

__all__ = [
    "CODES",
    "FOLDER",
    "CriterionRecord",
    "DatasetDigest",
    "Entry",
    "FileDigest",
    "Finding",
    "PolicyDigest",
    "PublicKey",
    "Record",
    "RepositoryDigest",
    "SigningKey",
    "Stored",
    "Verification",
    "age",
    "append",
    "basis",
    "check_evidence",
    "evidence_digests",
    "examine",
    "export",
    "latest",
    "latest_pass",
    "public_key",
    "read",
    "repository_digest",
    "signing_key",
    "verify",
    "who",
]

FOLDER = "ledger"
"""The ledger's folder, beside the run file; evidence paths are relative to the folder that it lies in."""
