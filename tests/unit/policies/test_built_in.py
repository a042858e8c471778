"""The policies that parity ships: short, whole, and as the golden table has them."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from parity import policies
from parity.criteria import CRITERIA
from parity.policies.looser import direction, loosenings
from parity.policies.model import KINDS, Requirements
from parity.policies.plan import NOT_MEASURED, PHASES, STANDS_FOR, SUCCESS

GOLDEN = Path("tests/golden/policies.json")
MOST_LINES = 60
CANARY = [phase for phase in PHASES if phase.startswith("canary-")]


def table() -> dict[str, Any]:
    """Every phase's effective criteria and requirements; what the phase before has too is left out."""
    found: dict[str, Any] = {}
    before: dict[str, Any] = {}
    for phase in ("comparison", "rehearsal", *PHASES):
        policy = policies.load(phase)
        criteria = {name: given.model_dump(mode="json") for name, given in policy.criteria.items()}
        kept = {name: given for name, given in criteria.items() if before.get(name) != given}
        found[phase] = {
            "criteria": kept,
            "as before": [name for name in criteria if name not in kept],
            "requires": policy.requires.model_dump(mode="json"),
        }
        before = criteria
    return found


def test_the_effective_policies_are_those_of_the_golden_table(request: pytest.FixtureRequest) -> None:
    text = json.dumps(table(), indent=1) + "\n"
    if request.config.getoption("--update-golden"):
        GOLDEN.write_text(text, "utf-8")
    assert GOLDEN.read_text("utf-8") == text, "if that is meant: pytest --update-golden"


def test_there_is_one_for_every_phase_of_the_plan_and_two_that_stand_apart() -> None:
    assert set(policies.phases()) == {*PHASES, "comparison", "rehearsal"}
    assert [policies.load(phase).phase for phase in policies.phases()] == list(policies.phases())


@pytest.mark.parametrize("phase", policies.phases())
def test_each_is_a_screen_and_says_what_it_is(phase: str) -> None:
    text = resources.files(policies).joinpath(f"{phase}.toml").read_text("utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    assert max(map(len, text.splitlines())) <= 125
    policy = policies.load(phase)
    assert policy.description
    assert not policy.loosened and not policy.notes


@pytest.mark.parametrize("phase", policies.phases())
def test_each_requires_the_evidence_that_its_criteria_need(phase: str) -> None:
    policy = policies.load(phase)
    needed = {CRITERIA[name].needs for name in policy.criteria}
    assert policy.requires.evidence == tuple(kind for kind in KINDS if kind in needed)


@pytest.mark.parametrize("phase", policies.phases())
def test_each_success_criterion_is_judged_or_it_is_said_why_not(phase: str) -> None:
    judged = [name for name in SUCCESS if name in policies.load(phase).criteria]
    assert sorted([*judged, *NOT_MEASURED.get(phase, {})]) == sorted(SUCCESS)
    assert all(NOT_MEASURED.get(phase, {}).values())


def test_all_success_criteria_are_judged_before_the_first_live_request() -> None:
    assert set(SUCCESS) <= set(policies.load("backend").criteria)


def test_every_criterion_stands_for_a_sentence() -> None:
    assert set(STANDS_FOR) == set(CRITERIA)


@pytest.mark.parametrize(("before", "after"), list(zip(list(PHASES)[:-1], list(PHASES)[1:], strict=True)))
def test_no_phase_of_the_plan_is_looser_than_the_one_before(before: str, after: str) -> None:
    assert loosenings(policies.load(before), policies.load(after), before) == ()


@pytest.mark.parametrize("phase", PHASES)
def test_phases_of_the_plan_take_an_engine_and_every_phase_before(phase: str) -> None:
    requires = policies.load(phase).requires
    order = list(PHASES)
    assert requires.tensorrt
    assert list(requires.earlier) == order[: order.index(phase)]
    assert requires.least_images >= 500


@pytest.mark.parametrize("phase", CANARY)
def test_canary_steps_take_time_and_requests(phase: str) -> None:
    requires = policies.load(phase).requires
    assert requires.soak_hours >= 24
    assert requires.soak_requests >= 1000


def test_enough_requests_are_asked_for_to_prove_the_error_rate() -> None:
    from parity.criteria.error_rate import ErrorRateParameters, requests_that_would_pass

    for phase in PHASES:
        policy = policies.load(phase)
        if "error_rate" in policy.criteria:
            given = policy.parameters(ErrorRateParameters, "error_rate")
            assert policy.requires.least_requests >= requests_that_would_pass(
                0, given.limit_percent / 100, given.confidence
            )


LOOSER_WHEN_LOWER = {
    "accuracy_under_load.least_answers", "accuracy_under_load.least_images", "batch_invariance.least_images",
    "box_agreement.confidence", "box_agreement.iou", "box_agreement.limit_percent", "box_agreement.moved_iou",
    "error_rate.confidence", "existing_tests.least_tests", "gpu_utilisation.confidence",
    "gpu_utilisation.least_requests", "gpu_utilisation.least_samples", "map_variance.confidence",
    "map_variance.least_images", "map_variance.resamples", "metrics_available.gpu", "p95_latency.confidence",
    "p95_latency.least_requests", "pseudo_truth.limit_points", "reference_agreement.limit_percent",
    "requires.least_images", "requires.least_requests", "requires.soak_hours", "requires.soak_requests",
    "requires.tensorrt", "rollback_drill.least_images", "throughput.confidence", "throughput.least_requests",
    "worst_class.false_discovery_rate",
}  # fmt: skip
LOOSER_WHEN_HIGHER = {
    "accuracy_under_load.most_noise_pixels", "accuracy_under_load.most_noise_score",
    "batch_invariance.most_noise_pixels", "batch_invariance.most_noise_score", "box_agreement.rescored_by",
    "box_agreement.score", "box_drift.limit_pixels", "confidence_shift.limit", "error_rate.limit_percent",
    "existing_tests.most_skipped", "flip_rate.limit_percent", "gpu_utilisation.least_concurrency",
    "gpu_utilisation.most_failed_percent", "map_variance.limit_percent", "noise_floor.limit_percent",
    "operating_point.limit_points", "p95_latency.limit_ratio", "p95_latency.most_failed_percent",
    "requires.max_age_hours", "rollback_drill.disconnected", "rollback_drill.limit_seconds",
    "rollback_drill.most_noise_pixels", "rollback_drill.most_noise_score", "throughput.limit_percent",
    "throughput.most_failed_percent", "worst_class.limit_points",
}  # fmt: skip


def test_every_parameter_says_which_way_is_looser() -> None:
    models: dict[str, type[BaseModel]] = {name: each.parameters for name, each in CRITERIA.items()}
    models["requires"] = Requirements
    ways: dict[str, set[str]] = {}
    for name, model in models.items():
        for field in model.model_fields:
            ways.setdefault(direction(model, field), set()).add(f"{name}.{field}")
    assert ways == {
        "lower": LOOSER_WHEN_LOWER,
        "higher": LOOSER_WHEN_HIGHER,
        "fewer": {
            "metrics_available.metrics",
            "p95_latency.concurrencies",
            "throughput.concurrencies",
            "requires.evidence",
            "requires.earlier",
        },
        # Where production runs is no matter of strictness, and the run file sets it.
        "neither": {"operating_point.score"},
    }
