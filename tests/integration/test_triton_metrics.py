"""The rules and the dashboard on what a real Triton writes: every name, every label, and what fires."""

from __future__ import annotations

import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import promql_parser
import pytest
import yaml

from parity.repository.config_pbtxt import derive_embedded, parse
from parity.repository.export import export_onnx
from parity.serving.environment import prepare
from parity.serving.triton import EmbeddedTriton, ServedModel
from tests import monitoring, replay
from tests.integration import helpers
from tests.monitoring import NOT_IN_A_SCRAPE_HERE, needs_promtool
from tests.replay import Scrape, continued

pytestmark = pytest.mark.integration

P95 = {"model": "yolo26", "version": "1", "quantile": "0.95"}
SUMMARY = "nv_inference_request_summary_us"
SUCCESSES = "nv_inference_request_success"
FAILURES = "nv_inference_request_failure"
REASONS = {"REJECTED", "CANCELED", "BACKEND", "OTHER"}
COUNT = 4
WARM_UP = 1 + 8


@dataclass(frozen=True)
class Scrapes:
    """Of one server, each after `COUNT` more requests of a kind; and the last as it was written.

    started: none but warm-up. served: answered. refused: of a batch over the greatest. errors: answered with
    an error by the network's code. rejected: those that waited in the queue for longer than they allow.
    """

    started: Scrape
    served: Scrape
    refused: Scrape
    errors: Scrape
    rejected: Scrape
    text: str


@pytest.fixture(scope="module")
def scrapes(tmp_path_factory: pytest.TempPathFactory) -> Scrapes:
    cache = helpers.cache(tmp_path_factory)
    log = tmp_path_factory.mktemp("logs") / "triton.log"
    with EmbeddedTriton(models(cache), prepare(cache), log) as server:
        texts, counted = [settled(server, WARM_UP)], WARM_UP
        for shape, microseconds, answered, counts in (
            ((1, 3, 256, 256), None, True, COUNT),
            ((9, 3, 256, 256), None, False, 0),
            ((1, 4, 256, 256), None, False, COUNT),
            ((1, 3, 256, 256), 1, False, COUNT),
        ):
            assert [ask(server, shape, microseconds) for _ in range(COUNT)] == [answered] * COUNT
            counted += counts
            texts.append(settled(server, counted))
    started, served, refused, errors, rejected = map(replay.read, texts)
    return Scrapes(started, served, refused, errors, rejected, texts[-1])


def models(cache: Path) -> list[ServedModel]:
    """The demo's YOLO26n twice: as `yolo26`, and as `unasked`, which not even a warm-up asks.

    Their configuration leaves the image's shape open, so that a wrong one gets past Triton to the network,
    and lets a request say how long it waits in the queue, which is 2 ms for one that is alone.
    """
    exported = export_onnx(helpers.yolo26(), "fp32", cache)
    derived = derive_embedded(helpers.REPOSITORY, "yolo26", exported.signature, labels=helpers.NAMES)
    config = parse(derived.text, "derived")
    config.input[0].dims[:] = [-1, -1, -1]
    policy = config.dynamic_batching.default_queue_policy
    policy.default_timeout_microseconds = (
        10_000_000  # a request may shorten it, not set one where there is none
    )
    policy.allow_timeout_override = True
    asked = ServedModel(name="yolo26", onnx=exported.path, config=str(config), files=derived.files)
    config.name = "unasked"
    config.ClearField("model_warmup")
    return [asked, ServedModel(name="unasked", onnx=exported.path, config=str(config), files=derived.files)]


def ask(server: EmbeddedTriton, shape: tuple[int, ...], microseconds: int | None) -> bool:
    """Whether yolo26 answered images of that shape; microseconds: how long they may wait in the queue."""
    from tritonclient import grpc
    from tritonclient.utils import InferenceServerException

    tensor = grpc.InferInput("images", list(shape), "FP32")
    tensor.set_data_from_numpy(np.zeros(shape, np.float32))
    with grpc.InferenceServerClient(server.grpc_url) as client:
        try:
            client.infer("yolo26", [tensor], timeout=microseconds)
        except InferenceServerException:
            return False
    return True


def scrape(server: EmbeddedTriton) -> str:
    with urllib.request.urlopen(server.metrics_url) as response:
        return str(response.read().decode())


