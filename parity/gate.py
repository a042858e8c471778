"""From criteria to one verdict: any FAIL fails, any INCONCLUSIVE holds back, only the rest passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from parity.criteria import CRITERIA, CriterionResult, Needs, Outcome, PairEvidence
from parity.policies import Policy
from parity.sides import STAND_IN

EXIT_CODES = {Outcome.PASS: 0, Outcome.FAIL: 10, Outcome.INCONCLUSIVE: 11}

COLLECTED_BY: dict[Needs, str] = {
    "answers": "parity run",
    "serving": "parity load",
    "drill": "parity drill",
    "tests": "parity gate",
}
"""Which command collects the evidence that a kind of criterion needs."""


def part(policy: Policy, needs: Needs) -> tuple[Policy, dict[str, str]]:
    """The criteria of a policy that one kind of evidence is enough for, and who judges each of the others.

    The others are not judged, and so no PASS of theirs is claimed: every view of a report names them. A
    policy without any criterion of the kind comes out without criteria, over which the verdict is
    INCONCLUSIVE.
    """
    mine = {name: given for name, given in policy.criteria.items() if CRITERIA[name].needs == needs}
    others = {name: COLLECTED_BY[CRITERIA[name].needs] for name in policy.criteria if name not in mine}
    return replace(policy, criteria=mine), others


def judge(policy: Policy, evidence: PairEvidence) -> list[CriterionResult]:
    """Every criterion of the policy, in the policy's order."""
    return [CRITERIA[name].judge(evidence, parameters) for name, parameters in policy.criteria.items()]


def held_back(policy: Policy, candidate: Mapping[str, Any]) -> list[CriterionResult]:
    """What holds a verdict back for what the candidate was, by its provenance; empty where nothing does."""
    if candidate.get("in_process") == STAND_IN:
        return [without_candidate()]
    if policy.requires.tensorrt and candidate.get("tensorrt") is not True:
        return [_without_engine(policy.phase)]
    return []


def without_candidate() -> CriterionResult:
    """What holds a verdict back where the reference answered on both sides, whatever the policy says."""
    return _undecided(
        "candidate_ran",
        "Triton is switched off (enabled = false, TRITON_ENABLED or --no-triton), so the reference "
        "answered in the candidate's place: nothing is known of the candidate.",
    )


def _without_engine(phase: str) -> CriterionResult:
    return _undecided(
        "tensorrt_engine",
        "This is a rehearsal: the candidate was no TensorRT engine behind Triton that is known of, "
        f"and the phase {phase} takes one.",
    )


def _undecided(name: str, message: str) -> CriterionResult:
    return CriterionResult(
        name=name,
        outcome=Outcome.INCONCLUSIVE,
        observed=None,
        limit=None,
        unit="",
        sense="at_least",
        interval=None,
        n=0,
        message=message,
    )


def verdict(outcomes: Sequence[Outcome]) -> Outcome:
    """The verdict over outcomes; over none of them it is INCONCLUSIVE, since nothing was shown."""
    if Outcome.FAIL in outcomes:
        return Outcome.FAIL
    if not outcomes or Outcome.INCONCLUSIVE in outcomes:
        return Outcome.INCONCLUSIVE
    return Outcome.PASS
