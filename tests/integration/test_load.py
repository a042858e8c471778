"""`parity load` as a whole: the demo's real service and the embedded Triton, judged and reported."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from parity import load_evidence, load_pipeline
from parity.config import RunFile, RunnerConfig
from parity.config import load as load_run_file
from parity.criteria import Outcome
from parity.errors import UsageError
from parity.load.plan import LoadPlan, StepRules, closed, opened
from parity.pipeline import Result
from parity.progress import Silent
from parity.report.document import Pair, Report
from parity.runners import SETTINGS
from parity.serving.evidence import ServingEvidence
from parity.sides import Request
from tests.demo_service import DemoServices, demo_service
from tests.integration.helpers import ROOT, cache

pytestmark = pytest.mark.integration

RULES = StepRules(
    warmup_requests=4, warmup_s=0, window_s=0.1, window_requests=4, least_windows=3, least_requests=24,
    most_s=3, give_up_s=2, drain_s=5,
)  # fmt: skip
PLAN = LoadPlan(loads=(closed(1), closed(4), opened(20)), turns=1, rules=RULES, most_images=6)


def run_file(url: str, **candidate: object) -> RunFile:
    """The demo's YOLO26: its service against the embedded Triton."""
    found = load_run_file(ROOT / "demo" / "services.toml", SETTINGS, None)
    model = found.models["yolo26"]
    assert model.reference is not None
    reference = RunnerConfig(runner="http-service", **{**model.reference.settings, "url": url})
    return found.model_copy(
        update={
            "models": {"yolo26": model.model_copy(update={"reference": reference})},
            "candidate": RunnerConfig(runner="triton", **candidate),
        }
    )


def load(config: RunFile, folder: Path, cached: Path, plan: LoadPlan = PLAN) -> Result:
    request = Request(
        run_file=config, models=("yolo26",), images=None, folder=folder, cache=cached, command="parity load"
    )
    return load_pipeline.run(load_pipeline.LoadRequest(request=request, plan=plan), Silent())


@dataclass(frozen=True, kw_only=True)
class Loaded:
    report: Report
    folder: Path

    @property
    def pair(self) -> Pair:
        (pair,) = self.report.pairs
        return pair

    @property
    def serving(self) -> ServingEvidence:
        assert self.pair.serving is not None
        return self.pair.serving


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, services: DemoServices) -> Loaded:
    folder = tmp_path_factory.mktemp("load") / "run"
    result = load(run_file(services.get("yolo26").url), folder, cache(tmp_path_factory))
    assert result.error is None
    return Loaded(report=result.report, folder=folder)


def test_both_sides_answer_every_load(loaded: Loaded) -> None:
    seen = [(step.side, step.concurrency, step.rate) for step in loaded.serving.steps]
    assert seen == [
        (side, concurrency, rate)
        for concurrency, rate in ((1, None), (4, None), (None, 20.0))
        for side in ("reference", "candidate")
    ]
    for step in loaded.serving.steps:
        assert step.failed == {} and step.ok == step.sent and (step.ok or 0) > 0
        assert step.latency is not None and step.latency.p95 is not None and step.latency.p95.value > 0
        assert step.throughput is not None


def test_the_server_tells_of_the_candidate_alone(loaded: Loaded) -> None:
    for step in loaded.serving.steps:
        if step.side == "reference":
            assert step.server is None
            continue
        assert step.server is not None and step.server.failures == 0 and not step.server.reset
        assert sum(n * size for size, n in step.server.batch_sizes.items()) == step.server.inferences > 0
        assert step.gpu is not None and step.gpu.mean is None and "no GPU" in step.gpu.reason


def test_answers_are_the_same_under_load_and_in_any_batch(loaded: Loaded) -> None:
    assert [check.side for check in loaded.serving.under_load] == ["reference", "candidate"]
    assert all(check.compared > 0 and check.differing == 0 for check in loaded.serving.under_load)
    batches = loaded.serving.batches
    assert batches is not None and batches.max_batch == 8 and batches.checks > 100 and batches.differing == 0
    assert batches.formed is not None and sum(batches.formed.values()) > 0
    assert batches.places == batches.places_seen == 36
    assert batches.detections > 0 and all(check.detections > 0 for check in loaded.serving.under_load)


def test_the_ledger_adds_up(loaded: Loaded) -> None:
    ledger = loaded.serving.reconciliation
    assert ledger is not None and ledger.unexplained == [] and ledger.resets == []
    assert ledger.client_requests == ledger.client_ok == ledger.server_success
    assert ledger.client_ok > sum(step.ok or 0 for step in loaded.serving.steps if step.side == "candidate")


def test_too_few_requests_pass_nothing_that_needs_more(loaded: Loaded) -> None:
    outcomes = {criterion.name: criterion.outcome for criterion in loaded.pair.criteria}
    assert outcomes["error_rate"] is outcomes["p95_latency"] is Outcome.INCONCLUSIVE
    assert outcomes["ledger_reconciles"] is outcomes["metrics_available"] is Outcome.PASS
    wanted = {metric.name: metric.wanted_by for metric in loaded.serving.metrics}
    assert wanted["nv_inference_queue_duration_us"] == ["policy"]
    assert "map_variance" not in outcomes and "rollback_drill" not in outcomes
    assert loaded.report.verdict is Outcome.INCONCLUSIVE
    assert loaded.report.rehearsal and not loaded.report.partial
    assert loaded.report.unjudged["map_variance"] == "parity run"


def test_the_evidence_is_stored_and_shown(loaded: Loaded) -> None:
    stored = json.loads((loaded.folder / "evidence" / "yolo26" / "serving.json").read_text())
    assert ServingEvidence.model_validate(stored) == loaded.serving
    assert {path.name for path in loaded.folder.iterdir()} == {
        "criteria.csv", "latency.csv", "report.json", "index.html", "evidence",
    }  # fmt: skip
    assert "4 at a time" in (loaded.folder / "index.html").read_text()


def test_a_side_in_process_is_refused_before_anything_starts(tmp_path: Path) -> None:
    config = load_run_file(ROOT / "parity.toml", SETTINGS, None)
    with pytest.raises(UsageError) as caught:
        load(config, tmp_path / "run", tmp_path / "cache")
    assert "'ultralytics' answers in process" in str(caught.value) and "http-service" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_service_that_dies_under_load_is_counted(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with demo_service("yolo26") as service:
        drive = load_evidence._drive

        def killed_first(*arguments: Any) -> None:
            os.kill(service.process.pid, signal.SIGKILL)
            drive(*arguments)

        monkeypatch.setattr(load_evidence, "_drive", killed_first)
        plan = replace(PLAN, loads=(closed(1),))
        result = load(run_file(service.url), tmp_path / "run", cache(tmp_path_factory), plan)
    (pair,) = result.report.pairs
    assert pair.serving is not None
    reference, candidate = pair.serving.steps
    assert reference.ok == 0 and reference.latency is None and set(reference.failed) == {"connection"}
    assert candidate.ok and not candidate.failed
    judged = {criterion.name: criterion for criterion in pair.criteria}
    assert judged["p95_latency"].outcome is Outcome.INCONCLUSIVE
    assert "asks for 2, 4, 8, 16 at a time" in judged["p95_latency"].message
    assert result.report.verdict is Outcome.INCONCLUSIVE