def settled(server: EmbeddedTriton, requests: int) -> str:
    """A scrape that has counted so many of yolo26's requests, for Triton counts them after it answers.

    When that does not happen in time, the last one, and the tests say what is missing.
    """
    texts = [""]

    def complete() -> bool:
        texts.append(scrape(server))
        values = replay.read(texts[-1]).values
        return requests <= sum(
            value
            for (name, labels), value in values.items()
            if name in (SUCCESSES, FAILURES) and ("model", "yolo26") in labels
        )

    helpers.eventually(complete, 10.0)
    return texts[-1]


EXPRESSIONS = {
    **{rule.name: rule.expression for rule in monitoring.rules()},
    **monitoring.dashboard_expressions(),
}


def target_labels() -> dict[str, set[str]]:
    """What Prometheus adds to every series of Triton, by prometheus.yml."""
    configuration = yaml.safe_load((monitoring.PROMETHEUS / "prometheus.yml").read_text("utf-8"))
    (job,) = (job for job in configuration["scrape_configs"] if job["job_name"] == "triton")
    (group,) = job["static_configs"]
    written = {name: {value} for name, value in group["labels"].items()}
    return {"job": {"triton"}, "instance": set(group["targets"]), **written}


def known_labels(name: str, scrape: Scrape) -> dict[str, set[str]]:
    """Labels that series of this name have in Prometheus, with the values seen."""
    if name == "ALERTS":
        states = {"pending", "firing"}
        return {"alertname": {rule.name for rule in monitoring.alerts()}, "alertstate": states}
    if name in NOT_IN_A_SCRAPE_HERE:
        return {**target_labels(), "gpu_uuid": set()}
    if name.startswith("parity:"):
        return {
            **target_labels(),
            **{label: scrape.labels(FAILURES)[label] for label in ("model", "version")},
        }
    return {**target_labels(), **scrape.labels(name)}


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_every_metric_and_label_is_in_a_real_scrape(scrapes: Scrapes, where: str) -> None:
    recorded = {rule.name for rule in monitoring.rules() if not rule.annotations}
    known = scrapes.rejected.names() | recorded | monitoring.OF_PROMETHEUS | set(NOT_IN_A_SCRAPE_HERE)
    every_label: set[str] = set()
    for name, matchers in monitoring.selectors(EXPRESSIONS[where]):
        assert name in known, f"{where} names {name}, which Triton does not write"
        labels = known_labels(name, scrapes.rejected)
        every_label |= set(labels)
        for matcher in matchers:
            assert matcher.name in labels, f"{where}: {name} has no label {matcher.name}"
            if matcher.op == promql_parser.MatchOp.Equal:
                assert matcher.value in labels[matcher.name], f"{where}: {matcher} fits no series"
    assert monitoring.grouping_labels(EXPRESSIONS[where]) <= every_label


def test_what_cannot_be_scraped_here_is_needed_and_really_missing(scrapes: Scrapes) -> None:
    """GPU metrics: the day that they appear in a scrape here, they have to be checked like the rest."""
    named = {name for text in EXPRESSIONS.values() for name, _ in monitoring.selectors(text)}
    assert set(NOT_IN_A_SCRAPE_HERE) <= named
    assert not set(NOT_IN_A_SCRAPE_HERE) & scrapes.rejected.names()


def test_what_the_rules_take_for_granted(scrapes: Scrapes) -> None:
    """The facts that docs/serving.md states of Triton's counters, on the server itself."""

    def answered(scrape: Scrape) -> float:
        return scrape.value(SUCCESSES, model="yolo26", version="1")

    def failed(scrape: Scrape) -> dict[str, float]:
        return {
            reason: scrape.value(FAILURES, model="yolo26", version="1", reason=reason) for reason in REASONS
        }

    none = dict.fromkeys(REASONS, 0.0)
    assert scrapes.rejected.labels(FAILURES)["reason"] == REASONS
    assert failed(scrapes.started) == failed(scrapes.served) == none, "zero is written, not left out"
    assert answered(scrapes.started) == WARM_UP, (
        "warm-up counts as requests, one for each image of its batches"
    )
    assert answered(scrapes.served) == answered(scrapes.started) + COUNT
    assert answered(scrapes.refused) == answered(scrapes.served), "what is refused at once is in no counter"
    assert failed(scrapes.refused) == none
    assert answered(scrapes.errors) == answered(scrapes.refused) + COUNT, "Python's errors count as answers"
    assert failed(scrapes.errors) == none
    assert answered(scrapes.rejected) == answered(scrapes.errors)
    assert failed(scrapes.rejected) == {**none, "REJECTED": COUNT}
    assert np.isnan(scrapes.rejected.value(SUMMARY, **{**P95, "model": "unasked"})), "no request, no quantile"


