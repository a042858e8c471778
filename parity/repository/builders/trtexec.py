"""The builder `trtexec`: NVIDIA's own program, with the flags of 10.x and of 11.x."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import time
from pathlib import Path
from typing import ClassVar

from parity import children
from parity.errors import RunnerError
from parity.progress import Progress, Step
from parity.repository.builders.base import TIMEOUT_S, Built, Job, Wish
from parity.repository.builders.tensorrt import missing_gpu
from parity.repository.gpu import find_gpu
from parity.repository.manifest import Runtime

PROGRAM = "trtexec"
USUAL_PLACE = Path("/usr/src/tensorrt/bin/trtexec")
"""Where NVIDIA's packages and containers put it, which is not on the PATH."""

OLDEST = 10
MILESTONES = (
    "Start parsing network model",
    "Finished parsing network model",
    "Engine built in",
    "&&&& PASSED",
)
"""What it says on its way, in this order."""

_BANNER = re.compile(r"&&&& \w+ TensorRT\.trtexec \[TensorRT v([0-9.]+)\]")
_LINE = re.compile(r"TensorRT version: ([0-9]+)\.([0-9]+)\.([0-9]+)")
HELP_S = 120.0


def parse_version(output: str) -> tuple[int, int, int] | None:
    """TensorRT's version from what trtexec says: the banner's number of 100ths, or the line of its own.

    `v101602` is 10.16.2; `v8601`, with one digit of major, 8.6.1. None when it says none.
    """
    line = _LINE.search(output)
    if line:
        major, minor, patch = (int(part) for part in line.groups())
        return major, minor, patch
    banner = _BANNER.search(output)
    if banner is None:
        return None
    parts = [int(part) for part in banner[1].split(".") if part]
    if len(parts) >= 3:
        return parts[0], parts[1], parts[2]
    if len(parts) != 1:
        return None
    high, patch = divmod(parts[0], 100)
    # Up to 8 the minor version had one place, and the patch two: 8601.
    major, minor = divmod(high, 100 if high >= 1000 else 10)
    return major, minor, patch


def arguments(major: int, job: Job, onnx: str, plan: str) -> list[str]:
    """What trtexec of this major version is told, program left out.

    No precision flag in either: 11 refuses them, and 10 takes the graph's types when it is told to. `onnx`
    and `plan` are the files as trtexec sees them.
    """
    shapes = {
        name: f"{job.input_name}:{'x'.join(str(size) for size in job.shape(batch))}"
        for name, batch in (("min", job.profile.min), ("opt", job.profile.opt), ("max", job.profile.max))
    }
    told = [f"--onnx={onnx}", f"--saveEngine={plan}"]
    told += [f"--{name}Shapes={shape}" for name, shape in shapes.items()]
    if major == 10:
        told.append("--stronglyTyped")
    if job.workspace_mib is not None:
        told.append(f"--memPoolSize=workspace:{job.workspace_mib}")
    return [*told, "--skipInference"]


def find_program() -> Path | None:
    """Trtexec from the PATH or from where NVIDIA puts it."""
    found = shutil.which(PROGRAM)
    if found:
        return Path(found)
    return USUAL_PLACE if os.access(USUAL_PLACE, os.X_OK) else None


class Trtexec:
    """Builds a plan that Triton's `tensorrt_plan` loads."""

    runtime: ClassVar[Runtime] = "tensorrt"

    def missing(self, wish: Wish) -> str:
        """The program, or a GPU to measure kernels on."""
        if find_program() is None:
            return f"trtexec is neither on the PATH nor at {USUAL_PLACE}"
        return missing_gpu(wish)

    def build(self, job: Job, progress: Progress) -> Built:
        """Ask for its version, build with that version's flags, and believe only a plan that is there."""
        program, gpu = find_program(), find_gpu()
        if program is None or gpu is None:
            raise RunnerError(self.missing(job.wish), where="trtexec")
        version = self._version(program, job.work)
        plan = job.work / "plan"
        command = [str(program), *arguments(version[0], job, str(job.onnx), str(plan))]
        started = time.monotonic()
        with progress.step(f"{job.name}: building with trtexec", len(MILESTONES)) as step:
            said = _run(command, job.work, step)
        if not plan.is_file() or not plan.stat().st_size:
            raise RunnerError(
                f"it ended well and wrote no plan; its last words:\n{said}",
                where=str(program),
                expected="the file that --saveEngine names",
            )
        names = {str(job.onnx): job.onnx.name, str(plan): "model.plan", str(program): PROGRAM}
        return Built(
            plan=plan,
            tensorrt_version=".".join(str(part) for part in version),
            capabilities=(gpu.compute_capability,),
            seconds=round(time.monotonic() - started, 3),
            command=_without(names, shlex.join(command)),
            gpu=gpu.name,
            driver=gpu.driver,
            versions={"tensorrt": ".".join(str(part) for part in version)},
        )

    def _version(self, program: Path, work: Path) -> tuple[int, int, int]:
        log = work / "help.txt"
        children.run(
            [str(program), "--help"],
            environment=os.environ,
            timeout_s=HELP_S,
            watch=lambda _pid: None,
            folder=work,
            log=log,
        )
        said = log.read_text(errors="replace") if log.exists() else ""
        version = parse_version(said)
        if version is None or version[0] < OLDEST:
            told = ".".join(map(str, version)) if version else "one that does not tell its version"
            raise RunnerError(
                f"its TensorRT is {told}",
                where=str(program),
                expected=f"trtexec of TensorRT {OLDEST} or newer",
            )
        return version


def _run(command: list[str], work: Path, step: Step) -> str:
    """Run it to its end; its last words. Raises RunnerError when it fails or does not say that it passed."""
    log, reached = work / "trtexec.log", 0

    def watch(_pid: int) -> None:
        nonlocal reached
        said = log.read_text(errors="replace") if log.exists() else ""
        while reached < len(MILESTONES) and MILESTONES[reached] in said:
            reached += 1
            step.advance()

    ended = children.run(
        command, environment=os.environ, timeout_s=TIMEOUT_S, watch=watch, folder=work, log=log
    )
    if ended.problem or MILESTONES[-1] not in ended.tail:
        raise RunnerError(
            f"it {ended.problem or 'ended without saying PASSED'}; its last words:\n{ended.tail}",
            where=command[0],
            expected="exit status 0 and the line `&&&& PASSED`",
        )
    return ended.tail


def _without(names: dict[str, str], command: str) -> str:
    """The command with files by name: a manifest goes to other machines."""
    for path, name in names.items():
        command = command.replace(path, name)
    return command
