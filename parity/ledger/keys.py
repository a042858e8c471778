"""Ed25519 keys in PEM files. A message names the file, never what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parity.errors import RunnerError, UsageError
from parity.ledger.canonical import sha256
from parity.repository.check.files import Unreadable, read_limited

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNING_KEY = "PARITY_SIGNING_KEY"
"""The environment variable that names the file of the private key."""

LARGEST = 1 << 16


class SigningKey:
    """A private key. keyid: SHA-256 of the public key's SubjectPublicKeyInfo in DER."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.keyid = _keyid(key.public_key())

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._key.sign(message)


class PublicKey:
    """A public key, with the keyid of its private one."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self.keyid = _keyid(key)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature over the message is this key's."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def signing_key(path: Path | None, environ: Mapping[str, str]) -> SigningKey | None:
    """The key of a file, else of the file that PARITY_SIGNING_KEY names, else None.

    Raises UsageError for a file that is no unencrypted Ed25519 private key, RunnerError when cryptography
    is not installed.
    """
    named = path or (Path(environ[SIGNING_KEY]) if environ.get(SIGNING_KEY) else None)
    if named is None:
        return None
    content = _read(named)
    serialization, ed25519 = _libraries()
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError, _unsupported()):
        key = None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise UsageError(
            "no Ed25519 private key in PEM, or an encrypted one",
            where=str(named),
            expected="a key as `openssl genpkey -algorithm ed25519` writes it",
            remedy=f"name another file with {SIGNING_KEY}",
        ) from None
    return SigningKey(key)


def public_key(path: Path) -> PublicKey:
    """The key of a file. Raises UsageError for what is no Ed25519 public key; RunnerError as above."""
    content = _read(path)
    serialization, ed25519 = _libraries()
    try:
        key = serialization.load_pem_public_key(content)
    except (ValueError, TypeError, _unsupported()):
        key = None
    if not isinstance(key, ed25519.Ed25519PublicKey):
        private = "a private key" if b"PRIVATE KEY" in content else "no Ed25519 public key in PEM"
        raise UsageError(
            private,
            where=str(path),
            expected="a key as `openssl pkey -in KEY.pem -pubout` writes it",
        ) from None
    return PublicKey(key)


def _read(path: Path) -> bytes:
    try:
        return read_limited(path, LARGEST)
    except Unreadable as error:
        raise UsageError(error.found, where=str(path), expected="a key in PEM") from error


def _libraries() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise RunnerError(
            "cryptography is not installed",
            expected="the library that signs and checks signatures",
            remedy="pip install 'triton-parity[sign]'",
        ) from error
    return serialization, ed25519


def _unsupported() -> type[Exception]:
    from cryptography.exceptions import UnsupportedAlgorithm

    return UnsupportedAlgorithm


def _keyid(key: Ed25519PublicKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
