"""Whether records are signed by keys that are accepted."""

from __future__ import annotations

from collections.abc import Sequence

from parity.ledger.chain import Stored
from parity.ledger.dsse import signers
from parity.ledger.findings import Finding
from parity.ledger.keys import PublicKey


def check_signatures(stored: Sequence[Stored], keys: Sequence[PublicKey]) -> list[Finding]:
    """What is wrong with the signatures: each record needs one by an accepted key.

    Without keys nothing is: whoever requires signatures has to name the keys.
    """
    if not keys:
        return []
    return [found for record in stored if (found := _check(record, keys)) is not None]


def _check(record: Stored, keys: Sequence[PublicKey]) -> Finding | None:
    if signers(record.envelope, keys):
        return None
    named = [signature.keyid for signature in record.envelope.signatures]
    accepted = {key.keyid for key in keys}
    expected = f"one by {' or '.join(f'{keyid[:16]}...' for keyid in sorted(accepted))}"
    if not named:
        code, found = "UNSIGNED", "no signature"
    elif accepted.isdisjoint(named):
        code, found = "OTHER_KEY", f"signed by {', '.join(f'{keyid[:16]}...' for keyid in named[:5])}"
    else:
        code, found = "BAD_SIGNATURE", "a signature that is not over this record"
    return Finding(code=code, file=record.file, found=found, expected=expected)
