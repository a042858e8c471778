"""The GPU of this machine, as its driver's own tool tells of it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

QUERY = ("nvidia-smi", "--query-gpu=name,driver_version,compute_cap", "--format=csv,noheader")
TIMEOUT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One device. compute_capability: such as "8.9"."""

    name: str
    driver: str
    compute_capability: str


def find_gpu() -> Gpu | None:
    """The first GPU, None where no NVIDIA driver answers."""
    try:
        told = subprocess.run(QUERY, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_query(told.stdout)


def parse_query(text: str) -> Gpu | None:
    """The first row of QUERY's answer, None for anything else."""
    for line in text.splitlines():
        name, _, rest = line.rpartition(",")[0].rpartition(",")
        parts = [name, rest, line.rpartition(",")[2]]
        stripped = [part.strip() for part in parts]
        if all(stripped) and stripped[2].replace(".", "", 1).isdigit():
            return Gpu(name=stripped[0], driver=stripped[1], compute_capability=stripped[2])
    return None
