"""Secrets in texts that come from outside: commands, addresses, messages."""

from __future__ import annotations

import re

REDACTED = "[redacted]"

_SECRET_WORDS = frozenset(
    [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "authorization",
        "credential",
        "credentials",
        "cookie",
    ]
)
_SECRET_PAIRS = ("apikey", "accesskey", "privatekey", "secretkey")
# As part of a longer word, such as TRITON_TOKEN or --client-secret; bounded, so that matching stays linear.
_NAMED = (
    r"[\w.-]{0,40}(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|credential|signature)[\w.-]{0,20}"
)
_SECRETS = (
    (re.compile(r"://[^\s/@]+@"), rf"://{REDACTED}@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {REDACTED}"),
    (re.compile(rf"(?i)(--{_NAMED}(?:=|\s+))(?!-)(?:\"[^\"]*\"|'[^']*'|\S+)"), rf"\1{REDACTED}"),
    (re.compile(rf"(?i)(\b{_NAMED}=)(?:\"[^\"]*\"|'[^']*'|[^\s&]+)"), rf"\1{REDACTED}"),
    (re.compile(rf"(?i)([\"']{_NAMED}[\"']\s*:\s*)(?:\"[^\"]*\"|'[^']*')"), rf'\1"{REDACTED}"'),
)


def redacted(text: str) -> str:
    """`text` without credentials in URLs, authorization headers and `--token X` or `TOKEN=X` pairs."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def names_a_secret(key: str) -> bool:
    """Whether a value under this key has no place in a report (`api_key`, `TRITON_TOKEN`, ...)."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key).lower())
    return bool(_SECRET_WORDS.intersection(words)) or any(pair in "".join(words) for pair in _SECRET_PAIRS)
