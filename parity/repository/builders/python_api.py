"""The part that TensorRT's and TensorRT-RTX's Python builders share: one process for one engine."""

from __future__ import annotations

import importlib.util
import json
import time

from parity.progress import Progress
from parity.repository.builders.base import TIMEOUT_S, Built, Job
from parity.repository.engine_worker import UNITS
from parity.repository.gpu import Gpu
from parity.repository.workers import run_worker


def installed(module: str) -> bool:
    """Whether the module can be imported, without importing it."""
    return importlib.util.find_spec(module) is not None


def build_by(
    module: str, job: Job, capabilities: tuple[str, ...], gpu: Gpu | None, progress: Progress
) -> Built:
    """Build with the Python API of `module`; `parity.repository.engine_worker` does the work.

    capabilities: to set in the builder; with none it builds for `gpu`.
    """
    plan = job.work / "plan"
    request = {
        "module": module,
        "onnx": str(job.onnx),
        "plan": str(plan),
        "input": job.input_name,
        "shapes": [job.shape(batch) for batch in (job.profile.min, job.profile.opt, job.profile.max)],
        "workspace_mib": job.workspace_mib,
        "capabilities": list(capabilities),
    }
    started = time.monotonic()
    with progress.step(f"{job.name}: building with {module}", UNITS) as step:
        answer = run_worker(
            "parity.repository.engine_worker",
            job.work,
            request,
            step,
            shown=f"engine of model {job.name!r}",
            timeout_s=TIMEOUT_S,
        )
    shown = json.dumps({key: request[key] for key in ("input", "shapes", "workspace_mib", "capabilities")})
    return Built(
        plan=plan,
        tensorrt_version=answer["version"],
        capabilities=capabilities or ((gpu.compute_capability,) if gpu else ()),
        seconds=round(time.monotonic() - started, 3),
        command=f"{module} {answer['version']}: build_serialized_network {shown}",
        gpu=gpu.name if gpu else None,
        driver=gpu.driver if gpu else None,
        versions={module: answer["version"]},
    )
