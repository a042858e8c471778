"""One spelling for every JSON value, so that equal content has equal bytes and a digest means something."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def encode(value: Any) -> bytes:
    """JSON with sorted keys, no blanks and ASCII only.

    As RFC 8785, but for two things: characters beyond ASCII are escaped, so that nothing in a file moves a
    cursor, and numbers are spelled as Python's `repr`, the shortest digits that read back as the same double.
    Raises ValueError for NaN and infinity.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode("ascii")


def decode(content: bytes) -> Any:
    """The value of any JSON text; who needs the one spelling encodes it again. Raises ValueError."""
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def sha256(content: bytes) -> str:
    """SHA-256 as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
