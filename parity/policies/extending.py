"""From a draft, and the policy that it extends, to the policy that counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from parity.config import hint, settings_problems, validate
from parity.criteria import CRITERIA, Parameters
from parity.policies.looser import loosenings, shown
from parity.policies.model import KINDS, Loosened, Policy, Requirements
from parity.policies.plan import PHASES
from parity.policies.reading import Draft

_M = TypeVar("_M", bound=BaseModel)


def effective(draft: Draft, base: Policy | None, problems: list[str]) -> Policy:
    """The policy that a draft comes to; what is wrong with it is added to `problems`.

    A table adds to the base's of the same name, key by key. What was loosened is not yet known: `held_to`.
    """
    phase = draft.phase or ("" if base is None else base.phase)
    if not phase and draft.extends is None:
        problems.append("`phase` is missing")
    criteria = _criteria(draft, {} if base is None else base.criteria, problems)
    if not criteria and draft.extends is None:
        problems.append("no criteria: such a policy would pass everything")
    elif not criteria and base is not None:
        problems.append("no criteria are left: such a policy would pass everything")
    return Policy(
        phase=phase,
        description=draft.description or ("" if base is None else base.description),
        criteria=criteria,
        requires=_requires(draft, base, criteria, phase, problems),
    )


def held_to(
    policy: Policy,
    references: Mapping[str, Policy],
    base: Policy | None,
    reason: str | None,
    problems: list[str],
) -> Policy:
    """The policy with all that it loosens, each with its reason; a loosening without one is a problem.

    references: the policies that it is held to, by what messages call them. base: the one that it extends,
    whose loosenings it inherits as far as it did not take them back.
    """
    inherited = [] if base is None else [each for each in base.loosened if _stands(each, policy)]
    told = {(each.what, each.loose) for each in inherited}
    found = [
        each
        for than, reference in references.items()
        for each in loosenings(reference, policy, than)
        if (each.what, each.loose) not in told
    ]
    first = {each.what: each for each in reversed(found)}
    mine = [each for each in found if first[each.what] is each]
    if mine and reason is None:
        told_of = "; ".join(each.sentence for each in mine)
        problems.append(f'looser, which takes `allow_looser = "reason"`: {told_of}')
    elif reason is not None and not reason.strip():
        problems.append("allow_looser: a reason in words is expected, found none")
    elif reason is not None and not mine:
        problems.append("allow_looser: nothing is looser; leave it out, or it would excuse later changes")
    excused = [replace(each, reason=(reason or "").strip()) for each in mine]
    return replace(policy, loosened=(*inherited, *excused))


def _criteria(draft: Draft, given: Mapping[str, Parameters], problems: list[str]) -> dict[str, Parameters]:
    for name in draft.without:
        if name not in given:
            problems.append(f"without: {name!r} is not among what is extended{hint(name, list(given))}")
        elif name in draft.criteria:
            problems.append(f"without: {name!r}, which [criteria.{name}] sets")
    criteria = {name: parameters for name, parameters in given.items() if name not in draft.without}
    for name, table in draft.criteria.items():
        criterion = CRITERIA.get(name)
        if criterion is None:
            problems.append(f"no criterion is called {name!r}{hint(name, CRITERIA)}")
            continue
        old = criteria.get(name)
        values = {**({} if old is None else old.model_dump(mode="json")), **table}
        parameters = _validated(criterion.parameters, values, f"criteria.{name}", problems)
        criteria[name] = parameters or criterion.parameters()
    return criteria


def _requires(
    draft: Draft, base: Policy | None, criteria: Mapping[str, Parameters], phase: str, problems: list[str]
) -> Requirements:
    """The requirements; where no file names kinds of evidence, those are required that the criteria need."""
    old = Requirements() if base is None else base.requires
    needed = {CRITERIA[name].needs for name in criteria}
    values = {**old.model_dump(mode="json"), **draft.requires}
    if "evidence" not in draft.requires:
        values["evidence"] = [kind for kind in KINDS if kind in needed or kind in old.evidence]
    requires = _validated(Requirements, values, "requires", problems)
    if requires is None:
        return old
    lacking = [name for name in criteria if CRITERIA[name].needs not in requires.evidence]
    if lacking:
        kinds = [kind for kind in KINDS if kind in needed and kind not in requires.evidence]
        problems.append(f"requires.evidence: lacks {shown(kinds)}, which {shown(lacking)} judge")
    problems += [f"requires.earlier: {late}" for late in _too_late(requires.earlier, phase)]
    return requires


def _too_late(earlier: Sequence[str], phase: str) -> list[str]:
    order = list(PHASES)
    if earlier and phase not in order:
        return [f"{shown(earlier)}, but {phase!r} is no phase of the plan, and comes after none"]
    late = [name for name in earlier if order.index(name) >= order.index(phase)]
    return [f"{name!r} is not before {phase!r}" for name in late]


def _stands(each: Loosened, policy: Policy) -> bool:
    """Whether an inherited loosening is still there, with the value that it was told with."""
    place, name, *field = each.what.split(".")
    if place == "requires":
        return shown(getattr(policy.requires, name)) == each.loose
    own = policy.criteria.get(name)
    if not field:
        return own is None
    return own is not None and shown(getattr(own, field[0])) == each.loose


def _validated(model: type[_M], values: dict[str, Any], place: str, problems: list[str]) -> _M | None:
    try:
        return validate(model, values)
    except ValidationError:
        problems += settings_problems(model, values, place)
        return None
