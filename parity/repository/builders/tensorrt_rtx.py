"""The builder `tensorrt-rtx`: a real engine on a machine with no GPU, for TensorRT-RTX and not for Triton."""

from __future__ import annotations

from typing import ClassVar

from parity.progress import Progress
from parity.repository.builders.base import Built, Job, Wish
from parity.repository.builders.python_api import build_by, installed
from parity.repository.manifest import Runtime

MODULE = "tensorrt_rtx"


class TensorRtRtx:
    """Builds for the compute capabilities that are named; its plans carry another tag than TensorRT's."""

    runtime: ClassVar[Runtime] = "tensorrt-rtx"

    def missing(self, wish: Wish) -> str:
        """The package, or the compute capabilities to build for."""
        if not installed(MODULE):
            return "not installed (pip install 'triton-parity[tensorrt-rtx]')"
        if not wish.capabilities:
            return "no --compute-capability is named, and without a GPU there is none to take"
        return ""

    def build(self, job: Job, progress: Progress) -> Built:
        """Build without a GPU."""
        return build_by(MODULE, job, job.wish.capabilities, None, progress)
