"""Where a token may go in clear text, whom TLS trusts, and words without the token."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from parity.errors import UsageError
from parity.secrecy import is_loopback, tls_context, without


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("[::1]", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("triton", False),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("", False),
    ],
)
def test_loopback(host: str, own: bool) -> None:
    assert is_loopback(host) is own


def test_whoever_the_system_trusts_is_held_to_the_host_name() -> None:
    context = tls_context(None)
    assert context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("name", ["gone.pem", "text.pem", "."])
def test_an_authority_that_is_none(name: str, tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("no certificate")
    with pytest.raises(UsageError, match="cannot be used as `ca`") as caught:
        tls_context(tmp_path / name)
    assert caught.value.where == str(tmp_path / name)


def test_words_without_the_token() -> None:
    assert without("abc", "Bearer abc, abc") == "Bearer [token], [token]"
    assert without("", "as it is") == without(None, "as it is") == "as it is"
