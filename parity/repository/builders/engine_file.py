"""The builder `engine-file`: takes an engine that exists, Ultralytics' `.engine` or a raw plan.

Ultralytics writes the length of a JSON text as 32 bits, the text, and then the plan; TensorRT and Triton take
only the plan.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, ClassVar

from parity.config import ModelConfig
from parity.errors import EvidenceError, join_problems
from parity.progress import Progress
from parity.provenance import sha256_of_file
from parity.repository.builders.base import Built, Job, Wish
from parity.repository.check.plan_header import HEADER_BYTES, LARGEST_JSON, NoPlan, PlanHeader, read_header
from parity.repository.gpu import UncertainGpu, find_gpu
from parity.repository.manifest import BatchProfile, Runtime

LARGEST = 16 << 30
"""Bytes of an engine file that are still taken for one."""

_BLOCK = 1 << 20
_PRECISIONS = {None: "fp32", 32: "fp32", 16: "fp16"}


class EngineFile:
    """Strips Ultralytics' header, if there is one, and holds what it says against the run file."""

    runtime: ClassVar[Runtime] = "tensorrt"

    def missing(self, wish: Wish) -> str:
        """The file."""
        return "" if wish.engine else "no --engine is named"

    def build(self, job: Job, progress: Progress) -> Built:
        """Copy the plan out of the file. Raises EvidenceError that names everything that does not fit."""
        engine = job.wish.engine
        if engine is None:
            raise EvidenceError(self.missing(job.wish), where="engine-file")
        plan = job.work / "plan"
        with progress.step(f"{job.name}: taking {engine.name}", 2) as step:
            metadata = strip(engine, plan)
            step.advance()
            header = check_plan(plan, engine)
            step.advance()
        problems = metadata_problems(metadata, job.config) if metadata else []
        capabilities = job.wish.capabilities
        if not capabilities:
            capabilities, problem = _of_gpu()
            problems += [problem] if problem else []
        if header.version is None:
            problems.append("its plan does not tell TensorRT's version, as those before 8.6 do not")
        if problems or header.version is None:
            raise EvidenceError(
                join_problems(problems),
                where=str(engine),
                expected="an engine of the model that the run file describes",
            )
        return Built(
            plan=plan,
            tensorrt_version=header.version,
            capabilities=capabilities,
            seconds=0.0,
            command=f"taken from {engine.name} of SHA-256 {sha256_of_file(engine)}",
            profile=_profile(metadata) if metadata else None,
            precision=stated_precision(metadata),
            versions={"tensorrt": header.version, **_maker(metadata)},
        )


def strip(engine: Path, plan: Path) -> dict[str, Any]:
    """Write the plan within `engine` to `plan`; the metadata before it, empty when there is none.

    Raises EvidenceError when the file cannot be read, is larger than LARGEST, or its header no JSON object.
    """
    try:
        size = engine.stat().st_size
        if size > LARGEST:
            raise EvidenceError(f"more than {LARGEST >> 30} GiB", where=str(engine), expected="an engine")
        with engine.open("rb") as file:
            metadata, begin = _metadata(file.read(4 + LARGEST_JSON), engine)
            file.seek(begin)
            with plan.open("wb") as target:
                while block := file.read(_BLOCK):
                    target.write(block)
    except OSError as error:
        raise _unreadable(error, engine) from error
    return metadata


def look(engine: Path) -> tuple[dict[str, Any], PlanHeader]:
    """An engine file's metadata, empty when it has none, and its plan's header, nothing else of it read.

    Raises EvidenceError as `strip` and `check_plan` do.
    """
    try:
        with engine.open("rb") as file:
            metadata, begin = _metadata(file.read(4 + LARGEST_JSON), engine)
            size = file.seek(0, os.SEEK_END) - begin
            file.seek(begin)
            return metadata, _of_tensorrt(read_header(file.read(HEADER_BYTES), size), engine)
    except OSError as error:
        raise _unreadable(error, engine) from error


def stated_precision(metadata: dict[str, Any]) -> str | None:
    """What an engine was built as by its metadata, None when that tells of neither FP32 nor FP16."""
    return _PRECISIONS.get(_quantize(metadata)) if metadata else None


