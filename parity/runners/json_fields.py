"""Places in a JSON document that somebody else wrote, by dotted names, and what stands there instead."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from parity.visible import one_line

SHOWN = 60
"""Characters of a value that a message shows."""


class AnswerError(ValueError):
    """A document that is not what the run file describes.

    found: begins with the place, or goes on from the name of the object it is in. remedy: the setting to
    look at.
    """

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.found = found
        self.remedy = remedy

    def within(self, place: str) -> AnswerError:
        """The same error, seen from around the object that it was found in."""
        return AnswerError(f"{place}{self.found}", self.remedy)


@dataclass(frozen=True, kw_only=True)
class JsonField:
    """A dotted name; numbers in it count into lists. setting: the key of the run file that holds the name."""

    name: str
    setting: str

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The name at its dots."""
        return tuple(self.name.split("."))

    def get(self, document: Any) -> Any:
        """What stands there. Raises AnswerError."""
        value = document
        for part in self.parts:
            if isinstance(value, dict) and part in value:
                value = value[part]
            elif isinstance(value, list) and part.isdecimal() and len(part) < 10 and int(part) < len(value):
                value = value[int(part)]
            else:
                missing = repr(part) if part == self.name else f"{part!r} of {self.name!r}"
                keys = ", ".join(map(shown, list(value)[:12])) if isinstance(value, dict) else kind(value)
                raise AnswerError(
                    f" has no {missing}, but {keys or 'nothing'}", f"mend `{self.setting}` in the run file"
                )
        return value

    def number(self, document: Any) -> float:
        """The number that stands there, perhaps not a finite one. Raises AnswerError."""
        return self.as_number(self.get(document))

    def numbers(self, document: Any, count: int) -> list[float]:
        """The list of so many numbers that stands there. Raises AnswerError."""
        value = self.get(document)
        if not isinstance(value, list) or len(value) != count:
            raise AnswerError(
                f".{self.name} is {kind(value)}, expected {count} numbers", f"mend `{self.setting}`"
            )
        return [self.as_number(each, f"[{i}]") for i, each in enumerate(value)]

    def as_number(self, value: Any, index: str = "") -> float:
        """A value as the number that it is; index: where it stands in the field's list."""
        if type(value) is float:
            return value
        if isinstance(value, bool) or not isinstance(value, int):
            null = "; some JSON writers put null for NaN" if value is None else ""
            raise AnswerError(
                f".{self.name}{index} is {kind(value)}, expected a number{null}", f"mend `{self.setting}`"
            )
        try:
            return float(value)
        except OverflowError:  # an integer beyond all floats
            return math.inf


def kind(value: Any) -> str:
    """What a JSON value is, and which one where that is short."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return shown(value)


def shown(value: Any) -> str:
    """A value that is no list or object, short and visible."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = one_line(repr(value) if isinstance(value, str) else str(value))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
