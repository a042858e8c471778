"""Criteria of serving: no data, one request, damaged numbers, a missing side, unequal loads, on the limit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from parity.criteria import CRITERIA, CriterionResult, Outcome, PairEvidence
from parity.criteria.error_rate import requests_that_would_pass
from parity.criteria.metrics_available import MetricsAvailableParameters
from parity.criteria.p95_latency import P95LatencyParameters
from parity.serving.evidence import (
    Deviation,
    DrillStep,
    GpuUse,
    LoadStep,
    ServingEvidence,
    SideName,
    Value,
)
from parity.statistics import binomial_upper_bound
from tests import serving_samples as good

SERVING = sorted(name for name, criterion in CRITERIA.items() if criterion.needs in ("serving", "drill"))
LOAD_RATIOS = ["p95_latency", "throughput"]
SIDES: tuple[SideName, SideName] = ("reference", "candidate")
PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE


def judge(name: str, serving: ServingEvidence, **parameters: Any) -> CriterionResult:
    criterion = CRITERIA[name]
    return criterion.judge(PairEvidence.of_serving(serving), criterion.parameters(**parameters))


def spoilt(change: Callable[[LoadStep], dict[str, Any] | None]) -> ServingEvidence:
    """Good evidence with some fields of some steps changed, or, for None, with the step left out."""
    changes = [(step, change(step)) for step in good.steps()]
    return good.serving(steps=[s.model_copy(update=c) for s, c in changes if c is not None])


def at(side: SideName, concurrency: int, **changes: Any) -> ServingEvidence:
    return spoilt(lambda step: changes if (step.side, step.concurrency) == (side, concurrency) else {})


def test_there_are_nine_and_the_sets_do_not_overlap() -> None:
    assert SERVING == [
        "accuracy_under_load", "batch_invariance", "error_rate", "gpu_utilisation", "ledger_reconciles",
        "metrics_available", "p95_latency", "rollback_drill", "throughput",
    ]  # fmt: skip
    assert {criterion.needs for criterion in CRITERIA.values()} == {"answers", "serving", "drill", "tests"}


@pytest.mark.parametrize("name", SERVING)
def test_evidence_without_anything_is_never_pass(name: str) -> None:
    empty = good.serving(
        steps=[], metrics=[], reconciliation=None, batches=None, under_load=[], drill=None, images=0
    )
    result = judge(name, empty)
    assert result.outcome is INCONCLUSIVE
    assert result.observed is None
    assert result.message.endswith(".")


@pytest.mark.parametrize("name", ["p95_latency", "throughput", "error_rate"])
def test_one_request_is_never_pass(name: str) -> None:
    one = {"sent": 1, "ok": 1, "latency": good.latency(10.0, n=1)}
    assert judge(name, spoilt(lambda step: one)).outcome is INCONCLUSIVE


@pytest.mark.parametrize("side", ["reference", "candidate"])
@pytest.mark.parametrize("name", [*LOAD_RATIOS, "gpu_utilisation", "accuracy_under_load"])
def test_a_missing_side_is_never_pass(name: str, side: SideName) -> None:
    other: SideName = "candidate" if side == "reference" else "reference"
    evidence = spoilt(lambda step: None if step.side == side else {}).model_copy(
        update={"under_load": [good.under_load(other)]}
    )
    result = judge(name, evidence)
    assert result.outcome is INCONCLUSIVE
    assert side in result.message


@pytest.mark.parametrize("name", [*LOAD_RATIOS, "gpu_utilisation"])
def test_loads_that_only_one_side_had_are_named(name: str) -> None:
    evidence = spoilt(lambda step: None if (step.side, step.concurrency) == ("candidate", 4) else {})
    result = judge(name, evidence)
    assert result.outcome is INCONCLUSIVE
    assert "4 at a time" in result.message


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_no_evidence(poison: float) -> None:
    for build in (
        lambda: Value(value=poison),
        lambda: GpuUse(source="nvml", samples=1, mean=poison, max=0.5),
        lambda: Deviation(score=poison, box_pixels=0, lowest_iou=None, where=""),
        lambda: DrillStep(name="switch off", seconds=poison, ok=True, message=""),
        lambda: good.batches(noise_score=poison),
        lambda: good.drill(noise_pixels=poison),
    ):
        with pytest.raises(ValidationError):
            build()


# Ratios under load.


@pytest.mark.parametrize("name", LOAD_RATIOS)
def test_a_faster_candidate_passes_and_the_worst_load_is_told(name: str) -> None:
    result = judge(name, good.serving())
    assert result.outcome is PASS
    assert result.observed == pytest.approx(0.5 if name == "p95_latency" else 2.0, rel=0.03)
    assert result.interval is not None
    assert result.interval[0] < (result.observed or 0) < result.interval[1]
    assert result.n == 30 * good.ANSWERS


@pytest.mark.parametrize("name", LOAD_RATIOS)
def test_a_slower_candidate_fails_at_one_load_alone(name: str) -> None:
    slow = at("candidate", 4, latency=good.latency(30.0), throughput=Value(value=60.0))
    result = judge(name, slow)
    assert result.outcome is FAIL
    assert "4 at a time" in result.message
    assert "1 at a time" not in result.message


@pytest.mark.parametrize("name", LOAD_RATIOS)
def test_a_candidate_that_is_slower_by_chance_is_inconclusive(name: str) -> None:
    """Its ratio goes up and down from turn to turn, around a little over the limit."""

    def shaky(step: LoadStep) -> dict[str, Any]:
        pace = 1.01 + 0.05 * (step.turn - 1) if step.side == "candidate" else 1.0
        return {"latency": good.latency(20 * pace), "throughput": Value(value=100 / pace)}

    result = judge(name, spoilt(shaky))
    assert result.outcome is INCONCLUSIVE
    assert "more turns" in result.message


@pytest.mark.parametrize("name", LOAD_RATIOS)
def test_exactly_on_the_limit_is_not_above_and_not_below(name: str) -> None:
    same = {"latency": good.latency(20.0), "throughput": Value(value=100.0)}
    result = judge(name, spoilt(lambda step: same))
    assert result.observed == 1.0
    assert result.outcome is PASS


def test_the_policy_may_allow_some_loss() -> None:
    loss = at("candidate", 4, throughput=Value(value=95.0)).model_copy()
    level = spoilt(lambda s: {"throughput": Value(value=95.0 if s.side == "candidate" else 100.0)})
    assert judge("throughput", level).outcome is FAIL
    assert judge("throughput", level, limit_percent=5).outcome is PASS
    assert judge("throughput", loss, limit_percent=90).outcome is PASS
    slower = spoilt(lambda s: {"latency": good.latency(21.0 if s.side == "candidate" else 20.0)})
    assert judge("p95_latency", slower).outcome is FAIL
    assert judge("p95_latency", slower, limit_ratio=1.05).outcome is PASS


@pytest.mark.parametrize("name", LOAD_RATIOS)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stable": False, "stability": "it rose all the time"}, "it rose all the time"),
        (
            {"latency": None, "throughput": None, "ok": 0, "failed": {"unavailable": 9}},
            "nothing was answered",
        ),
        ({"latency": good.latency(10, n=199)}, "199 answers"),
        ({"ok": 980, "failed": {"deadline": 20}}, "20 of 1000 requests failed"),
        ({"ok": None, "sent": None}, "not known"),
    ],
)
def test_a_step_that_cannot_be_relied_on_is_never_pass(
    name: str, changes: dict[str, Any], words: str
) -> None:
    result = judge(name, at("candidate", 4, **changes))
    assert result.outcome is INCONCLUSIVE
    assert words in result.message
    assert "candidate, 4 at a time, turn 0" in result.message


@pytest.mark.parametrize("name", LOAD_RATIOS)
def test_the_step_with_most_failures_is_named_before_one_without_rest(name: str) -> None:
    restless = {"stable": False, "stability": "not stable after 8.0 s"}
    dead = {**restless, "latency": None, "throughput": None, "ok": 0, "failed": {"timeout": 1, "refused": 99}}

    def died_at_eight(step: LoadStep) -> dict[str, Any]:
        if step.side == "candidate" or step.concurrency not in (2, 8):
            return {}
        return dead if step.concurrency == 8 and step.turn == 1 else restless

    result = judge(name, spoilt(died_at_eight))
    assert "6 of 30 steps cannot be relied on; the worst, reference, 8 at a time, turn 1" in result.message
    assert "nothing was answered (99 refused, 1 timeout)" in result.message
    half = {**restless, "ok": 500, "failed": {"refused": 500}}
    assert "500 of 1000 requests failed (500 refused)" in judge(name, at("candidate", 4, **half)).message


@pytest.mark.parametrize("name", LOAD_RATIOS)
def test_which_load_the_observed_ratio_is_of_is_told(name: str) -> None:
    slow = {"latency": good.latency(90.0), "throughput": Value(value=1.0)}
    assert (
        "Observed: with 8 at a time, of 5 loads the worst." in judge(name, at("candidate", 8, **slow)).message
    )


@pytest.mark.parametrize("name", LOAD_RATIOS)
def test_one_turn_alone_has_no_interval(name: str) -> None:
    result = judge(name, spoilt(lambda step: {} if step.turn == 0 else None))
    assert result.outcome is INCONCLUSIVE
    assert result.interval is None
    assert result.observed is not None


@pytest.mark.parametrize("name", LOAD_RATIOS)
def test_bare_tensors_do_not_compare(name: str) -> None:
    result = judge(name, good.serving(work="tensor"))
    assert result.outcome is INCONCLUSIVE
    assert "tensors" in result.message


def test_an_open_loop_tells_latency_and_no_throughput() -> None:
    def beside(**candidate: Any) -> ServingEvidence:
        opened = [
            good.load_step(side, None, turn, **(candidate if side == "candidate" else {}))
            for turn in range(3)
            for side in ("reference", "candidate")
        ]
        return good.serving(steps=[*good.steps(), *opened])

    assert judge("p95_latency", beside()).outcome is PASS
    slow = beside(latency=good.latency(90.0), throughput=Value(value=1.0))
    result = judge("p95_latency", slow)
    assert result.outcome is FAIL
    assert "100/s, poisson" in result.message
    assert judge("throughput", slow).outcome is PASS


@pytest.mark.parametrize("name", LOAD_RATIOS)
def test_every_concurrency_of_the_policy_has_to_be_there(name: str) -> None:
    some = spoilt(lambda step: {} if step.concurrency in (1, 2, 8) else None)
    result = judge(name, some)
    assert result.outcome is INCONCLUSIVE
    assert "asks for 4, 16 at a time" in result.message
    assert judge(name, some, concurrencies=(1, 2)).outcome is PASS, "8 is judged too"
    slow_at_eight = spoilt(
        lambda step: (
            {"latency": good.latency(90.0), "throughput": Value(value=1.0)}
            if (step.side, step.concurrency) == ("candidate", 8)
            else {}
        )
    )
    assert judge(name, slow_at_eight, concurrencies=(1, 2)).outcome is FAIL
    opened = [good.load_step(side, None, turn) for turn in range(3) for side in SIDES]
    result = judge(name, good.serving(steps=opened))
    assert result.outcome is INCONCLUSIVE and "Nothing was measured" not in result.message
    assert "closed ones (`--concurrency`)" in judge("throughput", good.serving(steps=opened)).message


def test_a_policy_without_any_concurrency_is_a_mistake() -> None:
    for wrong in ((), (0,)):
        with pytest.raises(ValidationError):
            P95LatencyParameters(concurrencies=wrong)


def test_equal_paths_seldom_fail() -> None:
    """Where chance alone makes the turns differ, 5 % of runs may fail; by bounds of single loads 22 % do."""
    rng = np.random.default_rng(5)
    template = good.steps()

    def outcome() -> Outcome:
        paces = np.exp(0.03 * rng.standard_normal(len(template)))
        varied = [
            step.model_copy(update={"latency": good.latency(20 * pace)})
            for step, pace in zip(template, paces, strict=True)
        ]
        return judge("p95_latency", good.serving(steps=varied)).outcome

    outcomes = [outcome() for _ in range(300)]
    assert 0 < outcomes.count(FAIL) / len(outcomes) < 0.08


# Errors.


def of_errors(ok: int, **failed: int) -> ServingEvidence:
    sent = ok + sum(failed.values())
    return good.serving(
        steps=[good.load_step("candidate", sent=sent, ok=ok, failed=failed), good.load_step("reference")]
    )


def test_three_thousand_requests_without_an_error_are_needed() -> None:
    assert requests_that_would_pass(0, 0.001, 0.95) == 2995
    assert judge("error_rate", of_errors(2995)).outcome is PASS
    almost = judge("error_rate", of_errors(2994))
    assert almost.outcome is INCONCLUSIVE
    assert "about 1 more requests" in almost.message
    assert "about 1,995 more requests" in judge("error_rate", of_errors(1000)).message


@pytest.mark.parametrize("failures", [0, 1, 7, 100])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_the_number_that_would_pass_is_the_least(failures: int, confidence: float) -> None:
    needed = requests_that_would_pass(failures, 0.001, confidence)
    assert binomial_upper_bound(failures, needed, confidence) < 0.001
    assert binomial_upper_bound(failures, needed - 1, confidence) >= 0.001


def test_errors_at_the_limit_fail_and_are_counted_by_reason() -> None:
    result = judge("error_rate", of_errors(9990, unavailable=7, deadline=3))
    assert result.outcome is FAIL
    assert result.observed == pytest.approx(0.1)
    assert "failed (7 unavailable, 3 deadline), " in result.message


def test_errors_under_the_limit_take_more_requests() -> None:
    result = judge("error_rate", of_errors(4000, deadline=1))
    assert result.outcome is INCONCLUSIVE
    assert judge("error_rate", of_errors(20_000, deadline=1)).outcome is PASS


def test_what_was_not_sent_counts_as_failed() -> None:
    unsent = good.load_step("candidate", sent=5000, ok=4000, failed={"not-sent": 1000})
    result = judge("error_rate", good.serving(steps=[unsent]))
    assert result.outcome is FAIL
    assert result.observed == pytest.approx(20)


@pytest.mark.parametrize(("sent", "ok", "failed"), [(10, 5000, 0), (5000, 4000, 0), (5000, 5000, 1)])
def test_requests_and_ends_that_do_not_add_up_show_nothing(sent: int, ok: int, failed: int) -> None:
    step = good.load_step("candidate", sent=sent, ok=ok, failed={"deadline": failed})
    result = judge("error_rate", good.serving(steps=[step]))
    assert result.outcome is INCONCLUSIVE
    assert f"{sent} sent and {ok + failed} ended" in result.message


@pytest.mark.parametrize("decoded", [None, 0, 1500, 14_999])
def test_answers_that_nobody_decoded_are_never_pass(decoded: int | None) -> None:
    """Of 15,000 answers one in ten was looked at, as with bare tensors: the others may be none."""
    step = good.load_step("candidate", sent=15_000, ok=15_000, checked=decoded)
    result = judge("error_rate", good.serving(steps=[step]))
    assert result.outcome is INCONCLUSIVE
    assert f"{decoded or 0} of 15000" in result.message
    failing = good.load_step("candidate", sent=15_000, ok=14_900, failed={"bad-answer": 100}, checked=decoded)
    assert judge("error_rate", good.serving(steps=[failing])).outcome is FAIL, "what failed is known"


def test_the_references_errors_are_told_and_not_judged() -> None:
    result = judge("error_rate", at("reference", 4, ok=0, failed={"http-503": 1000}))
    assert result.outcome is PASS
    assert "3000 of the reference's 15,000 (3000 http-503)" in result.message


def test_of_many_reasons_the_commonest_are_named() -> None:
    result = judge("error_rate", of_errors(9000, a=1, b=2, c=400, d=5))
    assert "(400 c, 5 d, 2 b, 1 of other reasons)" in result.message


def test_imported_steps_without_counts_show_no_error_rate() -> None:
    result = judge("error_rate", at("candidate", 4, sent=None, ok=None))
    assert result.outcome is INCONCLUSIVE
    assert "not known" in result.message


# GPU.


def of_gpu(side: SideName, concurrency: int, **changes: Any) -> ServingEvidence:
    fields = {"source": "nvml", "samples": 20, "mean": 0.5, "max": 0.9, "reason": "", **changes}
    return at(side, concurrency, gpu=GpuUse(**fields))


def test_one_request_at_a_time_is_no_concurrency() -> None:
    result = judge("gpu_utilisation", good.serving())
    assert result.outcome is PASS
    assert result.n == 12, "four pairs of steps a turn"
    assert judge("gpu_utilisation", of_gpu("candidate", 1, mean=0.0)).outcome is PASS


def gpus(*candidate: float, reference: float = 0.3) -> ServingEvidence:
    """The candidate's mean utilisation in each turn, at every load."""

    def change(step: LoadStep) -> dict[str, Any] | None:
        if step.turn >= len(candidate):
            return None
        mean = reference if step.side == "reference" else candidate[step.turn]
        return {"gpu": GpuUse(source="nvml", samples=20, mean=mean, max=0.95)}

    return spoilt(change)


