"""Policies: the criteria and limits of each rollout phase, one TOML file a phase."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any, TypeVar

from pydantic import ValidationError

from parity.config import hint, validate
from parity.criteria import CRITERIA, Parameters
from parity.errors import UsageError, join_problems

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

P = TypeVar("P", bound=Parameters)
OPERATING_POINT = "operating_point"
"""The criterion whose parameters hold the production threshold."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The criteria of a phase with their parameters, in the order in which they are reported."""

    phase: str
    description: str
    criteria: dict[str, Parameters]

    def parameters(self, kind: type[P], name: str) -> P:
        """A criterion's parameters, its defaults where the policy does not have the criterion."""
        found = self.criteria.get(name)
        return found if isinstance(found, kind) else kind()

    @property
    def threshold(self) -> float | None:
        """The production threshold, None where the policy has none."""
        own = self.criteria.get(OPERATING_POINT)
        return None if own is None else float(own.model_dump()["score"])

    def at_threshold(self, score: float | None) -> Policy:
        """The same policy with another production threshold, 0 to below 1; None keeps its own."""
        own = self.criteria.get(OPERATING_POINT)
        if score is None or own is None:
            return self
        changed = own.model_copy(update={"score": score})
        return replace(self, criteria={**self.criteria, OPERATING_POINT: changed})


def phases() -> tuple[str, ...]:
    """Names of the phases that parity ships a policy for."""
    folder = resources.files(__name__)
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))


def load(phase: str) -> Policy:
    """The built-in policy of a phase. Raises UsageError when there is none of that name."""
    if phase not in phases():
        raise UsageError(f"no policy for the phase {phase!r}{hint(phase, phases())}", where="phase")
    text = resources.files(__name__).joinpath(f"{phase}.toml").read_text(encoding="utf-8")
    return parse(text, where=f"{phase}.toml")


def parse(text: str, *, where: str) -> Policy:
    """Read a policy. Raises UsageError naming everything that is wrong; one without criteria is wrong."""
    try:
        document: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"not TOML: {error}", where=where) from error
    problems: list[str] = []
    unknown = set(document) - {"phase", "description", "criteria"}
    problems += [f"unknown key {key!r}" for key in sorted(unknown)]
    phase, tables = document.get("phase"), document.get("criteria")
    if not isinstance(phase, str) or not phase:
        problems.append("`phase` is missing")
    if not isinstance(tables, dict) or not tables:
        problems.append("no criteria: such a policy would pass everything")
        tables = {}
    criteria: dict[str, Parameters] = {}
    for name, table in tables.items():
        criterion = CRITERIA.get(name)
        if criterion is None:
            problems.append(f"no criterion is called {name!r}{hint(name, CRITERIA)}")
            continue
        try:
            criteria[name] = validate(criterion.parameters, table)
        except ValidationError as error:
            for detail in error.errors():
                place = ".".join(map(str, (name, *detail["loc"])))
                problems.append(f"criteria.{place}: {detail['msg']}")
    if problems:
        raise UsageError(join_problems(problems), where=where)
    return Policy(phase=str(phase), description=str(document.get("description", "")), criteria=criteria)
