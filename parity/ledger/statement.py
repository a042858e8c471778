"""The payload of an envelope: an in-toto Statement v1 (in-toto/attestation, spec/v1/statement.md).

Its subject is every file of the repository, the engines among them, so that a tool which holds a plan finds
the verdicts over it by the plan's SHA-256.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from parity.ledger.canonical import decode, encode
from parity.ledger.record import FORMAT, Entry

STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "urn:triton-parity:verdict:v"
PREDICATE = f"{_PREDICATE}{FORMAT}"
MOST_SHOWN = 5


class UnknownVersion(ValueError):
    """A record of another version of parity."""


def to_statement(entry: Entry) -> bytes:
    """The statement in its canonical spelling."""
    subject = [{"name": file.path, "digest": {"sha256": file.sha256}} for file in entry.repository.files]
    return encode(
        {
            "_type": STATEMENT,
            "subject": subject,
            "predicateType": PREDICATE,
            "predicate": entry.model_dump(mode="json"),
        }
    )


def from_statement(content: bytes) -> Entry:
    """The record of a statement.

    Raises UnknownVersion, and ValueError for all that `to_statement` never wrote.
    """
    document = decode(content)
    if not isinstance(document, dict) or document.get("_type") != STATEMENT:
        raise ValueError("no in-toto statement")
    _check_version(document)
    try:
        # The JSON mode of pydantic takes lists for tuples, and converts no other types.
        entry = Entry.model_validate_json(encode(document.get("predicate")), strict=True)
    except ValidationError as error:
        raise ValueError(_shown(error)) from error
    if to_statement(entry) != content:  # another spelling of it, too
        raise ValueError("the statement says something else than its record")
    return entry


def _check_version(document: dict[str, Any]) -> None:
    kind, predicate = document.get("predicateType"), document.get("predicate")
    if not isinstance(kind, str) or not kind.startswith(_PREDICATE):
        raise ValueError("a statement that is not parity's")
    number = predicate.get("format") if isinstance(predicate, dict) else None
    if kind != PREDICATE or number != FORMAT:
        raise UnknownVersion(f"version {kind.removeprefix(_PREDICATE)[:20]!r}, format {number!r:.20}")


def _shown(error: ValidationError) -> str:
    details = [(".".join(map(str, detail["loc"])), detail["msg"]) for detail in error.errors()[:MOST_SHOWN]]
    return "; ".join(f"{place or 'record'}: {message}" for place, message in details)
