"""Any batch, answers under load and the rollback drill on the real embedded Triton; planted faults show."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from parity import policies
from parity.answers import Cut, any_batch, under_load
from parity.cli import app
from parity.config import RunFile, load
from parity.criteria import CRITERIA, Outcome, PairEvidence
from parity.dataset import Dataset, OpenCvReader
from parity.dataset import load as load_dataset
from parity.runners import SETTINGS, RunnerContext
from parity.runners.embedded import EmbeddedServer, start_embedded
from parity.runners.triton import TritonRunner, TritonSettings
from parity.serving import triton
from parity.serving.evidence import DRILL_STEPS, BatchInvariance, Drill
from parity.serving.served_model import ServedModel, write_model
from tests import serving_samples
from tests.integration.helpers import ROOT, cache, children

pytestmark = pytest.mark.integration
SOUND, MIXED = "yolo26", "yolo26-mixed"


def write_with_a_fault(folder: Path, model: ServedModel) -> None:
    """The backend's code as it is, but for one model that hands out the answers of a batch in reverse."""
    write_model(folder, model)
    if model.name == MIXED:
        code = folder / "1" / "model.py"
        right = "np.ascontiguousarray(answer[start:stop])"
        assert right in code.read_text()
        code.write_text(code.read_text().replace(right, "np.ascontiguousarray(answer[::-1][start:stop])"))


@dataclass(frozen=True)
class Scene:
    """A server with a sound model and one that mixes rows, and what both are asked about."""

    server: EmbeddedServer
    context: RunnerContext
    run_file: RunFile
    dataset: Dataset

    def runner(self, model: str) -> TritonRunner:
        return TritonRunner(self.context, TritonSettings(url=self.server.grpc_url, model=model))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    run_file = load(ROOT / "parity.toml", SETTINGS, policies.phases())
    config = run_file.datasets["street"]
    context = RunnerContext(
        name=SOUND,
        model=run_file.models[SOUND],
        reader=OpenCvReader(config),
        score_floor=run_file.score_floor,
        max_detections=run_file.max_detections,
        sample=(),
        cache=cache(tmp_path_factory),
        repository=run_file.model_repository,
        logs=tmp_path_factory.mktemp("logs"),
    )
    contexts = {SOUND: context, MIXED: replace(context, name=MIXED)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(triton, "write_model", write_with_a_fault)
        with start_embedded(contexts, dict.fromkeys(contexts, "fp32"), 1) as server:
            yield Scene(server, context, run_file, load_dataset("street", config))


def formed(server: EmbeddedServer, model: str) -> Callable[[], Mapping[int, int]]:
    """What Triton's statistics say of the batches that it ran."""
    from tritonclient import grpc

    def ask() -> Mapping[int, int]:
        with grpc.InferenceServerClient(server.grpc_url) as client:
            (stats,) = client.get_inference_statistics(model, as_json=True)["model_stats"]
        return {
            int(each["batch_size"]): int(each["compute_infer"]["count"])
            for each in stats.get("batch_stats", [])
        }

    return ask


def in_any_batch(scene: Scene, model: str, most: int) -> BatchInvariance:
    with scene.runner(model) as runner:
        return any_batch(runner, scene.dataset.images[:5], max_batch=most, formed=formed(scene.server, model))


def outcome(found: BatchInvariance) -> Outcome:
    criterion = CRITERIA["batch_invariance"]
    evidence = PairEvidence.of_serving(serving_samples.serving(batches=found))
    return criterion.judge(evidence, criterion.parameters()).outcome


def test_answers_are_the_same_in_any_batch_of_a_real_server(scene: Scene) -> None:
    found = in_any_batch(scene, SOUND, 8)
    assert (found.images, found.sizes) == (5, list(range(1, 9)))
    assert found.checks == 239 + 64
    assert (found.places, found.places_seen) == (36, 36)
    assert found.detections > 5
    assert (found.differing, found.failed, found.reason) == (0, 0, "")
    assert found.formed is not None
    assert sum(size * count for size, count in found.formed.items()) == 64
    assert outcome(found) is Outcome.PASS


def test_a_real_server_that_mixes_rows_is_found(scene: Scene) -> None:
    found = in_any_batch(scene, MIXED, 3)
    assert outcome(found) is Outcome.FAIL
    assert found.differing > 10
    assert found.largest is not None
    assert found.largest.score > 0.1
    assert "beside" in found.largest.where or "under way" in found.largest.where
    assert len(found.differing_images) == 5


def test_answers_with_many_under_way_are_those_of_a_quiet_server(scene: Scene) -> None:
    images = scene.dataset.images[:15]
    with scene.runner(SOUND) as runner:
        quiet = [{image.image_id: runner.answer(image) for image in images} for _ in range(2)]
        sampled = list(runner.predict(images))
    names = {image.image_id: image.file_name for image in images}
    cut = Cut(score_floor=scene.run_file.score_floor, max_detections=scene.run_file.max_detections)
    found = under_load("candidate", sampled, quiet[0], quiet[1], names, cut=cut)
    assert (found.compared, found.images, found.differing, found.reason) == (15, 15, 0, "")
    swapped = [replace(result, image_id=images[i - 1].image_id) for i, result in enumerate(sampled)]
    assert under_load("candidate", swapped, quiet[0], quiet[1], names, cut=cut).differing > 10


def drill(scene: Scene, tmp_path: Path, *changes: tuple[str, str]) -> tuple[int, str]:
    """Run the command on the demo's YOLO26 with its run file changed; exit code and output."""
    text = (ROOT / "parity.toml").read_text()
    text = text.replace('"datasets/', f'"{ROOT}/datasets/').replace('"demo/', f'"{ROOT}/demo/')
    text = text.replace(
        'dataset = "street"', f'dataset = "street"\nmodel_repository = "{ROOT}/model_repository"'
    )
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "mine.toml").write_text(text)
    result = CliRunner().invoke(
        app,
        [
            "drill", str(tmp_path / "mine.toml"), "--model", SOUND, "--images", "6",
            "--out", str(tmp_path / "out"), "--cache", str(scene.context.cache),
        ],
    )  # fmt: skip
    return result.exit_code, result.output


