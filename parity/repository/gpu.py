"""Which GPU an engine is built on: CUDA's device 0, as nvidia-smi and the environment tell of it.

nvidia-smi lists all GPUs by their place on the PCI bus. CUDA counts only those of CUDA_VISIBLE_DEVICES, in
its order, and takes a number there for a place on the bus only where CUDA_DEVICE_ORDER is PCI_BUS_ID: by
default (FASTEST_FIRST) number 0 is the fastest, by a measure that nobody states. So with GPUs of several
kinds and neither an order nor a UUID it is uncertain which one is meant, and it is said so. Source: NVIDIA's
CUDA C++ Programming Guide, "CUDA Environment Variables", and its MIG User Guide.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from parity.errors import RunnerError

QUERY = ("nvidia-smi", "--query-gpu=index,uuid,name,driver_version,compute_cap", "--format=csv,noheader")
LIST = ("nvidia-smi", "-L")
TIMEOUT_S = 20.0

_ROW = re.compile(r"(\d{1,4}), *(GPU-[^,\s]+), *(\S.*?), *([^,\s]+), *(\d{1,2}\.\d)", re.ASCII)
_UUID = re.compile(r"\(UUID: ((GPU|MIG)-[^)\s]+)\)")
_OLD_MIG = re.compile(r"MIG-(GPU-[^/]+)/\d+/\d+")


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One device. compute_capability: such as "8.9"."""

    name: str
    driver: str
    compute_capability: str


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A GPU as nvidia-smi lists it. index: its place on the PCI bus, from 0."""

    index: int
    uuid: str
    gpu: Gpu


class UncertainGpu(RunnerError):
    """GPUs of several kinds are here, and nothing says which of them CUDA calls device 0."""


def find_gpu(environment: Mapping[str, str] | None = None) -> Gpu | None:
    """CUDA's device 0, None where no NVIDIA driver answers or no GPU is visible. Raises UncertainGpu.

    environment: None for the process's own.
    """
    environment = os.environ if environment is None else environment
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    listed = parse_query(_ask(QUERY))
    parents = parse_parents(_ask(LIST)) if listed and visible and visible.startswith("MIG-") else {}
    return first_device(listed, visible, environment.get("CUDA_DEVICE_ORDER"), parents)


def first_device(
    listed: Sequence[Listed], visible: str | None, order: str | None, parents: Mapping[str, str]
) -> Gpu | None:
    """Which of the listed GPUs is CUDA's device 0.

    visible, order: CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER, None where they are not set. parents: UUID of
    the GPU by that of its MIG instances. Raises UncertainGpu.
    """
    wanted = "0" if visible is None else visible.split(",")[0].strip()
    if not re.fullmatch(r"[0-9]{1,4}", wanted, re.ASCII):
        return _by_uuid(listed, wanted, parents)
    if int(wanted) >= len(listed):
        return None
    if order == "PCI_BUS_ID":
        return next((each.gpu for each in listed if each.index == int(wanted)), None)
    kinds = list(dict.fromkeys(each.gpu for each in listed))
    if len(kinds) > 1:
        shown = ", ".join(f"{gpu.name} of {gpu.compute_capability}" for gpu in kinds)
        raise UncertainGpu(
            f"{len(listed)} GPUs are here ({shown}), "
            f"and which of them CUDA calls device {wanted} is not certain",
            where="CUDA_DEVICE_ORDER" if visible is None else f"CUDA_VISIBLE_DEVICES={visible}",
            expected="PCI_BUS_ID, the order of nvidia-smi, or a GPU's UUID in CUDA_VISIBLE_DEVICES",
            remedy="export CUDA_DEVICE_ORDER=PCI_BUS_ID",
        )
    return kinds[0]


def _by_uuid(listed: Sequence[Listed], wanted: str, parents: Mapping[str, str]) -> Gpu | None:
    """The GPU of this UUID, or of its first characters, which CUDA takes too; None when that is not one."""
    old = _OLD_MIG.fullmatch(wanted)
    uuid = old[1] if old else parents.get(wanted, wanted)
    found = [each.gpu for each in listed if uuid.startswith("GPU-") and each.uuid.startswith(uuid)]
    return found[0] if len(found) == 1 else None


def parse_query(text: str) -> tuple[Listed, ...]:
    """The rows of QUERY's answer; a GPU that tells no compute capability is left out."""
    rows = [_ROW.fullmatch(line.strip()) for line in text.splitlines()]
    return tuple(
        Listed(index=int(row[1]), uuid=row[2], gpu=Gpu(name=row[3], driver=row[4], compute_capability=row[5]))
        for row in rows
        if row
    )


def parse_parents(text: str) -> dict[str, str]:
    """UUID of the GPU by that of each MIG instance, from LIST's answer, where each GPU heads its own."""
    parents, gpu = {}, ""
    for found in _UUID.finditer(text):
        if found[2] == "GPU":
            gpu = found[1]
        elif gpu:
            parents[found[1]] = gpu
    return parents


def _ask(command: Sequence[str]) -> str:
    """What nvidia-smi says; nothing where it is not there or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
