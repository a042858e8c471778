"""The builder `container`: builds nothing, but says what to paste where there is a GPU and docker."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from typing import ClassVar

from parity.progress import Progress
from parity.repository.builders.base import Job, ToDo, Wish
from parity.repository.builders.trtexec import USUAL_PLACE, arguments
from parity.repository.manifest import ONNX_NAME, PLAN_NAME, Runtime

IMAGE = "nvcr.io/nvidia/tritonserver:26.07-py3"
"""Triton's own image: it has trtexec, of just the TensorRT that its server will load the plan with."""

FOLDER = "/build"


class Container:
    """Puts the graph where the container finds it, and says what makes a plan of it."""

    runtime: ClassVar[Runtime] = "tensorrt"

    def missing(self, wish: Wish) -> str:
        """Nothing: a command can always be printed."""
        return ""

    def build(self, job: Job, progress: Progress) -> ToDo:
        """Two commands: the build in the container, and the one that takes the plan into the repository."""
        job.handover.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(job.onnx, job.handover / ONNX_NAME)
        # 10 has to be told of strong typing, and 11 takes the word and ignores it: the flags of 10 fit both.
        told = arguments(10, job, f"{FOLDER}/{ONNX_NAME}", f"{FOLDER}/{PLAN_NAME}")
        first = [
            *("docker", "run", "--rm", "--gpus", "all"),
            *("--user", f"{os.getuid()}:{os.getgid()}"),
            *("--volume", f"{job.handover}:{FOLDER}"),
            job.image,
            *(str(USUAL_PLACE), *told),
        ]
        return ToDo(commands=(shlex.join(first), shlex.join(_take(job))))


def _take(job: Job) -> list[str]:
    """This command again, with the plan that the container will have written."""
    given = _without_options(sys.argv[1:], {"--builder", "--image", "--model", "--engine", "--onnx"})
    return [
        *("parity", *given),
        *("--model", job.name, "--builder", "engine-file"),
        *("--engine", str(job.handover / PLAN_NAME), "--onnx", str(job.handover / ONNX_NAME)),
    ]


def _without_options(words: list[str], names: set[str]) -> list[str]:
    """The words of a command line without these options and their values."""
    kept: list[str] = []
    skip = False
    for word in words:
        if skip or word.partition("=")[0] in names:
            skip = word in names and not skip
        else:
            kept.append(word)
    return kept
