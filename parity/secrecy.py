"""What keeps a token secret: where it may go in clear text, whom TLS trusts, and words without it."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

from parity.errors import UsageError

HIDDEN = "[token]"


def is_loopback(host: str) -> bool:
    """Whether a host name or address, an IPv6 one in brackets or not, is this machine's own loopback."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def tls_context(ca: Path | None) -> ssl.SSLContext:
    """Verifies certificate and host name. ca: PEM of who may vouch for it; None: whom the system trusts.

    Raises UsageError for a `ca` that holds no certificate or cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"cannot be used as `ca`: {error.strerror or 'not a certificate'}",
            where=str(ca),
            expected="a PEM file of certificates to trust",
            remedy="mend `ca` in the run file",
        ) from error


def without(token: str | None, text: str) -> str:
    """What a server says, less the token, should it say that, too."""
    return text.replace(token, HIDDEN) if token else text
