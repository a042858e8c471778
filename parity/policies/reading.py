"""Reads the TOML of a policy into a draft: what one file says, before anything that it extends is known."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from parity.config import hint, validate
from parity.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_BYTES = 16 * 1024
"""A policy is a screen; a TOML reader takes time as the square of the length of some keys."""
MOST_DEPTH = 8
MOST_REASON = 500


class Draft(BaseModel):
    """One file. `criteria` and `requires` are only known to be tables; their values are not checked yet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    phase: str | None = Field(None, min_length=1, max_length=64)
    description: str | None = Field(None, max_length=MOST_REASON)
    extends: str | None = Field(None, min_length=1)
    allow_looser: str | None = Field(None, max_length=MOST_REASON)
    without: tuple[str, ...] = ()
    criteria: dict[str, dict[str, Any]] = {}
    requires: dict[str, Any] = {}


def draft(text: str, *, where: str, problems: list[str]) -> Draft:
    """What the file says. Raises UsageError for what is no TOML; whatever else is wrong goes to `problems`.

    A key that is wrong is left out of the draft, so that the others are looked at all the same.
    """
    document = _document(text, where)
    try:
        return validate(Draft, document)
    except ValidationError as error:
        for detail in error.errors():
            place = [str(part) for part in detail["loc"]]
            if detail["type"] == "extra_forbidden":
                problems.append(f"unknown key {place[0]!r}{hint(place[0], list(Draft.model_fields))}")
            else:
                problems.append(f"{'.'.join(place)}: {detail['msg']}")
            _leave_out(document, place)
        return validate(Draft, document)


def content(path: Path) -> str:
    """The text of a policy file. Raises UsageError where there is none, or one that no policy needs."""
    try:
        if not path.is_file():
            raise UsageError("no such file", where=str(path), expected="a policy in TOML")
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise UsageError("too large", where=str(path), expected=f"at most {MOST_BYTES // 1024} KiB")
        return data.decode("utf-8")
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"not TOML: {error}", where=str(path)) from error


def _document(text: str, where: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits is a plain ValueError
        raise UsageError(f"not TOML: {error}", where=where) from error
    if _depth(document) > MOST_DEPTH:
        raise UsageError(f"tables in each other over {MOST_DEPTH} deep", where=where)
    return document


def _depth(document: Any) -> int:
    """How deep tables and lists lie in each other, as far as it matters; without recursion of its own."""
    level, depth = [document], 0
    while level and depth <= MOST_DEPTH:
        depth += 1
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, (dict, list))
        ]
    return depth


def _leave_out(document: dict[str, Any], place: list[str]) -> None:
    criteria = document.get("criteria")
    if place[0] == "criteria" and len(place) > 1 and isinstance(criteria, dict):
        criteria.pop(place[1], None)
    else:
        document.pop(place[0], None)
