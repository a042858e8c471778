"""The demo's two models through every stage, with the real TensorRT-RTX and on a machine with no GPU."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity.config import RunFile, load
from parity.dataset import OpenCvReader
from parity.dataset import load as load_dataset
from parity.errors import EvidenceError, RunnerError, UsageError
from parity.progress import Silent
from parity.repository.build import Options, Placed, build
from parity.repository.builders import Wish
from parity.repository.builders.container import IMAGE
from parity.repository.check import Request, Target, check
from parity.repository.check.plan_header import PlanHeader, read_header
from parity.repository.export import export_onnx
from parity.repository.manifest import BatchProfile, read_manifest
from parity.runners import SETTINGS, Runner, RunnerContext, create
from parity.runners.embedded import prepare_model
from parity.serve import write_repository
from tests import build_jobs
from tests.integration import helpers

pytestmark = pytest.mark.integration
pytest.importorskip("tensorrt_rtx")

SHAPES = {"yolo26": (300, 6), "rtdetr": (100, 6)}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return helpers.cache(tmp_path_factory)


@pytest.fixture(scope="module")
def run_file() -> RunFile:
    return load(helpers.ROOT / "parity.toml", SETTINGS, ("rehearsal",))


def options(cache: Path, out: Path, **changes: Any) -> Options:
    values: dict[str, Any] = {
        "precision": "fp16",
        "converter": "onnxruntime",
        "builder": "tensorrt-rtx",
        "profile": BatchProfile(min=1, opt=4, max=8),
        "workspace_mib": 512,
        "wish": Wish(capabilities=("8.9",), engine=None),
        "repository": out,
        "version": 1,
        "onnx": None,
        "image": IMAGE,
        "cache": cache,
    }
    return Options(**{**values, **changes})


@pytest.fixture(scope="module")
def placed(cache: Path, run_file: RunFile, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Placed]:
    """Both models, YOLO26 for two kinds of GPU."""
    out = tmp_path_factory.mktemp("engines")
    capabilities = {"yolo26": ("8.9", "12.0"), "rtdetr": ("8.9",)}
    made = {}
    for name, wanted in capabilities.items():
        result = build(
            run_file, name, options(cache, out, wish=Wish(capabilities=wanted, engine=None)), Silent()
        )
        assert isinstance(result, Placed)
        made[name] = result
    return made


@pytest.mark.parametrize("name", SHAPES)
def test_a_model_builds_through_all_stages(placed: dict[str, Placed], name: str) -> None:
    found = placed[name]
    plan = found.plan.read_bytes()
    header = read_header(plan[:64], len(plan))
    assert isinstance(header, PlanHeader)
    assert header.runtime == "tensorrt-rtx"
    assert header.size == len(plan)
    manifest = read_manifest(found.folder / "build.json")
    assert manifest.tensorrt_version == header.version
    assert [stage.name for stage in manifest.stages] == ["onnx", "precision", "engine"]
    assert manifest.profile == BatchProfile(min=1, opt=4, max=8)
    assert [(t.name, t.datatype, t.dims) for t in manifest.outputs] == [("output0", "FP32", SHAPES[name])]
    assert '"workspace_mib": 512' in manifest.command


@pytest.mark.parametrize("name", SHAPES)
def test_types_are_the_ones_that_were_meant(placed: dict[str, Placed], name: str) -> None:
    import onnx

    manifest = placed[name].manifest
    graph = onnx.load(str(placed[name].folder / "model.onnx")).graph
    kinds = {tensor: kind for kind, tensors in manifest.tensor_types.items() for tensor in tensors}
    assert {kinds["images"], kinds["output0"]} == {"FP32"}
    weighted = Counter(kinds[n.input[1]] for n in graph.node if n.op_type in ("Conv", "Gemm"))
    assert set(weighted) == {"FP16"}
    kept = {kinds[n.input[0]] for n in graph.node if n.op_type in ("Softmax", "LayerNormalization")}
    assert kept == {"FP32"}


def test_capabilities_profiles_and_repositories_that_are_refused(
    cache: Path, run_file: RunFile, tmp_path: Path
) -> None:
    hopper = options(cache, tmp_path, wish=Wish(capabilities=("9.0",), engine=None))
    with pytest.raises(UsageError, match=r"does not build for 9\.0"):
        build(run_file, "yolo26", hopper, Silent())
    # Neither the command line nor a manifest lets it through, so the builder is asked past both.
    falling = BatchProfile.model_construct(min=8, opt=4, max=1)
    with pytest.raises(UsageError, match=r"the profile is refused: .*MIN<=OPT<=MAX"):
        build(run_file, "yolo26", options(cache, tmp_path, profile=falling), Silent())
    assert list(tmp_path.rglob("*.plan")) == []


def test_tensorrt_refuses_a_badly_typed_graph(cache: Path, run_file: RunFile, tmp_path: Path) -> None:
    """The parser is asked itself; parity's own look at the types comes before and would refuse it too."""
    import onnx

    from parity.repository.builders import BUILDERS
    from parity.repository.tensor_types import check_types

    exported = export_onnx(run_file.models["rtdetr"], "fp16", cache)
    model = onnx.load(str(exported.path))
    node = next(n for n in model.graph.node if n.op_type == "MatMul")
    weight = next(w for w in model.graph.initializer if w.name in node.input)
    values = onnx.numpy_helper.to_array(weight).astype(np.float32)
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    job = build_jobs.job(
        tmp_path, config=run_file.models["rtdetr"], wish=Wish(capabilities=("8.9",), engine=None)
    )
    onnx.save(model, str(job.onnx))
    with pytest.raises(EvidenceError, match=r"the parser refuses the graph(.|\n)*must have same input types"):
        BUILDERS["tensorrt-rtx"].build(job, Silent())
    with pytest.raises(EvidenceError):
        check_types(job.onnx, "fp16")


