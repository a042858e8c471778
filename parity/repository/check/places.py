"""On which line of config.pbtxt a field stands, since protobuf's parser keeps no places.

Only texts that protobuf has parsed get here, so this knows no fields: it follows names and brackets.
"""

from __future__ import annotations

import re
from collections import Counter

_TOKENS = re.compile(
    r"""(?P<skip>\#[^\n]*|[ \t\r,;]+) | (?P<newline>\n) | (?P<mark>[{}<>\[\]:])
    | (?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*') | (?P<word>[^\s{}<>\[\]:,;"'\#]+) | (?P<other>.)""",
    re.VERBOSE,
)


class Places:
    """Lines of fields by path, such as `input[1].dims`; the first of a kind may go without its number."""

    def __init__(self, text: str) -> None:
        self._lines: dict[str, int] = {}
        self._keys: dict[str, str] = {}
        _Reader(self._lines, self._keys).read(text)

    def line(self, path: str) -> int | None:
        """The line of a field, or of the nearest one around it; None when neither stands there."""
        path = path.replace("[0]", "")
        while path and path not in self._lines:
            path = path.rpartition(".")[0]
        return self._lines.get(path)

    def parameter(self, key: str) -> int | None:
        """The line on which a parameter's value stands."""
        owner = self._keys.get(key)
        return None if owner is None else self.line(f"{owner}.value.string_value")


class _Reader:
    """Goes through the tokens once. name: of the field whose value comes next, within `path`."""

    def __init__(self, lines: dict[str, int], keys: dict[str, str]) -> None:
        self.lines = lines
        self.keys = keys
        self.counts: Counter[str] = Counter()
        self.path = ""
        self.name = ""
        self.in_list = False
        self.value_next = False
        self.stack: list[tuple[str, str, bool]] = []
        self.line = 1

    def read(self, text: str) -> None:
        for match in _TOKENS.finditer(text):
            kind, token = match.lastgroup, match.group()
            if kind == "newline":
                self.line += 1
            elif kind == "mark":
                self._mark(token)
            elif kind == "word" and not self.value_next:
                self.name = token
                self.lines.setdefault(self._full(token), self.line)
            elif kind in ("word", "text"):
                if self.name == "key" and self.path.startswith("parameters"):
                    self.keys.setdefault(token.strip("\"'"), self.path)
                self.value_next = self.in_list

    def _mark(self, mark: str) -> None:
        if mark in "{<":
            self._enter()
        elif mark in "}>":
            if self.stack:
                self.path, self.name, self.in_list = self.stack.pop()
            self.value_next = self.in_list
        else:  # after a colon or an opening bracket comes a value
            self.in_list = mark == "[" or (mark == ":" and self.in_list)
            self.value_next = mark != "]"

    def _enter(self) -> None:
        """A message begins; where several have one name, they are numbered."""
        plain = self._full(self.name)
        number = self.counts[plain]
        self.counts[plain] += 1
        inside = f"{plain}[{number}]" if number else plain
        place = self.line if self.in_list else self.lines.get(plain, self.line)
        if number and not self.in_list:
            place = self.line
        self.lines.setdefault(inside, place)
        self.stack.append((self.path, self.name, self.in_list))
        self.path, self.name, self.in_list, self.value_next = inside, "", False, False

    def _full(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name
