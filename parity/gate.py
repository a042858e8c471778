"""From criteria to one verdict: any FAIL fails, any INCONCLUSIVE holds back, only the rest passes."""

from __future__ import annotations

from collections.abc import Sequence

from parity.criteria import CRITERIA, CriterionResult, Outcome, PairEvidence
from parity.policies import Policy

EXIT_CODES = {Outcome.PASS: 0, Outcome.FAIL: 10, Outcome.INCONCLUSIVE: 11}


def judge(policy: Policy, evidence: PairEvidence) -> list[CriterionResult]:
    """Every criterion of the policy, in the policy's order."""
    return [CRITERIA[name].judge(evidence, parameters) for name, parameters in policy.criteria.items()]


def verdict(outcomes: Sequence[Outcome]) -> Outcome:
    """The verdict over outcomes; over none of them it is INCONCLUSIVE, since nothing was shown."""
    if Outcome.FAIL in outcomes:
        return Outcome.FAIL
    if not outcomes or Outcome.INCONCLUSIVE in outcomes:
        return Outcome.INCONCLUSIVE
    return Outcome.PASS
