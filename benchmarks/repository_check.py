"""How long `parity repository check` takes on ten models, as a process of its own.

    nox -s benchmarks

Nine models are the demo's YOLO26n in FP16 (some 5 MB) as it is exported; the tenth is the same graph with
100 MB of weights added. No TensorRT is at hand, so each plan is as many bytes as its graph behind a plan's
header; the check reads no more of a real one. Every file is digested in each run. Goal: under a second, the
start of the interpreter included. Beside it stand two lower bounds from the same run: an interpreter that
does nothing, and one that imports `onnx` and `tritonclient.grpc`, as a check in the usual way would.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from parity.config import ModelConfig, load
from parity.provenance import sha256_of_file
from parity.repository.export import ExportedModel, export_onnx
from parity.repository.manifest import (
    MANIFEST_NAME,
    ONNX_NAME,
    PLAN_NAME,
    BatchProfile,
    BuildManifest,
    Stage,
    Tensor,
    write_manifest,
)

ROOT = Path(__file__).resolve().parents[1]
NAME = "yolo26"
MODELS = 10
LARGE_BYTES = 100_000_000
GOAL_S = 1.0
TARGET = ("--tensorrt", "11.0", "--compute-capability", "9.0")


def make_repository(folder: Path, cache: Path) -> tuple[int, int]:
    """Write the ten models, which check without an error; bytes that are digested, and files."""
    model = load(ROOT / "parity.toml", None, None).models[NAME]
    exported = export_onnx(model, "fp16", cache)
    total = 0
    for number in range(MODELS):
        name = f"{NAME}-{number}"
        version = folder / name / "1"
        version.mkdir(parents=True)
        text = (ROOT / "model_repository" / NAME / "config.pbtxt").read_text("utf-8")
        (folder / name / "config.pbtxt").write_text(
            text.replace(f'name: "{NAME}"', f'name: "{name}"'), "utf-8"
        )
        shutil.copyfile(ROOT / "model_repository" / NAME / "labels.txt", folder / name / "labels.txt")
        graph = version / ONNX_NAME
        if number == MODELS - 1:
            _with_weights(exported.path, graph)
        else:
            shutil.copyfile(exported.path, graph)
        size = graph.stat().st_size
        plan = b"ftrt" + struct.pack("<IIIQ", 0, 2, 0, size) + bytes((11, 0, 0, 0))
        (version / PLAN_NAME).write_bytes(plan + os.urandom(size - len(plan)))
        write_manifest(_manifest(name, model, exported, version), version / MANIFEST_NAME)
        total += 2 * size
    return total, 2 * MODELS


def _with_weights(source: Path, target: Path) -> None:
    import onnx

    model = onnx.load(str(source))
    model.graph.initializer.add(
        name="padding",
        data_type=onnx.TensorProto.FLOAT16,
        dims=[LARGE_BYTES // 2],
        raw_data=os.urandom(LARGE_BYTES),
    )
    onnx.save(model, str(target))


def _manifest(name: str, model: ModelConfig, exported: ExportedModel, version: Path) -> BuildManifest:
    def tensors(specs: Any) -> tuple[Tensor, ...]:
        return tuple(Tensor(name=s.name, datatype=s.datatype, dims=s.dims) for s in specs)

    plan = sha256_of_file(version / PLAN_NAME)
    return BuildManifest(
        model=name,
        family=model.family,
        head=model.head,
        resize=model.resize,
        input_size=model.input_size,
        names=model.names,
        precision="fp16",
        runtime="tensorrt",
        builder="none: bytes in place of a plan",
        weights_sha256=exported.weights_sha256,
        onnx_sha256=sha256_of_file(version / ONNX_NAME),
        plan_sha256=plan,
        stages=(Stage(name="engine", sha256=plan, seconds=0.0, versions={}),),
        inputs=tensors(exported.signature.inputs),
        outputs=tensors(exported.signature.outputs),
        profile=BatchProfile(min=1, opt=4, max=8),
        tensor_types={"FP16": ("weights",)},
        tensorrt_version="11.0.0",
        driver_version=None,
        gpu=None,
        compute_capabilities=("9.0",),
        finished=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        seconds=0.0,
        command="python -m benchmarks.repository_check",
    )


def timed(arguments: list[str], folder: Path) -> tuple[float, float, str]:
    """Wall and processor seconds of a Python process, and what it printed.

    Raises CalledProcessError when it fails.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    took, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, processor, done.stdout


def main() -> None:
    """Measure, and write benchmarks/results/repository_check.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cache", type=Path, default=user_cache_path("parity"))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "repository_check.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parity-") as place:
        repository = Path(place) / "repository"
        total, files = make_repository(repository, given.cache)
        commands = {
            "check": ["-m", "parity", "repository", "check", "repository", "--json", *TARGET],
            "interpreter": ["-c", "pass"],
            "imports": ["-c", "import onnx, tritonclient.grpc"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        processor: dict[str, list[float]] = {name: [] for name in commands}
        for round_number in range(given.rounds + 1):
            for name, arguments in commands.items():
                took, worked, printed = timed(arguments, Path(place))
                if round_number:  # the first round compiles bytecode and fills the page cache
                    seconds[name].append(took)
                    processor[name].append(worked)
                if name == "check":
                    document = json.loads(printed)
                    if document["errors"] or len(document["models"]) != MODELS:
                        raise SystemExit(f"the repository does not check clean: {printed[:2000]}")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    result = {
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "models": MODELS,
        "digested": {"files": files, "megabytes": round(total / 1e6, 1)},
        "load": [round(load, 1) for load in os.getloadavg()],
        "seconds": {name: {"median": medians[name], "all": values} for name, values in seconds.items()},
        "processor_seconds": {name: statistics.median(values) for name, values in processor.items()},
        "slowest_check": max(seconds["check"]),
        "goal": GOAL_S,
        "ratio_to_imports": medians["check"] / medians["imports"],
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n")
    print(f"check of {MODELS} models, {total / 1e6:.0f} MB: {medians['check']:.2f} s (goal {GOAL_S:g} s)")
    print(f"slowest {max(seconds['check']):.2f} s; the usual imports alone {medians['imports']:.2f} s")
    print(f"processor time {statistics.median(processor['check']):.2f} s; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