def test_a_gpu_that_is_not_busier_fails() -> None:
    assert judge("gpu_utilisation", gpus(0.2, 0.21, 0.2)).outcome is FAIL
    assert judge("gpu_utilisation", gpus(0.3, 0.3, 0.3)).outcome is FAIL, "the same is not higher"


@pytest.mark.parametrize(
    ("means", "outcome"),
    [
        ((0.9, 0.9, 0.29), INCONCLUSIVE),
        ((0.301, 0.299, 0.303), INCONCLUSIVE),
        ((0.2, 0.4, 0.2), INCONCLUSIVE),
        ((0.5, 0.51, 0.5), PASS),
        ((0.301, 0.301), PASS),
    ],
)
def test_a_gain_that_may_be_chance_is_no_gain(means: tuple[float, ...], outcome: Outcome) -> None:
    result = judge("gpu_utilisation", gpus(*means))
    assert result.outcome is outcome
    assert result.interval is not None
    assert (result.interval[0] > 0) is (outcome is PASS)


def test_one_turn_shows_no_gain() -> None:
    result = judge("gpu_utilisation", gpus(0.9))
    assert result.outcome is INCONCLUSIVE
    assert "1 turn" in result.message


def test_a_load_at_which_the_gpu_is_less_busy_is_named() -> None:
    result = judge("gpu_utilisation", of_gpu("candidate", 4, mean=0.2))
    assert result.outcome is INCONCLUSIVE
    assert "not higher with 4 at a time" in result.message


