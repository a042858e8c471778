"""A TensorRT plan in process: the engine that Triton would load, without Triton around it."""

from __future__ import annotations

from typing import ClassVar

from parity.repository.manifest import Runtime
from parity.runners.engine import EngineRunner


class TensorRtRunner(EngineRunner):
    """Runs `model.plan` with the installed TensorRT, which must be the one that built it."""

    runtime: ClassVar[Runtime] = "tensorrt"
    module: ClassVar[str] = "tensorrt"
