"""`existing_tests`: what did not run has not passed."""

from __future__ import annotations

import pytest

from parity.criteria import CRITERIA, CriterionResult, Outcome, PairEvidence
from parity.existing_tests.evidence import TestsEvidence
from tests.existing_tests_samples import results, suite

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE


def judge(found: TestsEvidence, **parameters: int) -> CriterionResult:
    criterion = CRITERIA["existing_tests"]
    return criterion.judge(PairEvidence.of_tests(found), criterion.parameters(**parameters))


def test_tests_that_passed() -> None:
    result = judge(results())
    assert (result.outcome, result.observed, result.n) == (PASS, 0.0, 40)
    assert result.message == "40 tests in 2 suites passed."


def test_no_file_is_inconclusive() -> None:
    result = judge(TestsEvidence(files=(), failures=(), skips=()))
    assert (result.outcome, result.observed) == (INCONCLUSIVE, None)
    assert "No JUnit XML file" in result.message


def test_a_file_without_suites_beside_a_good_one_is_inconclusive() -> None:
    good = results()
    empty = good.files[0].model_copy(update={"suites": (), "path": "empty.xml"})
    both = good.model_copy(update={"files": (*good.files, empty)})
    result = judge(both)
    assert result.outcome is INCONCLUSIVE
    assert "no tests in empty.xml" in result.message


def test_a_suite_without_tests_is_inconclusive() -> None:
    result = judge(results(suite(), suite("worker", passed=0)))
    assert result.outcome is INCONCLUSIVE
    assert "no tests in worker" in result.message


@pytest.mark.parametrize("kind", ["failed", "errors"])
def test_one_that_did_not_pass_fails_and_is_named(kind: str) -> None:
    result = judge(results(suite(), suite("worker", **{kind: 1}), failures=("worker: a.b",)))
    assert (result.outcome, result.observed) == (FAIL, 1.0)
    assert result.message == "1 of 41 tests did not pass: worker: a.b."


def test_many_failures_are_counted_though_not_all_are_named() -> None:
    names = tuple(f"worker: t{i}" for i in range(100))
    result = judge(results(suite("worker", failed=120), failures=names))
    assert "120 of 140 tests" in result.message
    assert result.message.endswith("worker: t4 and 115 more.")


def test_a_failure_outweighs_whatever_else_is_lacking() -> None:
    assert judge(results(suite(failed=1, contradiction="x"), suite("worker", passed=0))).outcome is FAIL


def test_a_suite_that_was_skipped_as_a_whole_is_inconclusive_whatever_the_limit() -> None:
    found = results(suite(), suite("worker", passed=0, skipped=2), skips=("worker: a", "worker: b"))
    result = judge(found, most_skipped=100)
    assert result.outcome is INCONCLUSIVE
    assert "skipped as a whole: worker" in result.message


@pytest.mark.parametrize(("limit", "outcome"), [(0, INCONCLUSIVE), (1, INCONCLUSIVE), (2, PASS)])
def test_skips_up_to_the_limit_are_let_through_and_named(limit: int, outcome: Outcome) -> None:
    result = judge(results(suite(skipped=2), skips=("api: a", "api: b")), most_skipped=limit)
    assert result.outcome is outcome
    assert "api: a, api: b" in result.message


@pytest.mark.parametrize(("least", "outcome"), [(20, PASS), (21, INCONCLUSIVE)])
def test_skipped_tests_do_not_count_as_passed(least: int, outcome: Outcome) -> None:
    found = results(suite(skipped=2), skips=("api: a", "api: b"))
    assert judge(found, most_skipped=2, least_tests=least).outcome is outcome


def test_a_file_that_contradicts_itself_is_inconclusive() -> None:
    result = judge(results(suite(contradiction="3 tests by its own count and 20 in it")))
    assert result.outcome is INCONCLUSIVE
    assert "api (3 tests by its own count" in result.message
