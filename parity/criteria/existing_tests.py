"""Do all existing tests pass? Tests that did not run have not passed."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from parity.criteria.base import (
    HIGHER_IS_LOOSER,
    LOWER_IS_LOOSER,
    CriterionResult,
    Needs,
    Outcome,
    PairEvidence,
    Parameters,
)
from parity.criteria.serving import named
from parity.existing_tests.evidence import Suite, TestsEvidence


class ExistingTestsParameters(Parameters):
    """How many tests there must be, and how many of them may be skipped."""

    least_tests: int = Field(1, ge=1, description="Tests that passed.", json_schema_extra=LOWER_IS_LOOSER)
    most_skipped: int = Field(0, ge=0, description="Skipped tests.", json_schema_extra=HIGHER_IS_LOOSER)


class ExistingTests:
    """Tests that failed or ended in an error; none may.

    INCONCLUSIVE without files, without tests, with a suite that is empty or skipped as a whole, with more
    skipped tests than the policy lets through, and where a file contradicts itself.
    """

    name = "existing_tests"
    needs: ClassVar[Needs] = "tests"
    parameters = ExistingTestsParameters

    def judge(self, evidence: PairEvidence, parameters: ExistingTestsParameters) -> CriterionResult:
        """Judge all files together."""
        tests = evidence.tests
        suites = () if tests is None else tests.suites
        n = sum(suite.tests for suite in suites)
        if tests is None or not tests.files:
            outcome, message = Outcome.INCONCLUSIVE, "No JUnit XML file of existing tests was given."
        else:
            outcome, message = _decide(tests, suites, parameters)
        return CriterionResult(
            name=self.name,
            outcome=outcome,
            observed=float(_broken(suites)) if n or _broken(suites) else None,
            limit=0.0,
            unit="tests",
            sense="at_most",
            interval=None,
            n=n,
            message=message,
        )


def _decide(
    tests: TestsEvidence, suites: tuple[Suite, ...], parameters: ExistingTestsParameters
) -> tuple[Outcome, str]:
    n, skipped = sum(suite.tests for suite in suites), sum(suite.skipped for suite in suites)
    broken = _broken(suites)
    if broken:
        return Outcome.FAIL, f"{broken} of {n} tests did not pass: {_some(tests.failures, broken)}."
    lacking = []
    contradictions = [f"{suite.name} ({suite.contradiction})" for suite in suites if suite.contradiction]
    if contradictions:
        lacking.append(f"suites contradict themselves: {named(contradictions)}")
    empty = [file.path for file in tests.files if not any(suite.tests for suite in file.suites)]
    empty += [suite.name for suite in suites if not suite.tests]
    if empty:
        lacking.append(f"there are no tests in {named(dict.fromkeys(empty))}")
    skipped_whole = [suite.name for suite in suites if suite.tests and suite.skipped == suite.tests]
    if skipped_whole:
        lacking.append(f"skipped as a whole: {named(skipped_whole)}")
    if skipped > parameters.most_skipped:
        told = f"{skipped} tests were skipped, {parameters.most_skipped} may be"
        lacking.append(f"{told}: {_some(tests.skips, skipped)}")
    if n - skipped < parameters.least_tests:
        lacking.append(f"{n - skipped} tests passed, {parameters.least_tests} are needed")
    if lacking:
        return Outcome.INCONCLUSIVE, f"No test failed, but {'; '.join(lacking)}."
    told = f"; skipped: {_some(tests.skips, skipped)}" if skipped else ""
    return Outcome.PASS, f"{n - skipped} tests in {len(suites)} suites passed{told}."


def _broken(suites: tuple[Suite, ...]) -> int:
    return sum(suite.failed + suite.errors for suite in suites)


def _some(names: tuple[str, ...], count: int) -> str:
    """The first few of `count` names, of which not all need be kept."""
    if len(names) >= count:
        return named(names)
    first = ", ".join(names[:5])
    return f"{first} and {count - min(5, len(names))} more" if first else f"{count} without a name"
