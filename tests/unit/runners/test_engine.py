"""The in-process engine runners, on stand-ins for TensorRT and torch: shapes, limits, and every refusal."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from parity.config import DatasetConfig
from parity.dataset import ImageRecord, OpenCvReader
from parity.detections import Status
from parity.errors import EvidenceError, RunnerError
from parity.runners import RunnerContext
from parity.runners.engine import Engine, EngineRunner, EngineSettings
from parity.runners.tensorrt import TensorRtRunner
from parity.runners.tensorrt_rtx import TensorRtRtxRunner
from tests import build_jobs
from tests.build_samples import manifest
from tests.engine_fakes import FakePlan, FakeTensorRt, FakeTorch

SIZE = (64, 96)
BOX = (8.0, 16.0, 40.0, 48.0, 0.0, 1.0)
PLAN = b"a plan"


def engine(path: Path, plan: FakePlan, torch: FakeTorch | None = None) -> Engine:
    path.write_bytes(PLAN)
    torch = torch or FakeTorch()
    return Engine(FakeTensorRt(plan, torch), torch, path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.plan"


def images(*brightest: float) -> Any:
    """A float32 batch, each image of one brightness."""
    return np.stack([np.full((3, *SIZE), value, np.float32) for value in brightest])


def test_the_signature_is_the_engine_s_own(path: Path) -> None:
    plan = FakePlan(profile=((1, 3, 32, 32), (8, 3, 128, 128)), types={"output0": "HALF", "images": "FP8"})
    found = engine(path, plan).signature(SIZE)
    assert [(t.name, t.datatype, t.dims) for t in found.inputs] == [("images", "FP8", (3, *SIZE))]
    assert [(t.name, t.datatype, t.dims) for t in found.outputs] == [("output0", "FP16", (300, 6))]


def test_an_image_size_that_the_profile_does_not_take(path: Path) -> None:
    with pytest.raises(EvidenceError, match=r"takes \(1, 3, 64, 96\) to \(8, 3, 64, 96\)") as caught:
        engine(path, FakePlan()).signature((96, 64))
    assert "(1, 3, 96, 64)" in str(caught.value)


@pytest.mark.parametrize("least", [1, 2, 4])
def test_a_batch_under_the_profile_is_filled_and_cut_again(path: Path, least: int) -> None:
    plan = FakePlan(profile=((least, 3, *SIZE), (8, 3, *SIZE)), answers=[BOX])
    output = engine(path, plan).infer(images(0.25, 0.5))
    assert plan.ran == [(max(least, 2), 3, *SIZE)]
    assert output.shape == (2, 300, 6)
    assert output.dtype == np.float32
    assert output[:, 0, 4].tolist() == [0.25, 0.5]
    assert np.isfinite(output).all()


def test_a_batch_over_the_profile_is_refused(path: Path) -> None:
    plan = FakePlan(answers=[BOX])
    with pytest.raises(RunnerError, match=r"the profile does not take \(9, 3, 64, 96\)") as caught:
        engine(path, plan).infer(images(*[0.5] * 9))
    assert str(path) in str(caught.value)
    assert plan.ran == []


@pytest.mark.parametrize(
    ("fails", "told"), [("loading", "tensorrt 11.0.0 cannot load it"), ("memory", "no memory to run in")]
)
def test_an_engine_that_does_not_load(path: Path, fails: str, told: str) -> None:
    with pytest.raises(RunnerError, match=told):
        engine(path, FakePlan(fails=fails))


def test_an_execution_that_fails(path: Path) -> None:
    with pytest.raises(RunnerError, match="the engine failed"):
        engine(path, FakePlan(fails="execution", answers=[BOX])).infer(images(0.5))
    with pytest.raises(RunnerError, match=r"the engine failed \(RuntimeError: CUDA out of memory\.\)"):
        engine(path, FakePlan(answers=[BOX]), FakeTorch(full=True)).infer(images(0.5))


@pytest.fixture
def context(tmp_path: Path) -> RunnerContext:
    (tmp_path / "w.pt").write_bytes(b"weights")
    assert cv2.imwrite(str(tmp_path / "white.png"), np.full((128, 192, 3), 255, np.uint8))
    return RunnerContext(
        name="yolo",
        model=build_jobs.model(tmp_path / "w.pt"),
        reader=OpenCvReader(DatasetConfig(path=tmp_path)),
        score_floor=0.001,
        max_detections=300,
        sample=(),
        cache=tmp_path / "cache",
        repository=tmp_path / "repository",
        logs=tmp_path,
    )


def install(monkeypatch: pytest.MonkeyPatch, plan: FakePlan, torch: FakeTorch | None = None) -> None:
    torch = torch or FakeTorch()
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, FakeTensorRt(plan, torch, name))
    monkeypatch.setitem(sys.modules, "torch", torch)


def put(context: RunnerContext, version: str = "1", **changes: Any) -> Path:
    """A plan in its usual place, and the manifest that fits it but for the changes."""
    folder = context.repository / context.name / version
    folder.mkdir(parents=True)
    (folder / "model.plan").write_bytes(PLAN)
    model = context.model
    document = {
        **manifest().model_dump(mode="json"),
        "model": "yolo",
        "input_size": list(SIZE),
        "names": list(model.names),
        "plan_sha256": hashlib.sha256(PLAN).hexdigest(),
        "weights_sha256": hashlib.sha256(b"weights").hexdigest(),
        **changes,
    }
    (folder / "build.json").write_text(json.dumps(document))
    return folder / "model.plan"


def runner(
    context: RunnerContext, kind: type[EngineRunner] = TensorRtRunner, plan: Path | None = None
) -> EngineRunner:
    return kind(context, EngineSettings(plan=plan))


def test_an_image_is_answered_in_its_own_pixels(
    context: RunnerContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, FakePlan(answers=[BOX]))
    put(context)
    put(context, "10")
    put(context, "9")
    record = ImageRecord(
        image_id=7,
        path=tmp_path / "white.png",
        file_name="white.png",
        width=192,
        height=128,
    )
    with runner(context) as entered:
        (result,) = entered.predict([record])
        facts = entered.provenance()
    assert (result.image_id, result.status, result.message) == (7, Status.OK, "")
    assert result.boxes.tolist() == [[16.0, 32.0, 80.0, 96.0]]  # half the image's size in the network
    assert (result.scores.tolist(), result.classes.tolist()) == ([1.0], [1])
    assert (facts["runner"], facts["in_process"], facts["device"]) == ("tensorrt", "tensorrt", "a fake GPU")
    assert facts["engine_sha256"] == hashlib.sha256(PLAN).hexdigest()
    assert (facts["precision"], facts["build"]["builder"]) == ("fp16", "trtexec")
    with pytest.raises(RunnerError, match="was not entered"):
        entered.infer(images(0.5))


def test_the_newest_version_is_taken_by_its_number(context: RunnerContext) -> None:
    for version in ("9", "10", "old"):
        put(context, version)
    assert runner(context)._newest().parent.name == "10"


def test_without_an_engine_the_builder_is_named(context: RunnerContext) -> None:
    with pytest.raises(EvidenceError, match="no engine") as caught, runner(context, TensorRtRtxRunner):
        pass
    assert str(context.repository.parent / "builds" / "tensorrt-rtx" / "yolo") in str(caught.value)
    assert "parity repository build" in str(caught.value)


def test_a_plan_without_a_manifest_has_an_unknown_precision(
    context: RunnerContext, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, FakePlan())
    path.write_bytes(PLAN)
    with runner(context, TensorRtRtxRunner, path) as entered:
        facts = entered.provenance()
    assert (facts["backend"], facts["build"]) == ("tensorrt-rtx", None)
    assert facts["precision"].startswith("unknown")


def test_everything_that_the_manifest_says_otherwise_is_told(context: RunnerContext) -> None:
    plan = put(
        context, runtime="tensorrt-rtx", head="one-to-many", names=["dog", "person"], plan_sha256="0" * 64
    )
    with pytest.raises(EvidenceError) as caught, runner(context, plan=plan):
        pass
    for part in (
        "4 problems",
        "runtime is tensorrt-rtx",
        "head is one-to-many",
        "names is",
        "plan_sha256 is 000",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (FakePlan(types={"output0": "HALF"}), "output0 FP16"),
        (FakePlan(types={"images": "HALF"}), "images FP16"),
        (FakePlan(output=(6, 300)), r"\[6, 300\]"),
        (FakePlan(profile=((1, 3, 32, 32), (8, 3, 32, 32))), "takes"),
    ],
)
def test_an_engine_of_another_contract_is_refused(
    context: RunnerContext, monkeypatch: pytest.MonkeyPatch, plan: FakePlan, told: str
) -> None:
    install(monkeypatch, plan)
    put(context)
    with pytest.raises(EvidenceError, match=told), runner(context):
        pass


@pytest.mark.parametrize("kind", [TensorRtRunner, TensorRtRtxRunner])
def test_what_is_missing_is_named(
    context: RunnerContext, path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[EngineRunner]
) -> None:
    path.write_bytes(PLAN)
    install(monkeypatch, FakePlan(), FakeTorch(available=False))
    with pytest.raises(RunnerError, match="torch sees no CUDA device"), runner(context, kind, path):
        pass
    monkeypatch.setitem(sys.modules, kind.module, None)
    with pytest.raises(RunnerError, match="cannot be imported") as caught, runner(context, kind, path):
        pass
    assert "triton-parity[tensorrt-rtx,torch]" in str(caught.value)
