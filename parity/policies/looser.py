"""Finds what one policy lets through and another does not, parameter by parameter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from parity.policies.model import Loosened, Policy


def loosenings(strict: Policy, policy: Policy, than: str) -> tuple[Loosened, ...]:
    """Everything in which `policy` is looser than `strict`, which messages call `than`.

    A criterion more is stricter, one less is looser. A parameter that does not say which way is looser is
    looser whichever way it was changed.
    """
    found: list[tuple[str, str, str]] = []
    for name, parameters in strict.criteria.items():
        mine = policy.criteria.get(name)
        if mine is None:
            found.append((f"criteria.{name}", "judged", "left out"))
        else:
            found += _looser(f"criteria.{name}", parameters, mine)
    found += _looser("requires", strict.requires, policy.requires)
    return tuple(Loosened(what=what, strict=a, loose=b, than=than) for what, a, b in found)


def direction(model: type[BaseModel], field: str) -> str:
    """Which way a field is looser: higher, lower, fewer, neither; "any" where it does not say."""
    extra = model.model_fields[field].json_schema_extra
    return str(extra.get("looser", "any")) if isinstance(extra, dict) else "any"


def shown(value: Any) -> str:
    """A value as a policy file has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _looser(place: str, strict: BaseModel, mine: BaseModel) -> Iterator[tuple[str, str, str]]:
    for field in type(strict).model_fields:
        before, after = getattr(strict, field), getattr(mine, field)
        if _lets_more_through(direction(type(strict), field), before, after):
            yield f"{place}.{field}", shown(before), shown(after)


def _lets_more_through(way: str, before: Any, after: Any) -> bool:
    if way == "higher":
        return bool(after > before)
    if way == "lower":
        return bool(after < before)
    if way == "fewer":
        return not set(before) <= set(after)
    return way != "neither" and bool(before != after)