@pytest.mark.parametrize("side", ["reference", "candidate"])
def test_a_step_that_is_there_twice_hides_none(side: SideName) -> None:
    damaged = good.load_step(side, 4, gpu=GpuUse(source="nvml", samples=20, mean=55.0, max=55.0))
    result = judge("gpu_utilisation", good.serving(steps=[damaged, *good.steps()]))
    assert result.outcome is INCONCLUSIVE
    assert f"There twice: {side}, 4 at a time, turn 0" in result.message


def test_a_turn_without_a_load_is_no_turn() -> None:
    result = judge("gpu_utilisation", spoilt(lambda s: None if (s.concurrency, s.turn) == (8, 1) else {}))
    assert result.outcome is INCONCLUSIVE
    assert "every load" in result.message


def test_a_gpu_kept_busy_by_failures_shows_nothing() -> None:
    failing = {"ok": 0, "failed": {"unavailable": 1000}, "latency": None, "throughput": None}
    result = judge("gpu_utilisation", at("candidate", 4, **failing))
    assert result.outcome is INCONCLUSIVE
    assert "nothing was answered" in result.message
    assert judge("gpu_utilisation", at("candidate", 4, stable=False)).outcome is INCONCLUSIVE


@pytest.mark.parametrize(("source", "seconds", "enough"), [
    ("nv_gpu_utilization", 9.9, False), ("nv_gpu_utilization", 10.0, True),
    ("nvml", 4.9, False), ("nvml", 5.0, True), ("nvml", None, False),
])  # fmt: skip
def test_readings_of_one_value_are_one_reading(source: Any, seconds: float | None, enough: bool) -> None:
    """Triton has a new value every two seconds, NVML every second, however often they are asked."""

    def change(step: LoadStep) -> dict[str, Any]:
        mean = 0.3 if step.side == "reference" else 0.6
        return {"seconds": seconds, "gpu": GpuUse(source=source, samples=40, mean=mean, max=0.9)}

    result = judge("gpu_utilisation", spoilt(change))
    assert result.outcome is (PASS if enough else INCONCLUSIVE)
    assert enough or "different ones" in result.message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "none", "samples": 0, "mean": None, "max": None, "reason": "no driver"}, "no driver"),
        ({"mean": 55.0}, "damaged, a utilisation of 55.0"),
        ({"mean": 0.5, "max": 1.01}, "damaged"),
        ({"mean": -0.1}, "damaged"),
        ({"mean": None, "max": None, "reason": "3 values outside 0 to 1"}, "3 values outside"),
        ({"samples": 4}, "4 readings"),
    ],
)
@pytest.mark.parametrize("side", ["reference", "candidate"])
def test_a_gpu_that_is_not_known_is_never_pass(side: SideName, changes: dict[str, Any], words: str) -> None:
    result = judge("gpu_utilisation", of_gpu(side, 4, **changes))
    assert result.outcome is INCONCLUSIVE
    assert words in result.message