def test_an_engine_as_ultralytics_writes_it_is_taken(
    placed: dict[str, Placed], cache: Path, run_file: RunFile, tmp_path: Path
) -> None:
    """A TensorRT-RTX plan under TensorRT's tag, behind the metadata of the real export: no GPU is here."""
    import onnx

    graph = placed["yolo26"].folder / "model.onnx"
    shown = {prop.key: prop.value for prop in onnx.load(str(graph)).metadata_props}
    names = dict(enumerate(run_file.models["yolo26"].names))
    metadata = {**shown, "names": names, "imgsz": [256, 256], "batch": 8, "end2end": True}
    text = json.dumps({**metadata, "args": {"batch": 8, "quantize": 16, "dynamic": True}}).encode()
    plan = b"f" + placed["yolo26"].plan.read_bytes()[1:]
    engine = tmp_path / "best.engine"
    engine.write_bytes(len(text).to_bytes(4, "little", signed=True) + text + plan)
    wanted = options(cache, tmp_path / "out", builder=None, onnx=graph)
    taken = build(
        run_file, "yolo26", replace(wanted, wish=Wish(capabilities=("8.9",), engine=engine)), Silent()
    )
    assert isinstance(taken, Placed)
    assert taken.plan.name == "model.plan"
    assert taken.plan.read_bytes() == plan
    assert taken.manifest.builder == "engine-file"
    assert taken.manifest.profile == BatchProfile(min=1, opt=8, max=8)
    for name in ("config.pbtxt", "labels.txt"):
        production = run_file.model_repository / "yolo26" / name
        (taken.folder.parent / name).write_bytes(production.read_bytes())
    target = Target(tensorrt=taken.manifest.tensorrt_version, compute_capability="8.9")
    request = Request(
        repository=tmp_path / "out", models=("yolo26",), run_file=run_file, target=target, reports=tmp_path
    )
    assert [finding.code for finding in check(request).findings] == ["NO_EVIDENCE"]


def test_the_embedded_repository_is_the_one_that_is_served(
    cache: Path, run_file: RunFile, tmp_path: Path
) -> None:
    folder = write_repository(run_file, tuple(SHAPES), "fp16", tmp_path / "embedded", cache, Silent())
    for name in SHAPES:
        served, _ = prepare_model(name, context(cache, run_file, name, tmp_path), "fp16", 1)
        assert (folder / name / "config.pbtxt").read_text() == served.config
        assert 'backend: "python"' in served.config
        assert (folder / name / "1" / "model.onnx").read_bytes() == served.onnx.read_bytes()
        assert "TritonPythonModel" in (folder / name / "1" / "model.py").read_text()
        assert sorted(path.name for path in folder.iterdir()) == sorted(SHAPES)


def context(cache: Path, run_file: RunFile, name: str, logs: Path) -> RunnerContext:
    return RunnerContext(
        name=name,
        model=run_file.models[name],
        reader=OpenCvReader(run_file.datasets["street"]),
        score_floor=0.001,
        max_detections=300,
        sample=(),
        cache=cache,
        repository=run_file.model_repository,
        logs=logs,
    )


def runner(cache: Path, run_file: RunFile, name: str, logs: Path, **settings: Any) -> Runner:
    config = run_file.reference.model_copy(update={"runner": settings.pop("runner")})
    return create(type(config)(runner=config.runner, **settings), context(cache, run_file, name, logs))


