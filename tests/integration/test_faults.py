"""A faithful candidate passes; every planted fault is caught, on real models behind a real Triton."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from parity import pipeline, policies
from parity.config import ModelConfig, RunFile, RunnerConfig, load
from parity.criteria import Outcome
from parity.dataset import OpenCvReader
from parity.progress import Silent
from parity.report.document import Report
from parity.runners import SETTINGS, RunnerContext
from parity.runners.embedded import EmbeddedServer, start_embedded
from parity.sides import Request
from tests.integration.helpers import ROOT, cache

pytestmark = pytest.mark.integration
IMAGES = 150
FAULTS = "tests.integration.faults"


@dataclass(frozen=True)
class Bench:
    """A running server with the demo's models and two wrong ones, and the reference's recorded answers."""

    run_file: RunFile
    server: EmbeddedServer
    cache: Path
    clean: Report
    folder: Path

    def run(self, tmp_path: Path, model: str, runner: str, /, **settings: Any) -> Report:
        recorded = RunnerConfig(
            runner=f"{FAULTS}:Recorded", folder=str(self.folder / "clean" / "evidence" / model)
        )
        candidate = RunnerConfig(runner=runner, url=self.server.grpc_url, **settings)
        models = {
            model: self.run_file.models[model].model_copy(
                update={"candidate": candidate, "reference": recorded}
            )
        }
        return run(self.run_file.model_copy(update={"models": models}), tmp_path / "run", self.cache)


def run(run_file: RunFile, folder: Path, cache: Path) -> Report:
    request = Request(
        run_file=run_file,
        models=tuple(run_file.models),
        images=IMAGES,
        folder=folder,
        cache=cache,
        command="test",
    )
    result = pipeline.run(request, Silent())
    assert result.error is None
    assert (folder / "index.html").stat().st_size > 10_000
    return result.report


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    run_file = load(ROOT / "parity.toml", SETTINGS, policies.phases())
    kept = cache(tmp_path_factory)
    models: dict[str, ModelConfig] = dict(run_file.models)
    yolo = models["yolo26"]
    models["yolo26-other"] = yolo.model_copy(update={"weights": other_weights(yolo.weights, folder)})
    models["yolo26-one-to-many"] = yolo.model_copy(update={"head": "one-to-many"})
    contexts = {
        name: RunnerContext(
            name=name,
            model=model,
            reader=OpenCvReader(run_file.datasets["street"]),
            score_floor=0.001,
            max_detections=300,
            sample=(),
            cache=kept,
            repository=run_file.model_repository,
            logs=folder,
        )
        for name, model in models.items()
    }
    with start_embedded(contexts, dict.fromkeys(contexts, "fp32"), 1) as server:
        faithful = run_file.model_copy(
            update={"candidate": RunnerConfig(runner="triton", url=server.grpc_url)}
        )
        clean = run(faithful, folder / "clean", kept)
        yield Bench(run_file=run_file, server=server, cache=kept, clean=clean, folder=folder)


def other_weights(weights: Path, folder: Path) -> Path:
    """The same network after a little more noise than rounding would bring."""
    import torch

    checkpoint = torch.load(weights, map_location="cpu", weights_only=False)
    generator = torch.Generator().manual_seed(0)
    for parameter in checkpoint["model"].parameters():
        noise = torch.randn(parameter.shape, generator=generator) * parameter.float().std().nan_to_num(0.0)
        parameter.data = (parameter.float() + 0.03 * noise).half()
    path = folder / "other.pt"
    torch.save(checkpoint, path)
    return path


def test_faithful_exports_of_both_models_pass(bench: Bench) -> None:
    assert bench.clean.verdict is Outcome.PASS, [c.message for p in bench.clean.pairs for c in p.criteria]
    assert bench.clean.rehearsal
    assert bench.clean.partial
    assert [pair.model for pair in bench.clean.pairs] == ["yolo26", "rtdetr"]
    for pair in bench.clean.pairs:
        assert pair.images.attempted == pair.images.answered_by_both == IMAGES
        assert pair.accuracy is not None and pair.agreement is not None
        assert pair.accuracy.reference.AP is not None
        assert pair.accuracy.reference.AP > 0.4
        difference = pair.accuracy.difference["AP"]
        assert difference.relative_percent is not None
        assert abs(difference.relative_percent) < 0.01
        assert pair.agreement.missing == pair.agreement.extra == 0
        assert pair.provenance["candidate"]["backend"] == "python"


FAILING = [
    ("yolo26", "Bgr"),
    ("rtdetr", "Bgr"),
    ("yolo26", "OtherResize"),
    ("rtdetr", "OtherResize"),
    ("yolo26", "HalfPixel"),
    ("rtdetr", "HalfPixel"),
    ("yolo26", "ClassOffByOne"),
    ("rtdetr", "ClassOffByOne"),
    ("yolo26", "BoxesAsXywh"),
    ("rtdetr", "BoxesAsXywh"),
    ("yolo26", "ScoresTimesNineTenths"),
    ("rtdetr", "ScoresTimesNineTenths"),
    ("yolo26", "OneInFiftyDropped"),
    ("rtdetr", "OneInFiftyDropped"),
    ("yolo26", "DividedTwice"),
    ("rtdetr", "DividedTwice"),
    ("yolo26", "NotANumber"),
    ("rtdetr", "NotANumber"),
]
WITNESS = {
    "OneInFiftyDropped": "image_coverage",
    "NotANumber": "finite_outputs",
    "ScoresTimesNineTenths": "box_agreement",
    "HalfPixel": "box_agreement",
}


@pytest.mark.parametrize(("model", "fault"), FAILING)
def test_planted_faults_fail(bench: Bench, tmp_path: Path, model: str, fault: str) -> None:
    report = bench.run(tmp_path, model, f"{FAULTS}:{fault}")
    assert report.verdict is Outcome.FAIL
    failed = {criterion.name for criterion in report.pairs[0].criteria if criterion.outcome is Outcome.FAIL}
    assert WITNESS.get(fault, "map_variance") in failed


def test_ap_alone_would_not_see_scores_that_are_too_low(bench: Bench, tmp_path: Path) -> None:
    report = bench.run(tmp_path, "yolo26", f"{FAULTS}:ScoresTimesNineTenths")
    outcome = {c.name: c.outcome for c in report.pairs[0].criteria}
    assert outcome["map_variance"] is not Outcome.FAIL
    assert outcome["box_agreement"] is Outcome.FAIL


def test_other_weights_fail(bench: Bench, tmp_path: Path) -> None:
    report = bench.run(tmp_path, "yolo26", "triton", model="yolo26-other")
    assert report.verdict is Outcome.FAIL


def test_the_other_head_fails(bench: Bench, tmp_path: Path) -> None:
    report = bench.run(tmp_path, "yolo26", f"{FAULTS}:WrongHead", model="yolo26-one-to-many")
    assert report.verdict is Outcome.FAIL


def test_the_recorded_reference_agrees_with_itself(bench: Bench, tmp_path: Path) -> None:
    folder = str(bench.folder / "clean" / "evidence" / "rtdetr")
    recorded = RunnerConfig(runner=f"{FAULTS}:Recorded", folder=folder)
    model = bench.run_file.models["rtdetr"].model_copy(update={"reference": recorded, "candidate": recorded})
    report = run(
        bench.run_file.model_copy(update={"models": {"rtdetr": model}}), tmp_path / "run", bench.cache
    )
    (pair,) = report.pairs
    assert pair.accuracy is not None and pair.agreement is not None
    difference = pair.accuracy.difference["AP"]
    assert report.verdict is Outcome.PASS
    assert difference.value == 0
    assert difference.interval == (0.0, 0.0)
    assert pair.agreement.agreeing == pair.agreement.matched