# Metrics.


def without_gpu(**changes: Any) -> ServingEvidence:
    nothing = GpuUse(source="none", samples=0, mean=None, max=None, reason="no GPU")
    return spoilt(lambda step: {"gpu": nothing}).model_copy(update=changes)


def test_a_missing_metric_and_one_that_stands_still_fail() -> None:
    for spoiled in (
        good.metric("nv_inference_queue_duration_us", present=False, moved=None),
        good.metric("nv_inference_queue_duration_us", moved=False),
    ):
        result = judge("metrics_available", good.serving(metrics=[*good.serving().metrics, spoiled]))
        assert result.outcome is FAIL
        assert "nv_inference_queue_duration_us" in result.message
        assert result.observed == 1


def test_metrics_that_nobody_read_show_nothing() -> None:
    unread = good.metric("nv_inference_count", present=False, moved=None, reason="not scraped: refused")
    result = judge("metrics_available", good.serving(metrics=[unread]))
    assert result.outcome is INCONCLUSIVE
    assert "refused" in result.message


def test_a_metric_that_need_not_move_passes() -> None:
    still = good.metric("nv_inference_request_failure", moved=None)
    assert judge("metrics_available", good.serving(metrics=[still])).outcome is PASS


def test_metrics_of_a_gpu_are_missing_for_want_of_one() -> None:
    missing = good.metric("nv_gpu_utilization", present=False, moved=None)
    result = judge("metrics_available", without_gpu(metrics=[good.metric("nv_inference_count"), missing]))
    assert result.outcome is INCONCLUSIVE
    assert "nv_gpu_utilization" in result.message
    assert judge("metrics_available", good.serving(metrics=[missing])).outcome is FAIL, "there is a GPU"
    other = good.metric("nv_inference_count", present=False, moved=None)
    assert judge("metrics_available", without_gpu(metrics=[missing, other])).outcome is FAIL