def evidence(tmp_path: Path) -> Drill:
    (path,) = (tmp_path / "out").rglob("*.json")
    assert [each.name for each in path.parent.iterdir()] == ["drill.json"], "no temporary file is left"
    return Drill.model_validate(json.loads(path.read_text()))


def test_the_way_back_of_a_pair_whose_server_is_killed(scene: Scene, tmp_path: Path) -> None:
    before = set(children(os.getpid()))
    code, output = drill(scene, tmp_path)
    assert code == 0, output
    found = evidence(tmp_path)
    assert tuple(step.name for step in found.steps) == DRILL_STEPS
    assert all(step.ok for step in found.steps)
    assert (found.removal, found.images, found.unanswered, found.unequal) == ("killed", 6, 0, 0)
    assert found.detections > 5 and found.noise_score is not None and found.noise_score <= 0.01
    assert (found.model, found.reference, found.candidate) == (SOUND, "ultralytics", "triton")
    lines = output.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    assert "verdict: PASS" in lines[-2]
    assert set(children(os.getpid())) <= before, "no server is left"


def test_a_server_of_somebody_else_is_left_alone(scene: Scene, tmp_path: Path) -> None:
    code, output = drill(
        scene,
        tmp_path,
        ('runner = "triton" #', f'runner = "triton"\nurl = "{scene.server.grpc_url}" #'),
        ('runner = "ultralytics"\nrect = false', 'runner = "onnxruntime" #'),
    )
    assert code == 11, output
    found = evidence(tmp_path)
    assert found.removal == "disconnected"
    assert all(step.ok for step in found.steps)
    assert "was not killed" in " ".join(output.split())
    assert scene.server.alive()


def test_a_reference_that_does_not_give_its_own_answers_fails(scene: Scene, tmp_path: Path) -> None:
    code, output = drill(
        scene,
        tmp_path,
        ('runner = "triton" #', f'runner = "triton"\nurl = "{scene.server.grpc_url}" #'),
        ('runner = "ultralytics"\nrect = false', 'runner = "tests.integration.faults:Wandering" #'),
    )
    assert code == 10, output
    found = evidence(tmp_path)
    assert [step.name for step in found.steps if not step.ok] == ["answers go on"]
    assert found.unequal == 5, "of 6, all but the first, since 12 were asked for before and one by the switch"
    assert "verdict: FAIL" in output


def test_a_pair_that_cannot_be_started_leaves_nothing(scene: Scene, tmp_path: Path) -> None:
    code, output = drill(scene, tmp_path, ('runner = "triton" #', 'runner = "triton"\nurl = "127.0.0.1:9" #'))
    assert code == 4, output
    assert "127.0.0.1:9" in output
    assert not (tmp_path / "out").exists()
