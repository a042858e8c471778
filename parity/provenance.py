"""Digests, versions and devices: what exactly ran."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from parity.errors import EvidenceError

PACKAGES = (
    "triton-parity",
    "numpy",
    "opencv-python",
    "pyarrow",
    "torch",
    "torchvision",
    "ultralytics",
    "onnx",
    "onnxruntime",
    "tritonclient",
)


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file as hexadecimal digits. Raises EvidenceError when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise EvidenceError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return digest.hexdigest()


def environment() -> dict[str, Any]:
    """Python, platform, processor count and the versions of the packages that matter; JSON values only."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "packages": {name: version for name in PACKAGES if (version := package_version(name))},
    }


def package_version(name: str) -> str | None:
    """Version of an installed distribution, None when it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
