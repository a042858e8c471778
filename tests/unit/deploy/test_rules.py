"""The Prometheus configuration and its alert rules, checked and tried by promtool."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import monitoring
from tests.monitoring import needs_promtool, promtool

UNIT_TESTS = sorted((monitoring.PROMETHEUS / "tests").glob("*.yml"))
ALERTS = [rule.name for rule in monitoring.alerts()]
SERVING = Path("docs/serving.md")


@needs_promtool
def test_promtool_accepts_the_configuration() -> None:
    answer = promtool("check", "config", monitoring.PROMETHEUS / "prometheus.yml")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"SUCCESS: {len(monitoring.rules())} rules found" in answer.stdout


@needs_promtool
@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.name)
def test_alerts_fire_and_stay_silent(path: Path) -> None:
    answer = promtool("test", "rules", path)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def expectations(alert: str) -> list[list[Any]]:
    """What the unit tests expect of an alert, one list of firing instances each."""
    return [
        case["exp_alerts"]
        for path in UNIT_TESTS
        for test in yaml.safe_load(path.read_text("utf-8"))["tests"]
        for case in test.get("alert_rule_test", [])
        if case["alertname"] == alert
    ]


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_tried_both_ways(alert: str) -> None:
    expected = expectations(alert)
    assert any(expected), f"no unit test makes {alert} fire"
    assert not all(expected), f"no unit test has {alert} stay silent"


# What a slip of the pen makes of a rule, and the unit test that has to see it, or that test proves nothing.
SLIPS = {
    ("latency", "a microsecond over the limit"): ("p95_seconds[2m]) > 0.2", "p95_seconds[2m]) > 200"),
    ("latency", "exactly on the limit"): ("p95_seconds[2m]) > 0.2", "p95_seconds[2m]) >= 0.2"),
    ("latency", "a spike of under"): ("> 0.2\n        for: 5m", "> 0.2\n        for: 3m"),
    ("latency", "NaN, which"): ('{quantile="0.95"} >= 0)', '{quantile="0.95"})'),
    ("latency", "slow requests every other"): ("p95_seconds[2m]", "p95_seconds[15s]"),
    ("latency", "one slow request"): ("p95_seconds[2m]", "p95_seconds[10m]"),
    ("latency", "servers and models"): ("max without (quantile)", "max by (job)"),
    ("latency", "on a GPU"): ("max without (quantile)", "min without (quantile, gpu_uuid)"),
    ("errors", "exactly on the limit"): ("ratio_rate1m[2m]) > 0.01", "ratio_rate1m[2m]) >= 0.01"),
    ("errors", "it is of all requests"): (
        "(parity:requests:rate1m > 0)",
        "sum by (job, instance, model, version) (rate(nv_inference_request_success[1m]))",
    ),
    ("errors", "no traffic is no rate"): ("(parity:requests:rate1m > 0)", "parity:requests:rate1m"),
    ("errors", "a spike of under"): ("request_failure[1m]", "request_failure[5m]"),
    ("errors", "reasons add up"): ("version) (rate(nv", "version, reason) (rate(nv"),
    ("errors", "nothing but failures is 100 % where"): ("[1m]) or rate(", "[1m]) + on (model) rate("),
    ("errors", "on a GPU"): ("model, version) (", "model, version, gpu_uuid) ("),
    ("errors", "an ensemble's"): ("(job, instance, model, version)", "(job, instance, version)"),
    ("no_data", "without summary_latencies"): ('_us{quantile="0.95"}\n', "_us\n"),
    ("no_data", "a server that answers without"): ("(job, instance) nv_gpu", "(job) nv_gpu"),
    ("no_data", "under MIG"): (', gpu_metrics!="none"', ""),
    ("no_data", "no target at all"): ('absent(up{job="triton"})', "absent(up)"),
}


@needs_promtool
@pytest.mark.parametrize(("name", "start"), SLIPS)
def test_the_unit_tests_see_a_slip(name: str, start: str, tmp_path: Path) -> None:
    right, wrong = SLIPS[name, start]
    text = monitoring.RULES.read_text("utf-8")
    assert right in text
    slipped = tmp_path / "slipped.yml"
    slipped.write_text(text.replace(right, wrong), "utf-8")
    assert promtool("check", "rules", slipped).returncode == 0
    document = yaml.safe_load((monitoring.PROMETHEUS / "tests" / f"{name}.yml").read_text("utf-8"))
    (test,) = [test for test in document["tests"] if test["name"].startswith(start)]
    answer = monitoring.rules_test(tmp_path, {**document, "rule_files": [str(slipped)], "tests": [test]})
    assert answer.returncode == 1
    assert re.search(r"alertname:|expr:", answer.stdout + answer.stderr), answer.stdout + answer.stderr


@pytest.mark.parametrize("rule", monitoring.alerts(), ids=lambda rule: rule.name)
def test_an_alert_says_what_was_seen_and_what_to_do(rule: monitoring.Rule) -> None:
    assert rule.labels["severity"] in ("critical", "warning")
    assert "$labels." in rule.annotations["summary"] or rule.name == "ParityTritonNotScraped"
    assert re.search(r"limit|expected|at least|no request|not even|reads 0", rule.annotations["summary"])
    assert rule.annotations["description"].endswith(".")
    assert rule.annotations["runbook"] == f"docs/serving.md#{rule.name.lower()}"


def test_the_runbook_has_every_alert_and_no_other() -> None:
    headings = re.findall(r"^### (Parity\w+)$", SERVING.read_text("utf-8"), re.MULTILINE)
    assert headings == ALERTS


def test_rules_find_triton_by_the_job_that_the_configuration_has() -> None:
    configuration = yaml.safe_load((monitoring.PROMETHEUS / "prometheus.yml").read_text("utf-8"))
    jobs = {job["job_name"] for job in configuration["scrape_configs"]}
    named = {
        matcher.value
        for rule in monitoring.rules()
        for _, matchers in monitoring.selectors(rule.expression)
        for matcher in matchers
        if matcher.name == "job"
    }
    assert named == {"triton"} <= jobs
