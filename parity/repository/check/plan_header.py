"""What the first bytes of a plan tell. Pure.

A plan's format is not documented. Known of it, and used here:
- NVIDIA's trtexec (`printPlanVersion` in samples/common/sampleEngines.cpp) takes four bytes `ftrt`, a 32-bit
  serialisation version, and, where that is 0, the four parts of TensorRT's version from byte 24 on.
- Of that serialisation, byte 16 on is the plan's whole size in 64 bits: seen in plans that TensorRT-RTX 1.7
  built, whose tag is `vtrt`, and read there by Netron in those of TensorRT.
So a plan of that serialisation which was cut off shows it, and any other kind of damage does not.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from parity.repository.manifest import Runtime

HEADER_BYTES = 28
LARGEST_JSON = 1 << 20
"""Bytes. Ultralytics' header is some 700 bytes long, and grows with the class names."""

_TAGS: dict[bytes, Runtime] = {b"ftrt": "tensorrt", b"vtrt": "tensorrt-rtx"}
_OTHERS = {
    b"PK\x03\x04": "a zip archive, such as a PyTorch checkpoint",
    b"\x80\x02": "a Python pickle",
    b"version https://git-lfs": "a Git LFS pointer, whose file was not fetched",
    b"\x7fELF": "a program or a shared library",
    b"\x1f\x8b": "a gzip archive",
    b"\x08": "probably an ONNX model",
}


@dataclass(frozen=True, kw_only=True)
class PlanHeader:
    """A plan's tag and what follows it. version, size in bytes: None where the layout is not known."""

    runtime: Runtime
    serialization: int
    version: str | None
    size: int | None


@dataclass(frozen=True, kw_only=True)
class NoPlan:
    """Why a file cannot be loaded as a plan."""

    code: Literal["ENGINE_HEADER", "NOT_A_PLAN", "PLAN_TRUNCATED"]
    found: str


def read_header(start: bytes, size: int) -> PlanHeader | NoPlan:
    """What a file of `size` bytes that begins with `start` is.

    start: at least the first HEADER_BYTES of the file, or all of it when it is shorter.
    """
    if not size:
        return NoPlan(code="NOT_A_PLAN", found="an empty file")
    runtime = _TAGS.get(start[:4])
    if runtime is None:
        return _something_else(start, size)
    if size < HEADER_BYTES:
        return NoPlan(code="PLAN_TRUNCATED", found=f"{size} bytes, less than a plan's header")
    serialization, stated = struct.unpack_from("<I", start, 4)[0], struct.unpack_from("<Q", start, 16)[0]
    if serialization:
        return PlanHeader(runtime=runtime, serialization=serialization, version=None, size=None)
    if size < stated:
        return NoPlan(code="PLAN_TRUNCATED", found=f"{size:,} of the {stated:,} bytes that its header states")
    version = ".".join(str(part) for part in start[24:28])
    return PlanHeader(runtime=runtime, serialization=0, version=version, size=stated)


def _something_else(start: bytes, size: int) -> NoPlan:
    length = int.from_bytes(start[:4], "little")
    if 2 <= length <= LARGEST_JSON and length + 4 <= size and start[4:5] == b"{":
        # The text itself is not parsed: whatever it says, TensorRT does not get past it.
        return NoPlan(code="ENGINE_HEADER", found=f"{length + 4} bytes of Ultralytics header before the plan")
    what = next((name for magic, name in _OTHERS.items() if start.startswith(magic)), None)
    return NoPlan(code="NOT_A_PLAN", found=what or f"a file that begins with {start[:4].hex(' ')}")
