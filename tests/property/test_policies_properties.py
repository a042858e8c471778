"""Every loosening is found, whichever parameter it is of; a digest sees every value and nothing else."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from parity import policies
from parity.criteria import CRITERIA, Parameters
from parity.errors import UsageError
from parity.policies import Policy, Requirements
from parity.policies.looser import direction, loosenings
from parity.policies.model import KINDS
from parity.policies.plan import PHASES

PARAMETERS = [
    (name, field)
    for name, criterion in sorted(CRITERIA.items())
    for field in criterion.parameters.model_fields
]
NUMBERS = [field for field in Requirements.model_fields if field not in ("evidence", "earlier")]
BOUNDS = ("ge", "gt", "le", "lt")


def values(model: type[BaseModel], field: str) -> st.SearchStrategy[Any]:
    """Whatever a policy file may set a field to, up to 10,000."""
    info = model.model_fields[field]
    if info.annotation is bool:
        return st.booleans()
    if direction(model, field) == "fewer":
        entries = st.integers(1, 8) if field == "concurrencies" else st.sampled_from(["a", "b", "c:d"])
        return st.lists(entries, min_size=1, unique=True).map(tuple)
    bounds = {kind: getattr(each, kind) for each in info.metadata for kind in BOUNDS if hasattr(each, kind)}
    low, high = bounds.get("ge", bounds.get("gt", 0)), bounds.get("le", bounds.get("lt", 10_000))
    if info.annotation is int:
        return st.integers(low, high)
    return st.floats(low, high, exclude_min="gt" in bounds, exclude_max="lt" in bounds)


def policy(name: str, parameters: Parameters) -> Policy:
    return Policy(phase="x", description="", criteria={name: parameters})


def expected(model: type[BaseModel], field: str, before: Any, after: Any) -> bool:
    """Whether a change is a loosening, by what was lost or by the change's sign alone."""
    if direction(model, field) == "fewer":
        return any(entry not in after for entry in before)
    way = {"higher": 1, "lower": -1, "neither": 0}[direction(model, field)]
    return bool((after - before) * way > 0)


@pytest.mark.parametrize(("name", "field"), PARAMETERS)
@settings(max_examples=15)
@given(st.data())
def test_a_parameter_is_looser_in_its_own_direction_only(name: str, field: str, data: st.DataObject) -> None:
    model = CRITERIA[name].parameters
    first, second = data.draw(values(model, field)), data.draw(values(model, field))
    before, after = (policy(name, model().model_copy(update={field: value})) for value in (first, second))
    looser = expected(model, field, first, second)
    found = [each.what for each in loosenings(before, after, "it")]
    assert found == ([f"criteria.{name}.{field}"] if looser else [])


@pytest.mark.parametrize("field", NUMBERS)
@settings(max_examples=15)
@given(st.data())
def test_so_is_a_requirement(field: str, data: st.DataObject) -> None:
    first, second = data.draw(values(Requirements, field)), data.draw(values(Requirements, field))
    before, after = (
        Policy(phase="x", description="", criteria={}, requires=Requirements(**{field: value}))
        for value in (first, second)
    )
    looser = expected(Requirements, field, first, second)
    assert [each.what for each in loosenings(before, after, "it")] == (
        [f"requires.{field}"] if looser else []
    )


@settings(max_examples=30)
@given(
    st.lists(st.sets(st.sampled_from(KINDS)), min_size=2, max_size=2),
    st.lists(st.sets(st.sampled_from(list(PHASES))), min_size=2, max_size=2),
)
def test_fewer_kinds_or_phases_are_looser(kinds: list[set[str]], phases: list[set[str]]) -> None:
    before, after = (
        Policy(
            phase="x",
            description="",
            criteria={},
            requires=Requirements(evidence=tuple(kinds[i]), earlier=tuple(phases[i])),
        )
        for i in (0, 1)
    )
    found = {each.what for each in loosenings(before, after, "it")}
    assert ("requires.evidence" in found) == bool(kinds[0] - kinds[1])
    assert ("requires.earlier" in found) == bool(phases[0] - phases[1])


@pytest.mark.parametrize("phase", policies.phases())
def test_any_criterion_less_is_looser_and_a_change_of_any_value_is_seen_by_the_digest(phase: str) -> None:
    whole = policies.load(phase)
    digests = {whole.digest}
    for other in variants(whole):
        assert other.digest not in digests
        digests.add(other.digest)
    for name in whole.criteria:
        less = {key: value for key, value in whole.criteria.items() if key != name}
        found = loosenings(whole, replaced(whole, criteria=less), "it")
        assert [each.what for each in found] == [f"criteria.{name}"]


def variants(whole: Policy) -> Iterator[Policy]:
    """Policies that differ from one in a single value; whether a policy file could say so does not matter."""
    for name, parameters in whole.criteria.items():
        for field, value in parameters:
            other = parameters.model_copy(update={field: another(value)})
            yield replaced(whole, criteria={**whole.criteria, name: other})
        yield replaced(whole, criteria={k: v for k, v in whole.criteria.items() if k != name})
    for field, value in whole.requires:
        yield replaced(whole, requires=whole.requires.model_copy(update={field: another(value)}))
    yield replaced(whole, phase="another")
    yield replaced(
        whole, loosened=(policies.Loosened(what="a", strict="1", loose="2", than="b", reason="c"),)
    )


def replaced(whole: Policy, **changes: Any) -> Policy:
    fields = ("phase", "description", "criteria", "requires", "loosened")
    return Policy(**{**{field: getattr(whole, field) for field in fields}, **changes})


def another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value[:-1] if isinstance(value, tuple) and value else ("x",) if value == () else value + 1


@settings(max_examples=20)
@given(st.randoms(use_true_random=False), st.sampled_from(list(PHASES)))
def test_the_digest_is_the_same_however_a_policy_is_written(rng: random.Random, phase: str) -> None:
    whole = policies.load(phase)
    blocks = [
        (f"[criteria.{name}]", [f"{key} = {toml(shuffled(value, rng))}" for key, value in parameters])
        for name, parameters in whole.criteria.items()
    ]
    requires = whole.requires.model_dump(mode="json")
    for values in (requires["evidence"], requires["earlier"]):
        rng.shuffle(values)
    blocks.append(("[requires]", [f"{key} = {toml(value)}" for key, value in requires.items()]))
    rng.shuffle(blocks)
    lines = [f'phase = "{phase}"', f"description = {toml(str(rng.random()))}"]
    for title, rows in blocks:
        rng.shuffle(rows)
        lines += ["", " " * rng.randrange(3) + title, *rows, "# a remark"]
    assert policies.parse("\n".join(lines), where="mine").digest == whole.digest


def shuffled(value: Any, rng: random.Random) -> Any:
    """A list in another order; any other value as it is."""
    return rng.sample(value, len(value)) if isinstance(value, tuple) else value


def toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + " , ".join(map(toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


@settings(max_examples=40)
@given(st.text(max_size=200))
def test_any_text_is_a_policy_or_a_message(text: str) -> None:
    for prefix in ("", 'extends = "conversion"\n', 'phase = "x"\n[criteria.image_coverage]\n'):
        try:
            found = policies.parse(prefix + text, where="mine")
        except UsageError:
            continue
        assert found.criteria
