"""What the tests of `deploy/` share: its files, promtool, and PromQL taken apart."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
RULES = PROMETHEUS / "rules" / "parity.yml"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "triton.json"

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not on this machine (Debian: apt-get install prometheus)"
)

# What Grafana puts in before it asks Prometheus.
GRAFANA_VARIABLES = {"$__rate_interval": "1m", "$instance": ".*", "$model": ".*"}

# Prometheus makes these itself: one for each target, one for each alert that waits or fires.
OF_PROMETHEUS = {"up", "ALERTS"}

# Named by rules and dashboard, and not in a scrape here, each with its reason. The names and their only label
# (gpu_uuid) are those of Triton's core, src/metrics.cc, as of June 2026.
GPU = "the embedded server is built without GPU metrics, and tests run on machines without a GPU"
NOT_IN_A_SCRAPE_HERE = {
    "nv_gpu_utilization": GPU,
    "nv_gpu_memory_used_bytes": GPU,
    "nv_gpu_memory_total_bytes": GPU,
    "nv_gpu_power_usage": GPU,
    "nv_gpu_power_limit": GPU,
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of parity.yml; an alert when it has annotations, else recorded under its name."""

    name: str
    expression: str
    wait: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def rules() -> list[Rule]:
    """Every rule of parity.yml, in its order."""
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [
        Rule(
            name=str(rule.get("alert") or rule["record"]),
            expression=str(rule["expr"]),
            wait=str(rule.get("for", "0s")),
            labels=dict(rule.get("labels", {})),
            annotations=dict(rule.get("annotations", {})),
        )
        for group in groups
        for rule in group["rules"]
    ]


def alerts() -> list[Rule]:
    """The rules that alert."""
    return [rule for rule in rules() if rule.annotations]


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    document: dict[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
    return document


def dashboard_expressions() -> dict[str, str]:
    """PromQL of every panel by `title/refId`, with Grafana's variables put in."""
    return {
        f"{panel['title']}/{target['refId']}": _substituted(target["expr"])
        for panel in dashboard()["panels"]
        for target in panel["targets"]
    }


def _substituted(expression: str) -> str:
    for variable, value in GRAFANA_VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


def _nodes(expression: str) -> list[promql_parser.Expr]:
    found: list[promql_parser.Expr] = []
    promql_parser.walk(promql_parser.parse(expression), found.append)
    return found


def selectors(expression: str) -> Iterator[tuple[str, list[promql_parser.Matcher]]]:
    """Name and matchers of every series selector in the expression."""
    for node in _nodes(expression):
        if isinstance(node, promql_parser.VectorSelector):
            assert node.name, f"{expression} selects by something else than a name"
            yield node.name, list(node.matchers.matchers)


def grouping_labels(expression: str) -> set[str]:
    """The labels that the expression groups by, drops, or matches on."""
    labels: set[str] = set()
    for node in _nodes(expression):
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            labels.update(node.modifier.labels)
        if isinstance(node, promql_parser.BinaryExpr) and node.modifier and node.modifier.matching:
            labels.update(node.modifier.matching.labels)
    return labels


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool; its words are in stdout and stderr."""
    assert PROMTOOL is not None
    return subprocess.run([PROMTOOL, *map(str, arguments)], capture_output=True, text=True, check=False)


def rules_test(folder: Path, document: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run a promtool unit test that is a document here, on the rules that it names."""
    path = folder / "generated.yml"
    path.write_text(yaml.safe_dump(dict(document), sort_keys=False, width=10_000), "utf-8")
    return promtool("test", "rules", path)
