"""From weights to ONNX: exported once, kept in a cache, verified whenever it is used again."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.config import ModelConfig
from parity.errors import EvidenceError, RunnerError, UsageError
from parity.progress import Progress, Silent, Step
from parity.provenance import package_version, sha256_of_file
from parity.repository.exported import ExportedModel, read_entry
from parity.repository.fp16 import PACKAGES, Converter
from parity.repository.lock import exclusive
from parity.repository.precision import Precision
from parity.repository.worker import stage_count
from parity.repository.workers import run_worker

__all__ = ["ExportedModel", "export_onnx"]

OPSET = 17
RECIPE = 6
"""Raised whenever the way of exporting changes, so that older cache entries are not taken."""

VERSIONS = ("ultralytics", "torch", "onnx", "onnxslim", "onnxruntime")

_FIXED_SEED = {"PYTHONHASHSEED": "0"}
"""onnxslim orders nodes by hashes: with a fixed seed the same weights give the same file."""


def export_onnx(
    model: ModelConfig,
    precision: Precision,
    cache: Path,
    calibration: Iterable[NDArray[np.float32]] = (),
    progress: Progress | None = None,
    converter: Converter = "onnxruntime",
) -> ExportedModel:
    """The model as ONNX with a dynamic batch, from the cache or exported now.

    calibration: float32 (1, 3, H, W) tensors at the model's input size, 0 to 1, read for "int8" only and
    then held in memory together. converter: what makes "fp16" of the FP32 network. Two processes that ask
    for the same export wait for each other; an entry that does not match its own digest is made again.
    Raises EvidenceError for weights that are missing or no such detector and for a graph that is not typed as
    asked, UsageError for INT8 without calibration images, RunnerError when a package is not installed or the
    export fails in an unforeseen way.
    """
    progress = progress or Silent()
    if not model.weights.is_file():
        raise EvidenceError(
            "no such weights", where=str(model.weights), expected="an Ultralytics .pt checkpoint"
        )
    settings: dict[str, Any] = {
        "recipe": RECIPE,
        "weights_sha256": sha256_of_file(model.weights),
        "family": model.family,
        "head": model.head,
        "input_size": list(model.input_size),
        "precision": precision,
        "converter": converter if precision == "fp16" else "",
        "opset": OPSET,
        "versions": _versions(converter if precision == "fp16" else None),
        "calibration_images": 0,
        "calibration_sha256": "",
    }
    tensors: NDArray[np.float32] | None = None
    source: ExportedModel | None = None
    if precision == "int8":
        tensors = _calibration(calibration, model.input_size)
        settings["calibration_images"] = len(tensors)
        settings["calibration_sha256"] = hashlib.sha256(tensors.tobytes()).hexdigest()
    if precision != "fp32":
        source = export_onnx(model, "fp32", cache, progress=progress)
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:24]
    entry = cache / "onnx" / digest
    with exclusive(entry.parent / f".{digest}.lock"):
        found = read_entry(entry, settings)
        if found is not None:
            return found
        stages = stage_count(precision)
        with progress.step(f"exporting {model.weights.name}, {precision}", stages) as step:
            _build_entry(entry, settings, model, source, tensors, step)
    built = read_entry(entry, settings)
    if built is None:
        raise RunnerError(
            "the export was damaged as soon as it was written",
            where=str(entry),
            expected="a file that keeps its SHA-256",
            remedy="check the disk and its free space",
        )
    return built


def _build_entry(
    entry: Path,
    settings: dict[str, Any],
    model: ModelConfig,
    source: ExportedModel | None,
    tensors: NDArray[np.float32] | None,
    step: Step,
) -> None:
    """Export into a folder of its own, then put it in the entry's place by one rename."""
    for left in entry.parent.glob(f".{entry.name}.part-*"):  # of a killed run; the lock is ours
        shutil.rmtree(left, ignore_errors=True)
    part = Path(tempfile.mkdtemp(prefix=f".{entry.name}.part-", dir=entry.parent))
    try:
        work = part / "work"
        work.mkdir()
        request = {**settings, "target": str(part / "model.onnx"), "weights_shown": str(model.weights)}
        if source is None:
            # A copy: Ultralytics writes its exports beside the weights, and those are the user's folder.
            request["weights"] = str(shutil.copyfile(model.weights, work / "weights.pt"))
        else:
            request["source"] = str(source.path)
        if tensors is not None:
            request["calibration"] = str(work / "calibration.npy")
            np.save(work / "calibration.npy", tensors, allow_pickle=False)
        started = time.monotonic()
        answer = run_worker(
            "parity.repository.worker",
            work,
            request,
            step,
            shown=str(model.weights),
            variables={**_FIXED_SEED, "YOLO_CONFIG_DIR": str(work)},
        )
        seconds = round(time.monotonic() - started, 3)
        shutil.rmtree(work)
        document = {
            **settings,
            "sha256": sha256_of_file(part / "model.onnx"),
            "names": list(source.names) if source else answer["names"],
            "signature": answer["signature"],
            "seconds": seconds,
        }
        (part / "export.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        part.chmod(0o755)
        shutil.rmtree(entry, ignore_errors=True)
        part.replace(entry)
    except OSError as error:
        raise RunnerError(
            f"the export cannot be stored: {error.strerror or error}",
            where=str(entry),
            remedy="free some space, or choose another cache folder",
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _calibration(tensors: Iterable[NDArray[np.float32]], size: tuple[int, int]) -> NDArray[np.float32]:
    """The calibration tensors as one array (n, 3, H, W), checked."""
    rows = list(tensors)
    expected = (1, 3, *size)
    for index, row in enumerate(rows):
        if row.shape != expected or row.dtype != np.float32 or not np.isfinite(row).all():
            raise EvidenceError(
                f"calibration tensor {index} is {row.dtype} {row.shape}",
                where="INT8 export",
                expected=f"finite float32 {expected}",
            )
    if not rows:
        raise UsageError(
            "no calibration images",
            where="INT8 export",
            expected="at least one image of the data set",
            remedy="give calibration images, or choose precision fp32 or fp16",
        )
    return np.concatenate(rows)


def _versions(converter: Converter | None) -> dict[str, str]:
    """Versions of the packages that an export depends on. Raises RunnerError when a needed one is missing."""
    needed = dict.fromkeys([*VERSIONS, *([PACKAGES[converter]] if converter else [])])
    versions = {name: version for name in needed if (version := package_version(name))}
    missing = [name for name in needed if name not in versions]
    if missing:
        raise RunnerError(
            f"not installed: {', '.join(missing)}",
            where="ONNX export",
            remedy="pip install 'triton-parity[torch,embedded]', and nvidia-modelopt[onnx] for its converter",
        )
    return versions
