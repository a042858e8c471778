"""Every criterion: no data, one image, NaN, a missing image, unequal sets, exactly on the limit."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Literal

import pytest
from pydantic import ValidationError

from parity import policies
from parity.criteria import CRITERIA, ClassEvidence, CriterionResult, Estimate, Outcome, PairEvidence
from parity.criteria.box_agreement import BoxAgreementParameters
from parity.criteria.limits import EstimateCriterion, keeps
from parity.criteria.map_variance import MapVarianceParameters
from tests import existing_tests_samples, serving_samples

IDS = frozenset(range(1000))
GOOD_VALUES = {"within": 0.0, "at_least": 99.9, "at_most": 0.1}


def _estimate(
    name: str,
    value: float | None,
    interval: tuple[float, float] | Literal["around"] | None = "around",
    reason: str = "",
) -> Estimate:
    if interval == "around":
        interval = None if value is None else (value - 0.001, value + 0.001)
    return Estimate(
        group="any",
        name=name,
        label="what was measured",
        value=value,
        unit="%",
        interval=interval,
        confidence=None if interval is None else 0.95,
        n=1000,
        reason=reason,
    )


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
    units=len(IDS),
    classes=tuple(
        ClassEvidence(name=name, boxes=50, change=0.001, interval=(-0.002, 0.004), p=0.6, reason="")
        for name in ("car", "dog", "bus")
    ),
    estimates={
        criterion.estimate: _estimate(criterion.estimate, GOOD_VALUES[criterion.sense])
        for criterion in CRITERIA.values()
        if isinstance(criterion, EstimateCriterion)
    },
    serving=serving_samples.serving(),
    tests=existing_tests_samples.results(),
)


def judge(name: str, evidence: PairEvidence, **parameters: float) -> CriterionResult:
    criterion = CRITERIA[name]
    return criterion.judge(evidence, criterion.parameters(**parameters))


def only(*ids: int) -> PairEvidence:
    few = frozenset(ids)
    return replace(GOOD, attempted=few, reference_answered=few, candidate_answered=few, units=len(few))


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
        only(),
        ap_difference=None,
        ap_interval=None,
        ap_reason="no image",
        agreeing=0,
        compared=0,
        classes=(),
        estimates={},
        serving=None,
        tests=None,
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


@pytest.mark.parametrize("phase", policies.phases())
def test_every_policy_holds_the_projects_own_limit(phase: str) -> None:
    variance = policies.load(phase).parameters(MapVarianceParameters, "map_variance")
    assert variance.limit_percent == 0.1
    assert "image_coverage" in policies.load(phase).criteria


HELD_TO_LIMITS = sorted(name for name, c in CRITERIA.items() if isinstance(c, EstimateCriterion))


def with_estimate(
    name: str,
    value: float | None,
    interval: tuple[float, float] | Literal["around"] | None = "around",
    reason: str = "",
) -> tuple[PairEvidence, EstimateCriterion, float]:
    """Evidence with one estimate changed, its criterion, and that criterion's own limit."""
    criterion = CRITERIA[name]
    assert isinstance(criterion, EstimateCriterion)
    changed = {**GOOD.estimates, criterion.estimate: _estimate(criterion.estimate, value, interval, reason)}
    limit = float(getattr(criterion.parameters(), criterion.limit))
    return replace(GOOD, estimates=changed), criterion, limit


@pytest.mark.parametrize("name", HELD_TO_LIMITS)
def test_an_undefined_estimate_is_inconclusive_and_says_why(name: str) -> None:
    evidence, _, _ = with_estimate(name, None, reason="no pair at all")
    result = judge(name, evidence)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "no pair at all" in result.message


@pytest.mark.parametrize("name", HELD_TO_LIMITS)
def test_an_estimate_without_interval_is_never_pass(name: str) -> None:
    _, criterion, _ = with_estimate(name, None)
    evidence, _, _ = with_estimate(name, GOOD_VALUES[criterion.sense], None, "an interval needs 2 images")
    result = judge(name, evidence)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "2 images" in result.message


@pytest.mark.parametrize("name", HELD_TO_LIMITS)
def test_exactly_on_the_limit_breaks_differences_and_keeps_shares(name: str) -> None:
    _, criterion, limit = with_estimate(name, None)
    for value in {limit, -limit} if criterion.sense == "within" else {limit}:
        evidence, _, _ = with_estimate(name, value, (value, value))
        expected = Outcome.FAIL if criterion.sense == "within" else Outcome.PASS
        assert judge(name, evidence).outcome is expected


@pytest.mark.parametrize("name", HELD_TO_LIMITS)
def test_an_interval_over_the_limit_is_inconclusive(name: str) -> None:
    _, criterion, limit = with_estimate(name, None)
    good = GOOD_VALUES[criterion.sense]
    evidence, _, _ = with_estimate(name, good, (min(good, limit * 0.9), limit * 1.1))
    assert judge(name, evidence).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("name", HELD_TO_LIMITS)
def test_a_value_beyond_the_limit_fails(name: str) -> None:
    _, criterion, limit = with_estimate(name, None)
    bad = limit * (0.5 if criterion.sense == "at_least" else 1.5)
    evidence, _, _ = with_estimate(name, bad, (bad - 5, bad + 5))
    assert judge(name, evidence).outcome is Outcome.FAIL


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("sense", ["within", "at_least", "at_most"])
def test_a_number_that_is_not_finite_keeps_no_limit(value: float, sense: Literal["within"]) -> None:
    assert not keeps(value, 1.0, sense)


