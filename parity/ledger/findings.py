"""What a check of the ledger finds: findings, each with a code that the table below explains."""

from __future__ import annotations

from dataclasses import dataclass

CODES = {
    "EMPTY": "The ledger has no record, so nothing was shown.",
    "NOT_OURS": "A file in the folder is none that parity wrote there.",
    "UNREADABLE": "A record is no regular file, is too large, or cannot be read.",
    "DAMAGED": "A record is not what parity wrote: a byte was changed, or it is something else.",
    "UNKNOWN_VERSION": "A record is of another version of parity, which may mean something else by it.",
    "MISSING": "Records are missing between the first and the last.",
    "REORDERED": "A record lies in another one's place.",
    "BROKEN_LINK": "A record does not name the one before it: one of the two was changed or exchanged.",
    "UNKNOWN_BASIS": "A record rests on one that is not among those before it.",
    "HEAD_MISSING": "The head, which counts the records, is missing.",
    "HEAD_DAMAGED": "The head is not what parity wrote.",
    "HEAD_MISMATCH": "The last record that the head counts is not the one that it names.",
    "TRUNCATED": "The head counts more records than there are: the last ones were removed.",
    "UNCOUNTED": "There are records that the head does not count.",
    "ANCHOR_MISSING": "No record has the digest that was written down elsewhere.",
    "UNSIGNED": "A record has no signature, and one is required.",
    "OTHER_KEY": "A record is signed by other keys than those that are accepted.",
    "BAD_SIGNATURE": "A signature names an accepted key, but is not that key's over this record.",
    "EVIDENCE_GONE": "A file that a verdict rests on is not there, or cannot be read.",
    "EVIDENCE_CHANGED": "A file that a verdict rests on is not the one that was judged.",
}
"""Every code there is. docs/ledger.md has the same table, and a test holds it to this one."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    file: within the ledger, or below the evidence root. found, expected: one clause each.
    """

    code: str
    file: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.code} {self.file}: {self.found}; expected {self.expected}"
