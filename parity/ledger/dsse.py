"""The envelope: DSSE 1.0.2 (secure-systems-lab/dsse, protocol.md and envelope.md), which other tools read."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from parity.ledger.keys import PublicKey, SigningKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class Signature(BaseModel):
    """keyid: a hint which key it was, and no more. sig: Base64."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keyid: str = ""
    sig: str


class Envelope(BaseModel):
    """A payload in Base64 with its type and signatures over both.

    signatures may be empty, against the specification: such a record is chained but not signed, and other
    tools refuse it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    payload: str
    payloadType: str  # noqa: N815  (as the specification names it)
    signatures: tuple[Signature, ...]

    def content(self) -> bytes:
        """The payload's bytes. Raises ValueError for what is not Base64."""
        return from_base64(self.payload)


def seal(content: bytes, key: SigningKey | None) -> Envelope:
    """An envelope around a statement, signed when there is a key."""
    signatures: tuple[Signature, ...] = ()
    if key is not None:
        signed = key.sign(pae(PAYLOAD_TYPE, content))
        signatures = (Signature(keyid=key.keyid, sig=_to_base64(signed)),)
    return Envelope(payload=_to_base64(content), payloadType=PAYLOAD_TYPE, signatures=signatures)


def signers(envelope: Envelope, keys: Sequence[PublicKey]) -> frozenset[str]:
    """Ids of those of the keys by which a signature is right, whatever key it names.

    Raises ValueError for a payload that is not Base64.
    """
    message = pae(envelope.payloadType, envelope.content())
    found: set[str] = set()
    for signature in envelope.signatures:
        try:
            signed = from_base64(signature.sig)
        except ValueError:
            continue
        found.update(key.keyid for key in keys if key.verifies(signed, message))
    return frozenset(found)


def pae(payload_type: str, content: bytes) -> bytes:
    """What is signed: the pre-authentication encoding, in which lengths are of bytes."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(content), content)


def _to_base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def from_base64(text: str) -> bytes:
    """The bytes of either alphabet of RFC 4648. Raises ValueError."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as error:
        raise ValueError("not Base64") from error