@needs_promtool
def test_promtool_reads_the_scrape(scrapes: Scrapes) -> None:
    answer = subprocess.run(
        [str(monitoring.PROMTOOL), "check", "metrics"],
        input=scrapes.text,
        capture_output=True,
        text=True,
        check=False,
    )
    # 3 is its opinion on names ("_us" is no base unit), 1 a text that cannot be read.
    assert answer.returncode in (0, 3), answer.stderr


def with_p95(scrape: Scrape, microseconds: int) -> Scrape:
    """The scrape with all quantiles of yolo26's requests scaled so that the 95th is this."""
    factor = microseconds / scrape.value(SUMMARY, **P95)
    return scrape.mapped(
        lambda series, value: (
            float(round(value * factor))
            if series[0] == SUMMARY and ("model", "yolo26") in series[1]
            else value
        )
    )


def with_gpu(scrape: Scrape) -> Scrape:
    """The scrape with the metrics of a GPU, which this machine does not have."""
    added: dict[replay.Series, float] = {
        (name, (("gpu_uuid", "GPU-1"),)): 0.5 for name in NOT_IN_A_SCRAPE_HERE
    }
    return Scrape({**scrape.values, **added}, scrape.growing)


def scenarios(scrapes: Scrapes) -> dict[str, tuple[list[Scrape | None], set[tuple[str, str]]]]:
    """Seven minutes of scrapes each, and which alerts fire at their end, with the model that they name."""
    steps = 29
    good = [with_gpu(with_p95(each, 100_000)) for each in continued(scrapes.started, scrapes.served, steps)]
    bad = [with_gpu(with_p95(each, 100_000)) for each in continued(scrapes.errors, scrapes.rejected, steps)]
    without_summary = [
        each.mapped(lambda series, value: None if "_summary_us" in series[0] else value) for each in good
    ]
    restarted = [with_gpu(each) for each in continued(scrapes.started, scrapes.served, 12)]
    both = ("yolo26", "unasked")
    return {
        "a healthy server": ([*good], set()),
        "p95 exactly on the limit": ([with_p95(each, 200_000) for each in good], set()),
        "p95 over it": (
            [with_p95(each, 200_001) for each in good],
            {("ParityLatencyP95High", "yolo26")},
        ),
        "p95 over it for four minutes": (
            [*(with_p95(each, 900_000) for each in good[:16]), *good[16:]],
            set(),
        ),
        "requests that fail": ([*bad], {("ParityErrorRateHigh", "yolo26")}),
        "requests that failed for three minutes": ([*bad[:13], *([bad[12]] * 16)], set()),
        "a restart": ([*good[:14], None, None, *restarted, restarted[-1]], set()),
        "a server that stops": ([*good[:20], *([None] * 9)], {("ParityTritonDown", "")}),
        "no summaries": (
            [*without_summary],
            {("ParityLatencyMissing", model) for model in both},
        ),
        "the server as it is here, without a GPU": (
            [with_p95(each, 100_000) for each in continued(scrapes.started, scrapes.served, steps)],
            {("ParityGpuMissing", "")},
        ),
    }


@needs_promtool
def test_alerts_on_the_real_series(scrapes: Scrapes, tmp_path: Path) -> None:
    tests: list[dict[str, Any]] = []
    for name, (answers, expected) in scenarios(scrapes).items():
        firing = [
            {"alertname": alert, **({"model": model} if model else {})} for alert, model in sorted(expected)
        ]
        tests.append(
            {
                "name": name,
                "interval": f"{replay.STEP_S}s",
                "input_series": replay.input_series(answers),
                "promql_expr_test": [
                    replay.expectation('count by (alertname, model) (ALERTS{alertstate="firing"})', 7, firing)
                ],
            }
        )
    document = {"rule_files": [str(monitoring.RULES)], "evaluation_interval": "15s", "tests": tests}
    answer = monitoring.rules_test(tmp_path, document)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@needs_promtool
def test_every_panel_shows_something_of_the_real_series(scrapes: Scrapes, tmp_path: Path) -> None:
    answers, _ = scenarios(scrapes)["p95 over it"]
    shown = [
        replay.expectation(f"count({expression}) > bool 0", 7, [{}])
        for expression in monitoring.dashboard_expressions().values()
    ]
    test = {
        "interval": f"{replay.STEP_S}s",
        "input_series": replay.input_series(answers),
        "promql_expr_test": shown,
    }
    document = {"rule_files": [str(monitoring.RULES)], "evaluation_interval": "15s", "tests": [test]}
    answer = monitoring.rules_test(tmp_path, document)
    assert answer.returncode == 0, answer.stdout + answer.stderr
