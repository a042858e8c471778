"""One verdict from many outcomes; nothing passes by accident."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from parity import gate, policies
from parity.criteria import CRITERIA, Outcome, PairEvidence
from parity.criteria.operating_point import OperatingPointParameters
from parity.errors import UsageError
from parity.policies.plan import PHASES as PLAN
from tests import existing_tests_samples, serving_samples
from tests.unit.criteria.test_criteria import GOOD


def test_a_verdict_over_nothing_is_inconclusive() -> None:
    assert gate.verdict([]) is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("outcomes", list(product(Outcome, repeat=3)))
def test_the_worst_outcome_decides(outcomes: tuple[Outcome, ...]) -> None:
    verdict = gate.verdict(outcomes)
    if Outcome.FAIL in outcomes:
        assert verdict is Outcome.FAIL
    elif Outcome.INCONCLUSIVE in outcomes:
        assert verdict is Outcome.INCONCLUSIVE
    else:
        assert verdict is Outcome.PASS


def test_judge_gives_every_criterion_of_the_policy_in_order() -> None:
    policy = policies.load("rehearsal")
    results = gate.judge(policy, GOOD)
    assert [r.name for r in results] == list(policy.criteria)
    assert gate.verdict([r.outcome for r in results]) is Outcome.PASS
    worse = gate.judge(policy, replace(GOOD, candidate_answered=frozenset()))
    assert gate.verdict([r.outcome for r in worse]) is Outcome.FAIL


def test_a_policy_falls_into_the_parts_that_each_command_can_judge() -> None:
    policy = policies.load("rehearsal")
    answers, told = gate.part(policy, "answers")
    serving, other = gate.part(policy, "serving")
    drill, _ = gate.part(policy, "drill")
    parts = [answers, serving, drill]
    assert {name: given for part in parts for name, given in part.criteria.items()} == policy.criteria
    assert sum(len(part.criteria) for part in parts) == len(policy.criteria)
    assert list(drill.criteria) == ["rollback_drill"]
    assert all(CRITERIA[name].needs == "answers" for name in answers.criteria)
    assert told == dict.fromkeys(serving.criteria, "parity load") | {"rollback_drill": "parity drill"}
    assert other == dict.fromkeys(answers.criteria, "parity run") | {"rollback_drill": "parity drill"}


def test_nothing_is_said_where_everything_is_judged() -> None:
    policy = policies.parse('phase = "x"\n[criteria.image_coverage]', where="x")
    assert gate.part(policy, "answers") == (policy, {})


def test_a_policy_without_criteria_for_a_command_is_inconclusive_there() -> None:
    policy = policies.parse('phase = "x"\n[criteria.error_rate]', where="x")
    mine, told = gate.part(policy, "answers")
    assert gate.judge(mine, GOOD) == []
    assert gate.verdict([]) is Outcome.INCONCLUSIVE
    assert told == {"error_rate": "parity load"}


def test_evidence_of_serving_alone_passes_no_criterion_that_needs_answers() -> None:
    alone = PairEvidence.of_serving(serving_samples.serving())
    for name, criterion in CRITERIA.items():
        outcome = criterion.judge(alone, criterion.parameters()).outcome
        served = criterion.needs in ("serving", "drill")
        assert outcome is (Outcome.PASS if served else Outcome.INCONCLUSIVE), name


def test_results_of_tests_alone_pass_no_criterion_that_needs_more() -> None:
    alone = PairEvidence.of_tests(existing_tests_samples.results())
    for name, criterion in CRITERIA.items():
        outcome = criterion.judge(alone, criterion.parameters()).outcome
        assert outcome is (Outcome.PASS if criterion.needs == "tests" else Outcome.INCONCLUSIVE), name


def test_without_a_candidate_nothing_passes() -> None:
    results = gate.judge(policies.load("rehearsal"), GOOD)
    outcomes = [r.outcome for r in (*results, gate.without_candidate())]
    assert gate.verdict(outcomes) is Outcome.INCONCLUSIVE
    assert "nothing is known of the candidate" in gate.without_candidate().message


@pytest.mark.parametrize(
    "candidate",
    [{}, {"tensorrt": False}, {"tensorrt": "true"}, {"tensorrt": None}, {"in_process": "tensorrt"}],
)
@pytest.mark.parametrize("phase", PLAN)
def test_a_rehearsal_passes_no_phase_of_the_plan(phase: str, candidate: dict[str, Any]) -> None:
    (result,) = gate.held_back(policies.load(phase), candidate)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "rehearsal" in result.message and phase in result.message


def test_an_engine_is_not_held_back_nor_a_rehearsal_where_it_is_one() -> None:
    assert gate.held_back(policies.load("conversion"), {"tensorrt": True}) == []
    assert gate.held_back(policies.load("rehearsal"), {}) == []
    (stand_in,) = gate.held_back(policies.load("rehearsal"), {"in_process": "reference"})
    assert stand_in.name == "candidate_ran"


def test_a_policy_at_another_threshold() -> None:
    policy = policies.load("rehearsal")
    assert policy.threshold == 0.5
    moved = policy.at_threshold(0.25)
    assert moved.threshold == 0.25 and policy.threshold == 0.5
    assert moved.parameters(OperatingPointParameters, "operating_point").limit_points == 1.0
    assert list(moved.criteria) == list(policy.criteria)
    assert policy.at_threshold(None) is policy
    without = policies.parse('phase = "x"\n[criteria.image_coverage]', where="x.toml")
    assert without.at_threshold(0.25) is without and without.threshold is None


def test_exit_codes_are_those_of_the_design() -> None:
    assert {o.value: c for o, c in gate.EXIT_CODES.items()} == {"PASS": 0, "FAIL": 10, "INCONCLUSIVE": 11}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('phase = "x"', "no criteria"),
        ('phase = "x"\n[criteria]', "no criteria"),
        ("[criteria.image_coverage]", "`phase` is missing"),
        ('phase = "x"\n[criteria.map_varianc]', "did you mean 'map_variance'?"),
        ('phase = "x"\n[criteria.map_variance]\nlimit = 1', "criteria.map_variance.limit"),
        ('phase = "x"\nlimits = 1\n[criteria.image_coverage]', "unknown key 'limits'"),
        ("phase = ", "not TOML"),
    ],
)
def test_policies_are_strict(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        policies.parse(text, where="mine.toml")
    assert words in str(caught.value)


def test_an_unknown_phase_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="rehearsal"):
        policies.load("rehersal")
