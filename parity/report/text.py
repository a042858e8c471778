"""Text that comes from outside (class names, file names, messages), made safe to show in any view.

Escaping for HTML is the template engine's job; this module deals with what escaping lets through:
characters that cannot be seen but change what is seen, and secrets.
"""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup, escape

from parity.report.document import Report
from parity.visible import one_line, visible

__all__ = [
    "names_a_secret",
    "one_line",
    "redacted",
    "visible",
    "with_code",
    "without_secrets",
    "without_verdict",
]

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
_CODE = re.compile(r"`([^`\n]+)`")
_LEADING_VERDICT = re.compile(r"^(?:PASS|FAIL|INCONCLUSIVE)\s*[:\u2013\u2014-]\s*")


def redacted(text: str) -> str:
    """`text` without credentials in URLs, authorization headers and `--token X` or `TOKEN=X` pairs."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def names_a_secret(key: str) -> bool:
    """Whether a value under this key has no place in a report (`api_key`, `TRITON_TOKEN`, ...)."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key).lower())
    return bool(_SECRET_WORDS.intersection(words)) or any(pair in "".join(words) for pair in _SECRET_PAIRS)


def without_secrets(report: Report) -> Report:
    """The same report with secrets replaced by `[redacted]`, wherever a text may carry one."""
    return Report.model_validate(_clean(report.model_dump()))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        # An Outcome is a str too, and has nothing to hide.
        return redacted(value) if type(value) is str else value
    if isinstance(value, dict):
        return {
            key: REDACTED if names_a_secret(str(key)) and item else _clean(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(_clean(item) for item in value)
    return value


def with_code(text: str) -> Markup:
    """`text` as HTML, with what stands between two backticks of a line as code and all of it escaped."""
    # Secrets are looked for in the whole text: a piece of it may not show what it is.
    pieces = _CODE.split(visible(redacted(text)))
    # Every other piece is what the pattern's group caught.
    return Markup().join(
        Markup("<code>{}</code>").format(piece) if place % 2 else escape(piece)
        for place, piece in enumerate(pieces)
    )


def without_verdict(sentence: str) -> str:
    """A verdict's sentence without its leading "FAIL: ", for a place that shows the word already."""
    return _LEADING_VERDICT.sub("", sentence)
