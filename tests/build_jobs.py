"""What the tests of builders share: a job, and the bytes of a plan."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from parity.config import ModelConfig
from parity.repository.builders import Job, Wish
from parity.repository.manifest import BatchProfile

NAMES = ("person", "dog")


def model(weights: Path = Path("w.pt"), **changes: Any) -> ModelConfig:
    """A YOLO26 with two classes."""
    return ModelConfig.model_validate(
        {
            "family": "yolo26",
            "weights": weights,
            "input_size": (64, 96),
            "resize": "letterbox",
            "head": "nms-free",
            "names": NAMES,
            **changes,
        }
    )


def job(folder: Path, **changes: Any) -> Job:
    """A job with an empty work folder under `folder`."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    values: dict[str, Any] = {
        "name": "yolo",
        "config": model(),
        "onnx": folder / "model.onnx",
        "input_name": "images",
        "profile": BatchProfile(min=1, opt=4, max=8),
        "workspace_mib": None,
        "wish": Wish(capabilities=(), engine=None),
        "image": "registry.example/triton:1",
        "handover": folder / "hand over",
        "work": work,
    }
    return Job(**{**values, **changes})


def plan(tag: bytes = b"ftrt", size: int = 100) -> bytes:
    """A plan's header as TensorRT 10.16.2 writes it, with nothing behind that a library could load."""
    head = tag + struct.pack("<IIIQ", 0, 2, 0, size) + bytes([10, 16, 2, 10])
    return head.ljust(size, b"\0")