def test_a_phase_without_a_gpu_does_not_ask_for_its_metrics() -> None:
    gpu = good.metric("nv_gpu_utilization", present=False, moved=None, reason="no GPU: none is written")
    still = good.metric("nv_inference_count", moved=False)
    there = good.metric("nv_inference_count")

    def outcome(evidence: ServingEvidence) -> Outcome:
        parameters = MetricsAvailableParameters(gpu=False)
        return CRITERIA["metrics_available"].judge(PairEvidence.of_serving(evidence), parameters).outcome

    assert outcome(without_gpu(metrics=[there, gpu])) is PASS
    assert outcome(without_gpu(metrics=[still, gpu])) is FAIL
    assert outcome(without_gpu(metrics=[gpu])) is INCONCLUSIVE, "nothing was looked for"
    assert outcome(good.serving(metrics=[there, gpu])) is FAIL, "there is a GPU"


@pytest.mark.parametrize(
    ("reason", "use", "outcome"),
    [
        ("no GPU: the server writes no metric of one", {}, PASS),
        ("not written for this model in 1 of 3 scrapes", {}, INCONCLUSIVE),
        ("no GPU: the server writes no metric of one",
         {"source": "nv_gpu_utilization", "reason": "nv_gpu_utilization is 95"}, INCONCLUSIVE),
        ("no GPU: the server writes no metric of one",
         {"source": "nvml", "samples": 3, "mean": 0.5, "max": 0.5}, FAIL),
    ],
)  # fmt: skip
def test_only_a_gpu_that_surely_is_not_there_is_forgiven(
    reason: str, use: dict[str, Any], outcome: Outcome
) -> None:
    gpu = good.metric("nv_gpu_utilization", present=False, moved=None, reason=reason)
    fields = {"source": "none", "samples": 0, "mean": None, "max": None, "reason": "no GPU", **use}
    evidence = spoilt(lambda step: {"gpu": GpuUse(**fields)}).model_copy(
        update={"metrics": [good.metric("nv_inference_count"), gpu]}
    )
    assert judge("metrics_available", evidence, gpu=False).outcome is outcome
    assert judge("metrics_available", evidence).outcome is not PASS


