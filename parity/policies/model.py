"""What a policy is once it has been read: criteria with their limits, and what evidence must be like."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from parity.config import hint
from parity.criteria import Needs, Parameters
from parity.criteria.base import FEWER_IS_LOOSER, HIGHER_IS_LOOSER, LOWER_IS_LOOSER
from parity.policies.plan import PHASES

P = TypeVar("P", bound=Parameters)
OPERATING_POINT = "operating_point"
"""The criterion whose parameters hold the production threshold."""
KINDS: tuple[Needs, ...] = get_args(Needs)
YEAR_HOURS = 8784.0


class Requirements(BaseModel):
    """What the evidence of a phase must be like, whatever its criteria say of it.

    Lists come out in the order of the plan, so that how they were written changes nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    evidence: tuple[str, ...] = Field(
        (),
        description="Kinds that have to be there: answers, serving, drill, tests.",
        json_schema_extra=FEWER_IS_LOOSER,
    )
    earlier: tuple[str, ...] = Field(
        (),
        description="Phases that must have passed for the same digests.",
        json_schema_extra=FEWER_IS_LOOSER,
    )
    max_age_hours: float = Field(
        168.0,
        gt=0,
        le=YEAR_HOURS,
        description="How old evidence, and the phase's own record, may be.",
        json_schema_extra=HIGHER_IS_LOOSER,
    )
    least_images: int = Field(
        0, ge=0, description="Images that both sides answered.", json_schema_extra=LOWER_IS_LOOSER
    )
    least_requests: int = Field(
        0,
        ge=0,
        description="Requests to the candidate in `parity load`, warm-up left out.",
        json_schema_extra=LOWER_IS_LOOSER,
    )
    soak_hours: float = Field(
        0.0,
        ge=0,
        le=YEAR_HOURS,
        description="How long a canary step must have served.",
        json_schema_extra=LOWER_IS_LOOSER,
    )
    soak_requests: int = Field(
        0,
        ge=0,
        description="Live requests to the candidate in that time.",
        json_schema_extra=LOWER_IS_LOOSER,
    )
    tensorrt: bool = Field(
        False,
        description="Whether only a TensorRT engine behind Triton counts.",
        json_schema_extra=LOWER_IS_LOOSER,
    )

    @field_validator("evidence")
    @classmethod
    def _kinds(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return _ordered(given, KINDS, "no evidence is called")

    @field_validator("earlier")
    @classmethod
    def _phases(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return _ordered(given, tuple(PHASES), "no phase of the plan is called")


def _ordered(given: tuple[str, ...], known: tuple[str, ...], wrong: str) -> tuple[str, ...]:
    unknown = [f"{wrong} {name!r}{hint(name, known)}" for name in given if name not in known]
    twice = [f"{name!r} is there twice" for name in dict.fromkeys(given) if given.count(name) > 1]
    if unknown or twice:
        raise ValueError("; ".join([*unknown, *twice]))
    return tuple(name for name in known if name in given)


@dataclass(frozen=True, kw_only=True)
class Loosened:
    """One thing that a policy lets through and the one that it is held to does not.

    what: `criteria.NAME.PARAMETER`, `criteria.NAME` or `requires.NAME`. strict, loose: both values in words.
    than: the stricter policy. reason: the team's, empty as long as it gave none.
    """

    what: str
    strict: str
    loose: str
    than: str
    reason: str = ""

    @property
    def sentence(self) -> str:
        """For messages, where the reason is told apart."""
        return f"{self.what} is {self.loose}, in {self.than} {self.strict}"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The criteria of a phase with their parameters, in the order in which they are reported.

    loosened: what is let through that a built-in policy, or one that was extended, does not let through.
    """

    phase: str
    description: str
    criteria: dict[str, Parameters]
    requires: Requirements = field(default_factory=Requirements)
    loosened: tuple[Loosened, ...] = ()

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

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of all that the policy asks for and of what was loosened, description aside.

        How the files were written, and what they extend, changes nothing; what is judged does.
        """
        document = {
            "format": 1,
            "phase": self.phase,
            "criteria": _dumped(self.criteria.items()),
            "requires": self.requires.model_dump(mode="json"),
            "loosened": sorted((asdict(entry) for entry in self.loosened), key=str),
        }
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    @property
    def notes(self) -> tuple[str, ...]:
        """What every report by this policy must say: what was loosened, and why."""
        return tuple(f"Policy loosened: {each.sentence}. Reason: {each.reason}" for each in self.loosened)


def _dumped(criteria: Iterable[tuple[str, Parameters]]) -> dict[str, Any]:
    return {name: parameters.model_dump(mode="json") for name, parameters in criteria}
