"""`build.json`, which lies beside every plan: what it was built from, by what, and for which GPU.

A plan tells nothing of this itself, and Triton finds out only when it loads it. A plan without a manifest is
therefore a finding of its own.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import Self

from parity.config import Family, Head, Resize
from parity.errors import EvidenceError, join_problems
from parity.files import write_whole

MANIFEST_NAME = "build.json"
PLAN_NAME = "model.plan"
RTX_PLAN_NAME = "model.rtx.plan"
"""Another name, since Triton would take a `model.plan` for one of TensorRT's and fail on loading it."""
ONNX_NAME = "model.onnx"
"""The graph that the plan was built from; Triton ignores it in a version folder of `tensorrt_plan`."""

FORMAT: Literal[1] = 1
LARGEST = 16 << 20

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Runtime = Literal["tensorrt", "tensorrt-rtx"]
PLAN_NAMES: dict[Runtime, str] = {"tensorrt": PLAN_NAME, "tensorrt-rtx": RTX_PLAN_NAME}
STRONGLY_TYPED = 11
"""TensorRT's major version from which an engine has its graph's types: before it, FP16 could be a flag."""

CAPABILITY_PATTERN = r"^[0-9]{1,2}\.[0-9]$"
ComputeCapability = Annotated[str, Field(pattern=CAPABILITY_PATTERN)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Tensor(_Strict):
    """One input or output. datatype: Triton's name, such as FP32. dims: without the batch, -1 for any."""

    name: str = Field(min_length=1)
    datatype: str
    dims: tuple[Annotated[int, Field(ge=-1)], ...]


class BatchProfile(_Strict):
    """The batch sizes of the one optimisation profile."""

    min: int = Field(ge=1)
    opt: int = Field(ge=1)
    max: int = Field(ge=1)

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.min <= self.opt <= self.max:
            raise ValueError(f"{self.min}, {self.opt}, {self.max} do not rise")
        return self


class Stage(_Strict):
    """One step of the build. sha256: of what it made. versions: of the packages that made it."""

    name: str
    sha256: Digest
    seconds: float = Field(ge=0)
    versions: dict[str, str]


class BuildManifest(_Strict):
    """Everything that is known of one plan.

    runtime: which library loads it; only `tensorrt` is what Triton's `tensorrt_plan` takes. tensor_types:
    names of the graph's tensors by their type, weights included. compute_capabilities: that the plan was
    built for, such as "9.0". driver_version, gpu: of the machine that built it, None without a GPU.
    finished: ISO 8601 with time zone. seconds: of the engine's build alone.
    """

    format: Literal[1] = FORMAT
    model: str
    family: Family
    head: Head
    resize: Resize
    input_size: tuple[int, int]
    names: tuple[str, ...] = Field(min_length=1)
    precision: Literal["fp32", "fp16"]
    runtime: Runtime
    builder: str
    weights_sha256: Digest
    onnx_sha256: Digest
    plan_sha256: Digest
    stages: tuple[Stage, ...] = Field(min_length=1)
    inputs: tuple[Tensor, ...] = Field(min_length=1)
    outputs: tuple[Tensor, ...] = Field(min_length=1)
    profile: BatchProfile
    tensor_types: dict[str, tuple[str, ...]]
    tensorrt_version: str = Field(min_length=1)
    driver_version: str | None
    gpu: str | None
    compute_capabilities: tuple[ComputeCapability, ...] = Field(min_length=1)
    finished: str
    seconds: float = Field(ge=0)
    command: str

    @property
    def half_by_flag(self) -> bool:
        """Whether its FP16 can have been a flag of a builder that was not parity's, unseen in the graph."""
        return (
            self.builder == "engine-file" and self.precision == "fp16" and knows_flags(self.tensorrt_version)
        )


def knows_flags(tensorrt_version: str) -> bool:
    """Whether this TensorRT takes its precision from flags; False for what is no version."""
    major = re.match(r"[0-9]{1,4}(?![0-9])", tensorrt_version)
    return major is not None and int(major[0]) < STRONGLY_TYPED


def read_manifest(path: Path) -> BuildManifest:
    """Read and validate a manifest.

    Raises EvidenceError that names every mistake at once, FileNotFoundError when there is no such file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise EvidenceError(f"cannot be read: {error.strerror}", where=str(path)) from error
    if len(content) > LARGEST:
        raise EvidenceError(f"more than {LARGEST >> 20} MiB", where=str(path), expected="a build manifest")
    try:
        # The JSON mode of pydantic takes lists for tuples, and converts no other types.
        return BuildManifest.model_validate_json(content, strict=True)
    except ValidationError as error:
        raise EvidenceError(
            join_problems([_describe(dict(detail)) for detail in error.errors()[:20]]),
            where=str(path),
            expected="a manifest as `parity repository build` writes it",
            remedy="build the engine again",
        ) from error


def write_manifest(manifest: BuildManifest, path: Path) -> None:
    """Write it whole or not at all."""
    write_whole(path, json.dumps(manifest.model_dump(mode="json"), indent=1) + "\n")


def _describe(detail: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in detail["loc"])
    return f"{place or 'the document'}: {detail['msg']}"
