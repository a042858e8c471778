"""Text that comes from outside (class names, file names, messages), made safe to show in any view.

Escaping for HTML is the template engine's job; this module deals with what escaping lets through:
characters that cannot be seen but change what is seen, and secrets.
"""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup, escape

from parity.redaction import REDACTED, names_a_secret, redacted
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

_CODE = re.compile(r"`([^`\n]+)`")
_LEADING_VERDICT = re.compile(r"^(?:PASS|FAIL|INCONCLUSIVE)\s*[:\u2013\u2014-]\s*")


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
