"""Every criterion: no data, one image, NaN, a missing image, unequal sets, exactly on the limit."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from pydantic import ValidationError

from parity import policies
from parity.criteria import CRITERIA, CriterionResult, Outcome, PairEvidence
from parity.criteria.box_agreement import BoxAgreementParameters
from parity.criteria.map_variance import MapVarianceParameters

IDS = frozenset(range(1000))
GOOD = PairEvidence(
    attempted=IDS,
    reference_answered=IDS,
    candidate_answered=IDS,
    nonfinite_reference=0,
    nonfinite_candidate=0,
    ap_difference=0.01,
    ap_interval=(-0.02, 0.03),
    ap_reason="",
    agreeing=5000,
    compared=5000,
    disagreement={"missing": 0, "extra": 0, "moved": 0, "rescored": 0},
)


def judge(name: str, evidence: PairEvidence, **parameters: float) -> CriterionResult:
    criterion = CRITERIA[name]
    return criterion.judge(evidence, criterion.parameters(**parameters))


def only(*ids: int) -> PairEvidence:
    few = frozenset(ids)
    return replace(GOOD, attempted=few, reference_answered=few, candidate_answered=few)


@pytest.mark.parametrize("name", sorted(CRITERIA))
def test_good_evidence_passes_and_is_explained(name: str) -> None:
    result = judge(name, GOOD)
    assert result.outcome is Outcome.PASS
    assert result.observed is not None
    assert result.limit is not None
    assert result.n > 0
    assert result.message.endswith(".")
    assert result.name == name


@pytest.mark.parametrize("name", sorted(CRITERIA))
def test_no_data_is_never_pass(name: str) -> None:
    nothing = replace(
        only(), ap_difference=None, ap_interval=None, ap_reason="no image", agreeing=0, compared=0
    )
    result = judge(name, nothing)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert result.observed is None


def test_coverage_counts_and_fails_on_a_missing_image() -> None:
    result = judge("image_coverage", replace(GOOD, candidate_answered=IDS - {3}))
    assert result.outcome is Outcome.FAIL
    assert result.observed == pytest.approx(99.9)
    assert "candidate 1" in result.message


def test_coverage_fails_on_unequal_sets() -> None:
    result = judge("image_coverage", replace(GOOD, reference_answered=IDS | {5000}))
    assert result.outcome is Outcome.FAIL
    assert "5000" in result.message


def test_coverage_of_one_image_is_complete_but_variance_of_one_is_inconclusive() -> None:
    assert judge("image_coverage", only(1)).outcome is Outcome.PASS
    assert judge("map_variance", only(1)).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("side", ["nonfinite_reference", "nonfinite_candidate"])
def test_one_nan_fails(side: str) -> None:
    broken = replace(GOOD, **{side: 1})  # type: ignore[arg-type]
    assert judge("finite_outputs", broken).outcome is Outcome.FAIL


def test_nan_fails_even_when_no_image_was_answered_by_both() -> None:
    broken = replace(GOOD, candidate_answered=frozenset(), nonfinite_candidate=3)
    assert judge("finite_outputs", broken).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("value", "interval", "outcome"),
    [
        (0.0, (0.0, 0.0), Outcome.PASS),
        (0.05, (-0.05, 0.0999), Outcome.PASS),
        (0.05, (-0.05, 0.1), Outcome.INCONCLUSIVE),
        (0.05, (-0.1, 0.09), Outcome.INCONCLUSIVE),
        (0.1, (0.09, 0.11), Outcome.FAIL),
        (-0.1, (-0.11, -0.09), Outcome.FAIL),
        (0.3, (-1.0, 2.0), Outcome.FAIL),
        (-0.3, (-0.4, -0.2), Outcome.FAIL),
        (0.0, (-5.0, 5.0), Outcome.INCONCLUSIVE),
    ],
)
def test_variance_follows_the_second_law(
    value: float, interval: tuple[float, float], outcome: Outcome
) -> None:
    assert judge("map_variance", replace(GOOD, ap_difference=value, ap_interval=interval)).outcome is outcome


def test_inconclusive_says_how_many_images_would_decide() -> None:
    result = judge("map_variance", replace(GOOD, ap_difference=0.0, ap_interval=(-0.2, 0.2)))
    assert "images like these would decide it" in result.message


def test_variance_without_interval_never_passes() -> None:
    bare = replace(GOOD, ap_interval=None, ap_reason="a resample had no boxes")
    assert judge("map_variance", bare).outcome is Outcome.INCONCLUSIVE
    assert judge("map_variance", replace(bare, ap_difference=0.2)).outcome is Outcome.FAIL


def test_variance_needs_the_policys_least_images() -> None:
    assert judge("map_variance", only(*range(29))).outcome is Outcome.INCONCLUSIVE
    assert judge("map_variance", only(*range(30))).outcome is Outcome.PASS


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_nan_never_becomes_a_result(poison: float) -> None:
    with pytest.raises(ValidationError):
        judge("map_variance", replace(GOOD, ap_difference=poison))


def test_agreement_under_the_limit_fails_and_names_the_kinds() -> None:
    result = judge("box_agreement", replace(GOOD, agreeing=4900, disagreement={"missing": 60, "moved": 40}))
    assert result.outcome is Outcome.FAIL
    assert "60 missing, 40 moved" in result.message


def test_agreement_on_the_limit_is_not_enough() -> None:
    result = judge("box_agreement", replace(GOOD, agreeing=990, compared=1000))
    assert result.observed == 99.0
    assert result.outcome is Outcome.INCONCLUSIVE


def test_agreement_of_few_detections_is_inconclusive() -> None:
    assert judge("box_agreement", replace(GOOD, agreeing=50, compared=50)).outcome is Outcome.INCONCLUSIVE
    assert judge("box_agreement", replace(GOOD, agreeing=500, compared=500)).outcome is Outcome.PASS


def test_parameters_are_strict() -> None:
    for bad in ({"limit_percent": 0}, {"limit": 1}, {"confidence": 1.0}, {"limit_percent": math.nan}):
        with pytest.raises(ValidationError):
            MapVarianceParameters(**bad)
        with pytest.raises(ValidationError):
            BoxAgreementParameters(**bad)


def test_the_rehearsal_policy_has_every_criterion() -> None:
    assert set(policies.load("rehearsal").criteria) == set(CRITERIA)
