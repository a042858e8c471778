"""The Grafana dashboard: read by Grafana's own types, its PromQL by promtool."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import monitoring
from tests.monitoring import needs_promtool, promtool

PANELS: list[dict[str, Any]] = monitoring.dashboard()["panels"]
COLUMNS = 24


def test_grafana_knows_every_key() -> None:
    """Grafana drops what it does not know without a word; so what went in has to come out again."""
    pytest.importorskip("grafana_foundation_sdk", reason="grafana-foundation-sdk needs Python 3.11")
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    document = monitoring.dashboard()
    understood = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(document)))
    assert lost(document, understood, "") == []


def lost(given: Any, understood: Any, path: str) -> list[str]:
    """Paths of what was given and is missing or different in what was understood."""
    if isinstance(given, dict) and isinstance(understood, dict):
        return [
            found
            for key, value in given.items()
            for found in (
                lost(value, understood[key], f"{path}/{key}") if key in understood else [f"{path}/{key}"]
            )
        ]
    if isinstance(given, list) and isinstance(understood, list) and len(given) == len(understood):
        pairs = enumerate(zip(given, understood, strict=True))
        return [found for i, (one, other) in pairs for found in lost(one, other, f"{path}/{i}")]
    return [] if given == understood else [path]


@needs_promtool
def test_promtool_parses_every_expression(tmp_path: Path) -> None:
    expressions = monitoring.dashboard_expressions()
    rules = [{"record": f"panel:{i}", "expr": text} for i, text in enumerate(expressions.values())]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), "utf-8")
    answer = promtool("check", "rules", path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"{len(expressions)} rules found" in answer.stdout


def test_no_variable_is_left_in_an_expression() -> None:
    assert not [text for text in monitoring.dashboard_expressions().values() if "$" in text]
    variables = {f"${variable['name']}" for variable in monitoring.dashboard()["templating"]["list"]}
    assert variables == {name for name in monitoring.GRAFANA_VARIABLES if not name.startswith("$__")}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_and_asks_our_prometheus(panel: dict[str, Any]) -> None:
    source = yaml.safe_load(
        (monitoring.DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text("utf-8")
    )["datasources"][0]
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    for asked in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
        assert asked == {"type": source["type"], "uid": source["uid"]}


def test_panels_lie_side_by_side() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for one, other in combinations((panel["gridPos"] for panel in PANELS), 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= COLUMNS for panel in PANELS)


def test_limits_are_those_of_the_rules() -> None:
    drawn = {
        panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
        for panel in PANELS
        if "thresholds" in panel["fieldConfig"]["defaults"]
    }
    judged = {rule.name: float(rule.expression.rpartition("> ")[2]) for rule in monitoring.alerts()[:2]}
    assert drawn == {
        "Request time": judged["ParityLatencyP95High"],
        "Error rate": judged["ParityErrorRateHigh"],
    }