def test_without_steps_nothing_is_known_of_a_gpu() -> None:
    gpu = good.metric("nv_gpu_utilization", present=False, moved=None, reason="no GPU: none")
    evidence = good.serving(steps=[], metrics=[good.metric("nv_inference_count"), gpu])
    assert judge("metrics_available", evidence, gpu=False).outcome is INCONCLUSIVE


def test_a_metric_that_the_policy_names_has_to_be_looked_for() -> None:
    named = ("nv_inference_exec_count",)
    result = judge("metrics_available", good.serving(), metrics=named)
    assert result.outcome is INCONCLUSIVE
    assert named[0] in result.message
    there = good.serving(metrics=[*good.serving().metrics, good.metric(named[0])])
    assert judge("metrics_available", there, metrics=named).outcome is PASS
    with pytest.raises(ValidationError):
        MetricsAvailableParameters(metrics=("no name",))


def test_a_server_that_writes_no_metric_of_a_gpu_has_shown_none() -> None:
    source = GpuUse(source="nv_gpu_utilization", samples=0, mean=None, max=None, reason="no GPU")
    seen = spoilt(lambda step: {"gpu": source}).model_copy(
        update={"metrics": [good.metric("nv_gpu_utilization", present=False, moved=None)]}
    )
    assert judge("metrics_available", seen).outcome is INCONCLUSIVE


# Batches.