def check_plan(plan: Path, shown: Path) -> PlanHeader:
    """The header of a plan that is TensorRT's. Raises EvidenceError for anything else."""
    with plan.open("rb") as file:
        return _of_tensorrt(read_header(file.read(HEADER_BYTES), plan.stat().st_size), shown)


def _of_tensorrt(header: PlanHeader | NoPlan, shown: Path) -> PlanHeader:
    if isinstance(header, NoPlan):
        raise EvidenceError(header.found, where=str(shown), expected="a TensorRT plan")
    if header.runtime != "tensorrt":
        raise EvidenceError(
            f"a plan of {header.runtime}, which Triton does not load",
            where=str(shown),
            expected="a TensorRT plan",
            remedy="build it with TensorRT",
        )
    return header


def metadata_problems(metadata: dict[str, Any], model: ModelConfig) -> list[str]:
    """What Ultralytics says of its engine against what the run file says of the model, one clause each."""
    problems = []
    if metadata.get("task") != "detect":
        problems.append(f"its task is {metadata.get('task')!r}, expected 'detect'")
    names = metadata.get("names")
    found = tuple(str(name) for name in names.values()) if isinstance(names, dict) else None
    if found != model.names:
        problems.append(
            f"its classes are {list(found or ())[:20]}, the run file's are {list(model.names)[:20]}"
        )
    size = metadata.get("imgsz")
    if size != list(model.input_size):
        problems.append(f"its input is {size}, the run file's is {list(model.input_size)}")
    wanted = model.head == "nms-free"
    if metadata.get("end2end", False) is not wanted:
        problems.append(f"end2end is {metadata.get('end2end')!r}, but head {model.head!r} means {wanted}")
    if _quantize(metadata) not in _PRECISIONS:
        problems.append(f"it is quantised to {_quantize(metadata)!r}, expected FP32 or FP16")
    if _profile(metadata) is None:
        problems.append(f"its batch is {metadata.get('batch')!r}, expected a number from 1 up")
    return problems


def _of_gpu() -> tuple[tuple[str, ...], str]:
    """The compute capability of the GPU that is here, or why it cannot be told."""
    remedy = "name the engine's with --compute-capability"
    try:
        gpu = find_gpu()
    except UncertainGpu as error:
        return (), f"{error.found}; {remedy}"
    return ((gpu.compute_capability,), "") if gpu else ((), f"no GPU is here to ask; {remedy}")


def _unreadable(error: OSError, engine: Path) -> EvidenceError:
    return EvidenceError(f"cannot be read: {error.strerror}", where=str(engine), expected="an engine file")


def _metadata(start: bytes, engine: Path) -> tuple[dict[str, Any], int]:
    """Ultralytics' metadata and where the plan begins; nothing and 0 when the file begins with the plan."""
    length = int.from_bytes(start[:4], "little")
    if start[4:5] != b"{":
        return {}, 0
    try:
        if length > LARGEST_JSON or length + 4 > len(start):
            raise ValueError(f"{length} bytes are stated")
        found = json.loads(start[4 : 4 + length].decode("utf-8"))
        if not isinstance(found, dict):
            raise TypeError("no object")
    except (ValueError, TypeError, RecursionError) as error:
        raise EvidenceError(
            f"its header is damaged: {error}", where=str(engine), expected="Ultralytics' JSON before the plan"
        ) from error
    return found, 4 + length


def _arguments(metadata: dict[str, Any]) -> dict[str, Any]:
    arguments = metadata.get("args")
    return arguments if isinstance(arguments, dict) else {}


def _quantize(metadata: dict[str, Any]) -> Any:
    """16, 8 or None; before `quantize` there were two switches."""
    arguments = _arguments(metadata)
    older = 8 if arguments.get("int8") is True else 16 if arguments.get("half") is True else None
    found = arguments.get("quantize", older)
    return found if found is None or isinstance(found, int | str) else repr(found)


def _profile(metadata: dict[str, Any]) -> BatchProfile | None:
    """A dynamic engine of Ultralytics is built from batch 1 to its batch, a static one for that alone."""
    batch = metadata.get("batch")
    if type(batch) is not int or batch < 1:
        return None
    return BatchProfile(min=1 if _arguments(metadata).get("dynamic") is True else batch, opt=batch, max=batch)


def _maker(metadata: dict[str, Any]) -> dict[str, str]:
    version = metadata.get("version")
    return {"ultralytics": version[:40]} if isinstance(version, str) else {}
