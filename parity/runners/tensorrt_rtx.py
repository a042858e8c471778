"""A TensorRT-RTX plan in process: the nearest thing to the real engine that `pip install` gives."""

from __future__ import annotations

from typing import ClassVar

from parity.repository.manifest import Runtime
from parity.runners.engine import EngineRunner


class TensorRtRtxRunner(EngineRunner):
    """Runs `model.rtx.plan`; kernels are compiled for the GPU at hand when it is loaded."""

    runtime: ClassVar[Runtime] = "tensorrt-rtx"
    module: ClassVar[str] = "tensorrt_rtx"