@pytest.mark.parametrize(
    ("changes", "outcome", "words"),
    [
        ({"differing": 3, "differing_images": ["b.jpg"]}, FAIL, "b.jpg"),
        ({"differing": 3, "differing_images": ["b.jpg"], "reason": "also"}, FAIL, "row 1"),
        ({"failed": 2, "reason": "a batch of 8: refused"}, FAIL, "a batch of 8: refused"),
        ({"reason": "a.jpg: unreadable"}, INCONCLUSIVE, "unreadable"),
        ({"images": 3}, INCONCLUSIVE, "at least 4 images"),
        ({"checks": 0, "largest": None}, INCONCLUSIVE, "images are needed"),
        ({"concurrent": 0}, INCONCLUSIVE, "at the same time"),
        ({"formed": None}, INCONCLUSIVE, "not known"),
        ({"formed": {1: 64}}, INCONCLUSIVE, "put no concurrent requests together"),
        ({"formed": {}}, INCONCLUSIVE, "put no concurrent requests together"),
        ({"formed": {1: 64, 8: 0}}, INCONCLUSIVE, "put no concurrent requests together"),
        ({"formed": None, "max_batch": 1, "places": 1, "places_seen": 1}, PASS, "within noise"),
        ({"formed": None, "max_batch": 0, "sizes": []}, INCONCLUSIVE, "batches of 1"),
        ({"sizes": []}, INCONCLUSIVE, "batches of 1, 2, 3, 4, 5 and 3 more"),
        ({"sizes": [1, 2, 3, 4, 5, 6, 8]}, INCONCLUSIVE, "batches of 7"),
        ({"max_batch": 16}, INCONCLUSIVE, "batches of 15, 16"),
        ({"max_batch": 16, "sizes": [*range(1, 9), 15, 16]}, PASS, "within noise"),
        ({"places_seen": 35}, INCONCLUSIVE, "35 of 36 places"),
        ({"places": 35, "places_seen": 35}, INCONCLUSIVE, "35 of 36 places"),
        ({"places": 0, "places_seen": 0}, INCONCLUSIVE, "0 of 36 places"),
        ({"checks": 99, "concurrent": 64}, INCONCLUSIVE, "35 answers"),
        ({"checks": 1, "concurrent": 1}, INCONCLUSIVE, "0 answers"),
        ({"detections": 0}, INCONCLUSIVE, "no detection"),
        ({"noise_score": 0.011}, INCONCLUSIVE, "too much"),
        ({"noise_pixels": 1.1, "differing": 9}, INCONCLUSIVE, "too much"),
        ({"noise_score": 0.01, "noise_pixels": 1.0}, PASS, "within noise"),
        ({"images": 4}, PASS, "4 images"),
    ],
)
def test_batches(changes: dict[str, Any], outcome: Outcome, words: str) -> None:
    result = judge("batch_invariance", good.serving(batches=good.batches(**changes)))
    assert result.outcome is outcome
    assert words in result.message


# Under load.


@pytest.mark.parametrize(
    ("side", "changes", "outcome", "words"),
    [
        ("candidate", {"differing": 1, "differing_images": ["b.jpg"]}, FAIL, "b.jpg"),
        ("reference", {"differing": 1, "differing_images": ["b.jpg"]}, INCONCLUSIVE, "b.jpg"),
        ("candidate", {"compared": 29}, INCONCLUSIVE, "29 answers"),
        ("candidate", {"compared": 30}, PASS, "30 answers"),
        ("candidate", {"images": 1}, INCONCLUSIVE, "1 images, 10 are needed"),
        ("reference", {"images": 9}, INCONCLUSIVE, "9 images"),
        ("candidate", {"images": 10}, PASS, "10 images"),
        ("candidate", {"detections": 0}, INCONCLUSIVE, "the candidate's quiet answers hold no detection"),
        ("reference", {"detections": 0}, INCONCLUSIVE, "the reference's quiet answers hold no detection"),
        ("candidate", {"compared": 0, "images": 0, "largest": None}, INCONCLUSIVE, "0 answers"),
        ("candidate", {"uncompared": ["c.jpg"]}, INCONCLUSIVE, "c.jpg"),
        ("reference", {"uncompared": ["c.jpg"], "reason": "no answer"}, INCONCLUSIVE, "no answer"),
        ("candidate", {"failed": 5}, PASS, "5 more failed"),
        ("candidate", {"noise_pixels": 3.0, "differing": 1}, INCONCLUSIVE, "two quiet runs"),
    ],
)
def test_under_load(side: SideName, changes: dict[str, Any], outcome: Outcome, words: str) -> None:
    sides: list[SideName] = ["reference", "candidate"]
    found = [good.under_load(each, **(changes if each == side else {})) for each in sides]
    result = judge("accuracy_under_load", good.serving(under_load=found))
    assert result.outcome is outcome
    assert words in result.message


