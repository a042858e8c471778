"""The head: how many records there are and which is the last, so that a tail cannot be cut off unseen.

It is written before a record and after it. Before, it names the digest of the record to come: should the
process end in between, that record and no other counts as the last one.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from parity.ledger.canonical import encode
from parity.ledger.record import Digest

HEAD = "head.json"


class Head(BaseModel):
    """count: of records. digest: of the last, None without any. pending: of the one that is being written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    count: Annotated[int, Field(ge=0)]
    digest: Digest | None
    pending: Digest | None = None

    def to_bytes(self) -> bytes:
        """The file's content."""
        return encode(self.model_dump()) + b"\n"

    @classmethod
    def from_bytes(cls, content: bytes) -> Head:
        """Read a file's content. Raises ValueError for all that `to_bytes` never wrote."""
        try:
            head = cls.model_validate_json(content, strict=True)
        except ValidationError as error:
            raise ValueError("no head of a ledger") from error
        if (head.count == 0) != (head.digest is None):
            raise ValueError("a count without a digest, or a digest without a count")
        if head.to_bytes() != content:
            raise ValueError("not spelled as it was written")
        return head
