"""The builder `tensorrt`: the Python API of TensorRT 10 or 11, on the GPU that will serve."""

from __future__ import annotations

from typing import ClassVar

from parity.progress import Progress
from parity.repository.builders.base import Built, Job, Wish
from parity.repository.builders.python_api import build_by, installed
from parity.repository.gpu import UncertainGpu, find_gpu
from parity.repository.manifest import Runtime

MODULE = "tensorrt"


class TensorRt:
    """Builds a plan that Triton's `tensorrt_plan` loads."""

    runtime: ClassVar[Runtime] = "tensorrt"

    def missing(self, wish: Wish) -> str:
        """TensorRT itself, or a GPU to measure kernels on."""
        return missing_gpu(wish) if installed(MODULE) else "the Python package tensorrt is not installed"

    def build(self, job: Job, progress: Progress) -> Built:
        """Build for the GPU that is here."""
        return build_by(MODULE, job, (), find_gpu(), progress)


def missing_gpu(wish: Wish) -> str:
    """Why TensorRT cannot build here: it measures kernels on the GPU that it builds for."""
    try:
        gpu = find_gpu()
    except UncertainGpu as error:
        return error.found
    if gpu is None:
        return "nvidia-smi finds no GPU, or none is visible, and TensorRT measures its kernels on one"
    if wish.capabilities not in ((), (gpu.compute_capability,)):
        return f"TensorRT builds for the GPU that is here, of {gpu.compute_capability}, and for no other"
    return ""