def test_a_side_that_is_there_twice_is_never_pass() -> None:
    twice = [good.under_load("candidate", differing=5), good.under_load("candidate")]
    assert judge("accuracy_under_load", good.serving(under_load=twice)).outcome is INCONCLUSIVE


# The ledger.


@pytest.mark.parametrize(
    ("changes", "outcome", "words"),
    [
        ({"unexplained": ["5 requests that only the server counted"]}, FAIL, "only the server"),
        ({"resets": ["nv_inference_count"]}, INCONCLUSIVE, "began anew"),
        ({"resets": ["nv_inference_count"], "unexplained": ["6000"]}, INCONCLUSIVE, "began anew"),
        ({"cache_hits": 1}, INCONCLUSIVE, "cache"),
        ({"cache_hits": 1, "unexplained": ["x"]}, FAIL, "x"),
        ({"reason": "no scrape"}, INCONCLUSIVE, "no scrape"),
        ({"server_success": None}, INCONCLUSIVE, "did not tell"),
        ({"client_requests": 0, "client_ok": 0, "server_success": 0}, INCONCLUSIVE, "no request"),
        ({"server_success": 5999}, FAIL, "5999 by the server"),
        ({"client_ok": 5999}, FAIL, "5999 ended"),
        ({"server_success": 6009, "explained": ["9 warm-up requests"]}, PASS, "9 warm-up"),
        ({"client_ok": 5990, "client_failed": {"x": 10}, "server_success": 5990}, PASS, "5,990"),
    ],
)
def test_ledger(changes: dict[str, Any], outcome: Outcome, words: str) -> None:
    result = judge("ledger_reconciles", good.serving(reconciliation=good.reconciliation(**changes)))
    assert result.outcome is outcome
    assert words in result.message


# The drill.


def steps_of_drill(**changes: Any) -> list[DrillStep]:
    return [
        step.model_copy(update=changes if step.name == "answers go on" else {}) for step in good.drill().steps
    ]


@pytest.mark.parametrize(
    ("changes", "outcome", "words"),
    [
        ({}, PASS, "3.0 s after the switch"),
        ({"removal": "disconnected"}, INCONCLUSIVE, "was not killed"),
        ({"removal": None}, INCONCLUSIVE, "nobody saw"),
        ({"detections": 0}, INCONCLUSIVE, "no detection"),
        ({"noise_score": None}, INCONCLUSIVE, "not known"),
        ({"noise_pixels": None}, INCONCLUSIVE, "not known"),
        ({"noise_score": 0.95}, INCONCLUSIVE, "0.95 in score"),
        ({"noise_pixels": 1.1}, INCONCLUSIVE, "1.1 pixels"),
        ({"noise_score": 0.01, "noise_pixels": 1.0}, PASS, "its server killed"),
        ({"steps": []}, INCONCLUSIVE, "No rollback"),
        ({"steps": steps_of_drill(ok=False, message="2 differ")}, FAIL, "2 differ"),
        ({"steps": good.drill().steps[:-1]}, INCONCLUSIVE, "lacks: candidate answers again"),
        ({"steps": good.drill().steps[::-1]}, INCONCLUSIVE, "in their order"),
        ({"unanswered": 1}, FAIL, "1 answers did not come"),
        ({"unequal": 1}, FAIL, "1 differed"),
        ({"images": 4}, INCONCLUSIVE, "5 are needed"),
        ({"images": 0}, INCONCLUSIVE, "5 are needed"),
        ({"steps": steps_of_drill(seconds=58.5)}, PASS, "60.0 s"),
        ({"steps": steps_of_drill(seconds=58.6)}, FAIL, "limit 60 s"),
    ],
)
def test_drill(changes: dict[str, Any], outcome: Outcome, words: str) -> None:
    result = judge("rollback_drill", good.serving(drill=good.drill(**changes)))
    assert result.outcome is outcome
    assert words in result.message


def test_a_policy_may_let_a_lost_connection_do() -> None:
    lost = good.serving(drill=good.drill(removal="disconnected"))
    result = judge("rollback_drill", lost, disconnected=True)
    assert result.outcome is PASS
    assert "its server left alone" in result.message
    assert judge(
        "rollback_drill", good.serving(drill=good.drill(removal=None)), disconnected=True
    ).outcome is (INCONCLUSIVE)


@pytest.mark.parametrize("build", [good.batches, good.drill])
def test_noise_under_zero_is_no_evidence(build: Callable[..., Any]) -> None:
    for name in ("noise_score", "noise_pixels"):
        with pytest.raises(ValidationError):
            build(**{name: -1.0})