def classes(*entries: tuple[float | None, tuple[float, float] | None, float | None, int]) -> PairEvidence:
    return replace(
        GOOD,
        classes=tuple(
            ClassEvidence(name=f"class {i}", change=c, interval=interval, p=p, boxes=boxes, reason="too rare")
            for i, (c, interval, p, boxes) in enumerate(entries)
        ),
    )


STILL = (0.0, (-0.001, 0.001), 0.8, 100)


def test_one_lost_class_among_eighty_fails() -> None:
    lost = (-0.2, (-0.25, -0.15), 1e-6, 300)
    result = judge("worst_class", classes(lost, *[STILL] * 79))
    assert result.outcome is Outcome.FAIL
    assert result.observed == pytest.approx(-20)
    assert "class 0 (-20.00 points" in result.message


def test_chance_among_eighty_classes_is_no_alarm() -> None:
    """Four of eighty are under p = 0.05 by chance; alone each of them would have been called changed."""
    lucky = (0.03, (0.0, 0.06), 0.03, 12)
    many = judge("worst_class", classes(*[lucky] * 4, *[STILL] * 76))
    assert many.outcome is Outcome.INCONCLUSIVE
    assert judge("worst_class", classes(lucky)).outcome is Outcome.FAIL


def test_a_class_without_boxes_is_never_pass() -> None:
    result = judge("worst_class", classes(STILL, (None, None, None, 0)))
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "class 1" in result.message
    assert "no ground truth boxes" in result.message


def test_classes_of_images_that_nobody_answered_are_not_said_to_be_empty() -> None:
    nobody = replace(classes((None, None, None, 0)), candidate_answered=frozenset())
    result = judge("worst_class", nobody)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert result.message == "No image was answered by both sides."


def test_a_class_without_interval_is_never_pass() -> None:
    result = judge("worst_class", classes(STILL, (0.0, None, 1.0, 1)))
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "too rare" in result.message


def test_a_small_change_that_is_no_chance_passes() -> None:
    assert judge("worst_class", classes((0.004, (0.003, 0.005), 1e-9, 900))).outcome is Outcome.PASS


def test_intervals_over_few_groups_are_never_pass() -> None:
    result = judge("map_variance", replace(GOOD, units=5))
    assert result.outcome is Outcome.INCONCLUSIVE
    assert (result.n, "groups are too few" in result.message) == (5, True)


def test_many_silent_images_are_never_pass_and_a_few_are_let_through() -> None:
    many = judge("image_coverage", replace(GOOD, silent=51))
    assert many.outcome is Outcome.INCONCLUSIVE
    assert "51 of 1000" in many.message
    assert judge("image_coverage", replace(GOOD, silent=50)).outcome is Outcome.PASS


def test_a_class_that_neither_side_finds_is_never_pass() -> None:
    nothing = ClassEvidence(
        name="unicorn", boxes=40, change=0.0, interval=(0.0, 0.0), p=1.0, reason="", found=False
    )
    result = judge("worst_class", replace(GOOD, classes=(*GOOD.classes, nothing)))
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "unicorn" in result.message


def test_a_confidence_takes_resamples() -> None:
    with pytest.raises(ValidationError, match="at least 2000 resamples"):
        MapVarianceParameters(confidence=0.999, resamples=1000)


@pytest.mark.parametrize("p", [None, 0.4])
def test_an_interval_over_few_images_is_never_pass(p: float | None) -> None:
    """Moved alike in each of three images, a class has an interval without width that says nothing."""
    outcome = judge("worst_class", classes(STILL, (-0.0154, (-0.0154, -0.0154), p, 32)))
    assert outcome.outcome is (Outcome.PASS if p else Outcome.INCONCLUSIVE)
    assert p or "32 boxes in fewer than 5 images" in outcome.message


def test_groups_are_not_called_images() -> None:
    """Twelve videos of a hundred frames: what would decide is told in both."""
    frames = frozenset(range(1200))
    grouped = replace(
        GOOD,
        attempted=frames,
        reference_answered=frames,
        candidate_answered=frames,
        units=12,
        ap_difference=0.0,
        ap_interval=(-0.2, 0.2),
    )
    message = judge("map_variance", grouped).message
    needed, several = map(int, re.findall(r"about (\d+) groups like these, some (\d+) images", message)[0])
    assert 12 < needed < 1200 < several == 100 * needed
    alone = judge("map_variance", replace(grouped, units=1200)).message
    assert "groups" not in alone


def test_equal_detections_of_a_class_without_ap_lose_nothing() -> None:
    nothing = ClassEvidence(
        name="unicorn", boxes=2, change=0.0, interval=None, p=None, reason="", found=False, identical=True
    )
    assert judge("worst_class", replace(GOOD, classes=(*GOOD.classes, nothing))).outcome is Outcome.PASS


def test_the_class_behind_the_observed_value_is_named() -> None:
    evidence = classes((-0.3, None, None, 2), (None, None, None, 0))
    result = judge("worst_class", evidence)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert result.observed == pytest.approx(-30)
    assert "class 0 (-30.00 points, too rare)" in result.message
