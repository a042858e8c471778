"""A real engine of the demo's YOLO26n, built on this machine's GPU and held to ONNX Runtime's answers.

Where it is skipped, nothing has been shown of TensorRT: the tests on stand-ins, in
tests/unit/runners/test_engine.py, hold only what parity itself does around it.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity.config import RunFile, load
from parity.dataset import OpenCvReader
from parity.dataset import load as load_dataset
from parity.progress import Silent
from parity.repository.build import Options, Placed, build
from parity.repository.builders import Wish
from parity.repository.builders.container import IMAGE
from parity.repository.check import Request, Severity, Target, check
from parity.repository.gpu import Gpu, UncertainGpu, find_gpu
from parity.repository.manifest import BatchProfile
from parity.runners import SETTINGS, ImageResult, RunnerContext, create
from tests.integration import helpers

pytestmark = [pytest.mark.integration, pytest.mark.gpu]

MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
NAME = "yolo26"
SURE = 0.25
"""Scores from which on a detection has to be found again by the other runtime."""


def gpu() -> Gpu:
    """CUDA's device 0 as torch can use it, or skip the test with the reason."""
    try:
        found = find_gpu()
    except UncertainGpu as error:
        pytest.skip(error.found)
    if found is None:
        pytest.skip("nvidia-smi finds no GPU, or none is visible")
    import torch

    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    return found


@pytest.fixture(params=MODULES)
def engine(request: pytest.FixtureRequest, tmp_path: Path, run_file: RunFile, cache: Path) -> Placed:
    """YOLO26n in FP32 by each library that is installed."""
    name: str = request.param
    if importlib.util.find_spec(MODULES[name]) is None:
        pytest.skip(f"{MODULES[name]} is not installed")
    device = gpu()
    if name == "tensorrt-rtx":
        from parity.repository.trt_api import known_capabilities

        known = known_capabilities(importlib.import_module(MODULES[name]))
        if device.compute_capability not in known:
            pytest.skip(f"TensorRT-RTX does not build for {device.compute_capability}, of {', '.join(known)}")
    options = Options(
        precision="fp32",
        converter=None,
        builder=name,
        profile=BatchProfile(min=1, opt=1, max=8),
        workspace_mib=2048,
        wish=Wish(capabilities=(device.compute_capability,), engine=None),
        repository=tmp_path / "repository",
        version=1,
        onnx=None,
        image=IMAGE,
        cache=cache,
    )
    placed = build(run_file, NAME, options, Silent())
    assert isinstance(placed, Placed)
    assert device.compute_capability in placed.manifest.compute_capabilities
    return placed


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return helpers.cache(tmp_path_factory)


@pytest.fixture
def run_file() -> RunFile:
    return load(helpers.ROOT / "parity.toml", SETTINGS, ("rehearsal",))


def answers(run_file: RunFile, cache: Path, logs: Path, runner: str, **settings: Any) -> list[ImageResult]:
    """Of the first eight images of the demo's data set."""
    images = load_dataset("street", run_file.datasets["street"], Silent()).images[:8]
    context = RunnerContext(
        name=NAME,
        model=run_file.models[NAME],
        reader=OpenCvReader(run_file.datasets["street"]),
        score_floor=0.001,
        max_detections=300,
        sample=(),
        cache=cache,
        repository=run_file.model_repository,
        logs=logs,
    )
    with create(type(run_file.reference)(runner=runner, **settings), context) as entered:
        return list(entered.predict(images))


def test_an_engine_answers_as_onnxruntime_does(
    engine: Placed, run_file: RunFile, cache: Path, tmp_path: Path
) -> None:
    onnx = str(engine.folder / "model.onnx")
    wanted = answers(run_file, cache, tmp_path, "onnxruntime", onnx=onnx, provider="cpu")
    found = answers(run_file, cache, tmp_path, engine.manifest.runtime, plan=str(engine.plan))
    assert len(found) == len(wanted) == 8
    assert sum(int((one.scores > SURE).sum()) for one in wanted) > 8, "too few detections to compare"
    for one, other in zip(wanted, found, strict=True):
        assert (other.image_id, other.status, other.nonfinite) == (one.image_id, one.status, 0)
        for box, score, kind in zip(one.boxes, one.scores, one.classes, strict=True):
            if score > SURE:
                # TF32 in convolutions moves a score by some thousandths, and a box by parts of a pixel.
                alike = (other.classes == kind) & (np.abs(other.scores - score) < 0.02)
                assert (np.abs(other.boxes[alike] - box).max(axis=1) < 1.0).any(), (one.image_id, box, score)


def test_a_plan_of_tensorrt_checks_without_an_error(engine: Placed, run_file: RunFile) -> None:
    """The one place where a header that TensorRT itself wrote is read."""
    manifest = engine.manifest
    if manifest.runtime != "tensorrt":
        pytest.skip("of TensorRT-RTX, whose plans the check refuses for Triton")
    production = run_file.model_repository / NAME
    for name in ("config.pbtxt", "labels.txt"):
        (engine.folder.parent / name).write_bytes((production / name).read_bytes())
    target = Target(tensorrt=manifest.tensorrt_version, compute_capability=manifest.compute_capabilities[0])
    found = check(
        Request(repository=engine.folder.parents[1], models=(NAME,), run_file=run_file, target=target)
    ).findings
    assert [finding for finding in found if finding.severity is Severity.ERROR] == []