@pytest.mark.parametrize("name", SHAPES)
def test_onnxruntime_answers_as_ultralytics_does(
    cache: Path, run_file: RunFile, placed: dict[str, Placed], tmp_path: Path, name: str
) -> None:
    images = load_dataset("street", run_file.datasets["street"], Silent()).images[:4]
    given = str(placed[name].folder / "model.onnx")
    sides = {
        "torch": {"runner": "ultralytics"},
        "fp32": {"runner": "onnxruntime"},
        "fp16": {"runner": "onnxruntime", "precision": "fp16", "provider": "cpu"},
        "given": {"runner": "onnxruntime", "onnx": given},
    }
    answers = {}
    for label, settings in sides.items():
        with runner(cache, run_file, name, tmp_path, **settings) as entered:
            answers[label] = list(entered.predict(images))
            facts = entered.provenance()
        if label != "torch":
            assert (facts["in_process"], facts["device"]) == ("onnxruntime", "cpu")
    for torch, full, half, again in zip(*answers.values(), strict=True):
        assert torch.image_id == full.image_id == half.image_id
        sure = torch.scores > 0.25
        np.testing.assert_allclose(full.boxes[: sure.sum()], torch.boxes[sure], atol=0.01)
        np.testing.assert_allclose(full.scores[: sure.sum()], torch.scores[sure], atol=1e-4)
        assert not np.array_equal(half.scores, full.scores)
        np.testing.assert_array_equal(again.scores, half.scores)  # the graph that the engine was built from


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-rtx"])
def test_an_engine_needs_a_gpu(
    cache: Path, run_file: RunFile, placed: dict[str, Placed], tmp_path: Path, name: str
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    if name == "tensorrt":
        plan = tmp_path / "model.plan"
        plan.write_bytes(build_jobs.plan())
    else:
        plan = placed["yolo26"].plan
    with (
        pytest.raises(RunnerError, match=r"no CUDA device|cannot be imported"),
        runner(cache, run_file, "yolo26", tmp_path, runner=name, plan=str(plan)),
    ):
        pass


def test_a_plan_that_is_not_the_manifests(
    cache: Path, run_file: RunFile, placed: dict[str, Placed], tmp_path: Path
) -> None:
    with (
        pytest.raises(EvidenceError, match=r"head is nms-free, expected rtdetr"),
        runner(cache, run_file, "rtdetr", tmp_path, runner="tensorrt-rtx", plan=str(placed["yolo26"].plan)),
    ):
        pass
    folder = tmp_path / "builds"
    folder.mkdir()
    (folder / "model.rtx.plan").write_bytes(placed["yolo26"].plan.read_bytes()[:-1])
    (folder / "build.json").write_bytes((placed["yolo26"].folder / "build.json").read_bytes())
    with (
        pytest.raises(EvidenceError, match="plan_sha256 is"),
        runner(
            cache,
            run_file,
            "yolo26",
            tmp_path,
            runner="tensorrt-rtx",
            plan=str(folder / "model.rtx.plan"),
        ),
    ):
        pass


def test_cuda_that_is_asked_for_is_never_replaced(cache: Path, run_file: RunFile, tmp_path: Path) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("there is CUDA here")
    with (
        pytest.raises(RunnerError, match="this ONNX Runtime has no CUDA"),
        runner(cache, run_file, "yolo26", tmp_path, runner="onnxruntime", provider="cuda"),
    ):
        pass


def test_a_graph_of_another_model_or_precision_is_not_taken_for_the_engines(
    placed: dict[str, Placed], cache: Path, run_file: RunFile, tmp_path: Path
) -> None:
    plan = tmp_path / "raw.plan"
    plan.write_bytes(b"f" + placed["yolo26"].plan.read_bytes()[1:])
    wish = Wish(capabilities=("8.9",), engine=plan)
    other = placed["rtdetr"].folder / "model.onnx"
    with pytest.raises(EvidenceError, match="end2end = False"):
        build(
            run_file,
            "yolo26",
            options(cache, tmp_path / "out", builder=None, onnx=other, wish=wish),
            Silent(),
        )
    assert not (tmp_path / "out").exists()
    plain = export_onnx(run_file.models["yolo26"], "fp32", cache).path
    wanted = options(cache, tmp_path / "out", builder=None, onnx=plain, wish=wish, precision="fp16")
    taken = build(run_file, "yolo26", wanted, Silent())
    assert isinstance(taken, Placed)
    assert taken.manifest.precision == "fp32", "the graph has no FP16 tensor"
