"""Which of the metrics that rules and policies name a server has, and whether load moves them."""

from __future__ import annotations

import pytest

from parity.load.metrics import ALERTED, NOT_SCRAPED, metrics_seen, wanted_metrics
from parity.serving.evidence import MetricSeen
from parity.serving.gpu import NO_GPU
from parity.serving.prometheus import Scrape, parse
from tests import monitoring
from tests.metrics_text import scrape, with_gpu, written


def test_the_packaged_list_is_what_the_alert_rules_name() -> None:
    """Through recorded rules too: an alert on what Prometheus recorded relies on what that is made of."""
    recorded = {rule.name: rule.expression for rule in monitoring.rules() if not rule.annotations}

    def named(expression: str) -> set[str]:
        names = {name for name, _ in monitoring.selectors(expression)}
        below = [named(recorded[name]) for name in names & set(recorded)]
        return (names - set(recorded) - monitoring.OF_PROMETHEUS).union(*below)

    relied_on: dict[str, set[str]] = {}
    for alert in monitoring.alerts():
        for name in named(alert.expression):
            relied_on.setdefault(name, set()).add(alert.name)
    assert {name: set(alerts) for name, alerts in ALERTED.items()} == relied_on


def test_a_policy_adds_names_and_repeats_none() -> None:
    wanted = wanted_metrics(["nv_inference_count", "nv_inference_request_success"])
    assert wanted["nv_inference_count"] == ["policy"]
    assert wanted["nv_inference_request_success"][-1] == "policy"
    assert set(wanted) == {*ALERTED, "nv_inference_count"}


def looked_at(name: str, *scrapes: Scrape, model: str = "yolo26", version: str = "") -> MetricSeen:
    (found,) = metrics_seen({name: ["policy"]}, scrapes, model=model, version=version)
    return found


SUCCESS = "nv_inference_request_success"
SUMMARY = "nv_inference_request_summary_us"


@pytest.mark.parametrize("name", [SUCCESS, SUMMARY, f"{SUMMARY}_count", "nv_inference_count"])
def test_counters_and_summaries_have_to_move(name: str) -> None:
    still, moving = looked_at(name, scrape(), scrape()), looked_at(name, scrape(), scrape(success=10))
    assert (still.present, still.moved, moving.present, moving.moved) == (True, False, True, True)
    assert "stayed at 9" in still.reason and not moving.reason


@pytest.mark.parametrize(
    "name",
    ["nv_inference_pending_request_count", "nv_inference_request_failure", "nv_cache_num_hits_per_model"],
)
def test_a_gauge_and_a_count_of_what_should_not_happen_need_not_move(name: str) -> None:
    found = looked_at(name, scrape(hits=0), scrape(success=10, hits=0))
    assert (found.present, found.moved) == (True, None)


def test_a_summary_without_a_value_under_load_does_not_move() -> None:
    found = looked_at(SUMMARY, scrape(), scrape(success=10, quantile="NaN"))
    assert (found.moved, found.reason) == (False, "its quantiles had no value under load")
    assert looked_at(SUMMARY, scrape(quantile="NaN"), scrape(success=10)).moved
    midst = [scrape(quantile="NaN"), scrape(success=10), scrape(success=11, quantile="NaN")]
    assert looked_at(SUMMARY, *midst).moved


def test_a_restart_is_movement_too() -> None:
    assert looked_at(SUCCESS, scrape(success=900), scrape(success=9)).moved


def test_what_the_server_does_not_write_is_absent() -> None:
    found = looked_at("nv_inference_exec_duration_us", scrape(), scrape(success=10))
    assert (found.present, found.moved, found.reason) == (False, None, "the server does not write it")


def test_another_models_metric_is_none_of_ours() -> None:
    others = [scrape(), scrape(success=10)]
    assert "not written for this model" in looked_at(SUCCESS, *others, model="rtdetr").reason
    assert not looked_at(SUCCESS, *others, version="2").present
    assert looked_at(SUCCESS, *others, version="1").moved
    both = [
        parse(written(success=ours) + written(success=theirs, model="rtdetr"), where="metrics")
        for ours, theirs in ((9, 9), (9, 50))
    ]
    assert looked_at(SUCCESS, *both).moved is False


def test_a_metric_that_goes_missing_is_not_present() -> None:
    without = parse(written(success=10).replace(SUCCESS, "nv_renamed"), where="metrics")
    found = looked_at(SUCCESS, scrape(), without, scrape(success=11))
    assert (found.present, found.reason) == (False, "not written for this model in 1 of 3 scrapes")


def test_without_a_gpu_its_metrics_cannot_be_there() -> None:
    found = looked_at("nv_gpu_utilization", scrape(), scrape(success=10))
    assert not found.present and found.reason.startswith(NO_GPU)
    assert looked_at("nv_energy_consumption", scrape(), scrape()).reason.startswith(NO_GPU)


def test_with_a_gpu_they_have_to_be() -> None:
    scrapes = [parse(with_gpu(value), where="metrics") for value in ("0.2", "0.2")]
    assert looked_at("nv_gpu_utilization", *scrapes) == MetricSeen(
        name="nv_gpu_utilization", wanted_by=["policy"], present=True, moved=None
    )
    missing = looked_at("nv_gpu_clock", *scrapes)
    assert not missing.present and not missing.reason.startswith(NO_GPU)


@pytest.mark.parametrize("line", ["", "# TYPE nv_inference_request_success untyped\n"])
def test_a_metric_without_a_type_may_have_to_move(line: str) -> None:
    """A counter that stands still must not pass as a gauge because its type is not told."""
    told = "# TYPE nv_inference_request_success counter\n"
    pages = [parse(written(success=n).replace(told, line), where="metrics") for n in (9, 19)]
    found = looked_at(SUCCESS, *pages)
    assert (found.present, found.moved) == (True, False) and "no type" in found.reason


@pytest.mark.parametrize("scrapes", [[], [scrape()], [scrape(), scrape(success=10), scrape(success=20)]])
def test_without_a_scrape_before_and_after_nothing_was_looked_at(scrapes: list[Scrape]) -> None:
    found = metrics_seen(wanted_metrics(), scrapes, model="yolo26", reason="no answer")
    assert {seen.name for seen in found} == set(ALERTED)
    assert not any(seen.present for seen in found)
    assert {seen.reason for seen in found} == {f"{NOT_SCRAPED}: no answer"}
