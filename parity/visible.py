"""Text that comes from outside, made safe to show: characters that cannot be seen but change what is seen."""

from __future__ import annotations

import re

# C0 and C1 controls but for the line feed, soft hyphen, zero-width and bidirectional marks, line and
# paragraph separators, annotation and tag characters, lone surrogates. The joiners U+200C and U+200D stay:
# Persian names and emoji need them.
_UNSEEN = re.compile(
    "[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """`text` with every unseen character replaced by a sign that shows it; line feeds and tabs stay blank."""
    return _UNSEEN.sub(_sign, text.replace("\r\n", "\n").replace("\t", "    "))


def one_line(text: str) -> str:
    """`visible` text with spaces for line feeds, for a cell or an attribute."""
    return " ".join(line.strip() for line in visible(text).split("\n")).strip()


def _sign(match: re.Match[str]) -> str:
    code = ord(match.group())
    # Unicode has pictures of control characters, but few fonts do.
    return f"<U+{code:04X}>"
