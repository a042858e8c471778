"""`parity load` as a whole: the demo's real service and the embedded Triton, judged and reported."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from parity import load_evidence, load_pipeline
from parity.config import RunFile, RunnerConfig
from parity.config import load as load_run_file
from parity.criteria import Outcome
from parity.errors import RunnerError, UsageError
from parity.gate import EXIT_CODES
from parity.load.metrics import NOT_SCRAPED
from parity.load.observe import SourcesObserver
from parity.load.plan import LoadPlan, StepRules, closed, opened
from parity.load_so_far import SoFar
from parity.pipeline import Result
from parity.progress import Silent
from parity.report.document import Pair, Report
from parity.runners import SETTINGS
from parity.runners.http_target import HttpTarget
from parity.runners.triton import TritonRunner
from parity.runners.triton_target import TritonTarget
from parity.serving.evidence import ServingEvidence, SideName
from parity.serving.triton import EmbeddedTriton
from parity.sides import Request
from tests.demo_service import DemoServices, demo_service
from tests.integration.helpers import ROOT, cache

pytestmark = pytest.mark.integration

RULES = StepRules(
    warmup_requests=4, warmup_s=0, window_s=0.1, window_requests=4, least_windows=3, least_requests=24,
    most_s=3, give_up_s=2, drain_s=5,
)  # fmt: skip
PLAN = LoadPlan(loads=(closed(1), closed(4), opened(20)), turns=1, rules=RULES, most_images=6)
BRIEF = replace(PLAN, loads=(closed(1),), rules=replace(RULES, warmup_requests=1, most_s=0.5, give_up_s=0.5))
"""Where it counts what becomes of steps, not what they measured."""


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


def service_against_itself(url: str) -> RunFile:
    """Both sides the same service: for what needs no Triton, and starts at once."""
    found = run_file(url)
    model = found.models["yolo26"]
    return found.model_copy(
        update={"models": {"yolo26": model.model_copy(update={"candidate": model.reference})}}
    )


def stored(folder: Path) -> ServingEvidence:
    """What is on the disk."""
    text = (folder / "evidence" / "yolo26" / "serving.json").read_text()
    return ServingEvidence.model_validate(json.loads(text))


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
    assert stored(loaded.folder) == loaded.serving
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


def test_a_triton_that_is_killed_in_a_step_fails_and_loses_no_evidence(
    services: DemoServices,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the measured part of the candidate's second step, between two steps of its reference."""
    begun: list[str] = []
    drive, before, send = load_evidence._drive, SourcesObserver.before, TritonTarget.send
    servers: list[EmbeddedTriton] = []

    def known(so_far: SoFar, *arguments: Any) -> None:
        candidate = so_far.runners["candidate"]
        assert isinstance(candidate, TritonRunner) and candidate.server is not None
        servers.append(candidate.server.triton)
        drive(so_far, *arguments)

    async def counted(self: SourcesObserver, side: SideName) -> None:
        await before(self, side)
        begun.append(side)

    async def killing(self: TritonTarget, payload: Any) -> Any:
        if begun.count("candidate") == 2 and servers:
            os.kill(servers.pop().pid, signal.SIGKILL)
        return await send(self, payload)

    monkeypatch.setattr(load_evidence, "_drive", known)
    monkeypatch.setattr(SourcesObserver, "before", counted)
    monkeypatch.setattr(TritonTarget, "send", killing)
    plan = replace(BRIEF, loads=(closed(2),), turns=2)
    folder = tmp_path / "run"
    result = load(run_file(services.get("yolo26").url), folder, cache(tmp_path_factory), plan)
    (pair,) = result.report.pairs
    assert pair.serving is not None and stored(folder) == pair.serving
    assert begun == ["reference", "candidate", "candidate", "reference"]
    _, good, bad, last = pair.serving.steps
    assert good.ok and not good.failed and last.ok and not last.failed
    assert (bad.side, bad.turn) == ("candidate", 1) and not bad.stable
    assert set(bad.failed) == {"unavailable"} and bad.sent == (bad.ok or 0) + bad.failed["unavailable"]
    assert all(metric.reason.startswith(NOT_SCRAPED) for metric in pair.serving.metrics)
    assert pair.serving.reconciliation is not None
    assert "no scrape from after the load" in pair.serving.reconciliation.reason
    assert pair.serving.batches is not None and pair.serving.batches.failed > 0
    assert [check.compared > 0 for check in pair.serving.under_load] == [True, True]
    outcomes = {criterion.name: criterion.outcome for criterion in pair.criteria}
    assert Outcome.PASS not in {
        outcomes[name]
        for name in ("error_rate", "p95_latency", "throughput", "metrics_available", "ledger_reconciles")
    }
    assert result.error is None and EXIT_CODES[result.report.verdict] in (10, 11)


def test_ctrl_c_keeps_the_steps_that_were_measured(
    services: DemoServices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = load_evidence._drive

    def interrupted(so_far: SoFar, reader: Any, progress: Any, stepped: Callable[[], None]) -> None:
        def interrupt() -> None:
            stepped()
            kept.append(stored(tmp_path / "run"))
            os.kill(os.getpid(), signal.SIGINT)

        drive(so_far, reader, progress, interrupt)

    kept: list[ServingEvidence] = []
    monkeypatch.setattr(load_evidence, "_drive", interrupted)
    config = service_against_itself(services.get("yolo26").url)
    with pytest.raises(KeyboardInterrupt):
        load(config, tmp_path / "run", tmp_path, BRIEF)
    (first,) = kept
    found = stored(tmp_path / "run")
    assert found.steps == first.steps and [step.side for step in found.steps] == ["reference"]
    assert found.steps[0].ok and found.under_load[0].compared > 0


def test_what_nobody_foresaw_ends_the_run_with_what_was_measured(
    services: DemoServices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaking(*arguments: Any) -> None:
        raise ValueError("a fault in somebody's code")

    monkeypatch.setattr(HttpTarget, "__aexit__", breaking)
    config = service_against_itself(services.get("yolo26").url)
    result = load(config, tmp_path / "run", tmp_path, BRIEF)
    assert isinstance(result.error, RunnerError) and result.error.exit_code == 4
    assert "load on 'yolo26': it broke off (ValueError: a fault" in str(result.error)
    (pair,) = result.report.pairs
    assert pair.serving is not None and len(pair.serving.steps) == 2
    assert result.report.error is not None and stored(tmp_path / "run") == pair.serving


def test_the_report_says_that_load_tries_nothing_again(loaded: Loaded) -> None:
    assert any("each request was sent once and never again" in note for note in loaded.report.notes)
    assert loaded.pair.provenance["load"]["attempts_a_request"] == 1
    assert "never again" in (loaded.folder / "index.html").read_text()
