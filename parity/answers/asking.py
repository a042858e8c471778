"""Asking a path for batches of images, whatever becomes of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parity.dataset import ImageProblem, ImageRecord
from parity.errors import ParityError, RunnerError, first_line
from parity.runners import ImageResult
from parity.runners.network import NetworkRunner
from parity.runners.preprocess import Placement

FAILURES_IN_A_ROW = 5
"""After so many requests without an answer the path counts as broken, and the others are not sent."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """One image, ready to be sent: tensor float32 (3, H, W), and how its boxes get back."""

    image: ImageRecord
    tensor: NDArray[np.float32]
    placement: Placement


class Asked:
    """A runner that is asked for batches, its failures counted. May be used from several threads."""

    def __init__(self, runner: NetworkRunner) -> None:
        self.runner = runner
        self.failed = 0
        self.problem = ""
        self._in_a_row = 0
        self._lock = threading.Lock()

    def broken(self) -> bool:
        """Whether it failed so often that nothing more is sent."""
        return self._in_a_row >= FAILURES_IN_A_ROW

    def ask(self, inputs: Sequence[Input]) -> list[ImageResult]:
        """One answer an input, or none at all."""
        if self.broken():
            return []
        answers = self._try(inputs)
        if not answers and self.broken() and len(inputs) > 1:
            self._try(inputs[:1])  # which may be answered all the same, and then only batches are refused
        return answers

    def _try(self, inputs: Sequence[Input]) -> list[ImageResult]:
        try:
            output = self.runner.infer(np.stack([each.tensor for each in inputs]))
            if len(output) != len(inputs):
                raise RunnerError(f"{len(output)} answers to a batch of {len(inputs)}")
            answers = [self._answer(each, row) for each, row in zip(inputs, output, strict=True)]
        except ParityError as error:
            return self._lost(len(inputs), error.found)
        except Exception as error:  # noqa: BLE001  # a runner may be anybody's code; what it answered counts
            return self._lost(len(inputs), first_line(error))
        with self._lock:
            self._in_a_row = 0
        return answers

    def _answer(self, sent: Input, output: NDArray[np.float32]) -> ImageResult:
        decoded = self.runner.interpret(output, sent.placement)
        return ImageResult(
            image_id=sent.image.image_id,
            boxes=decoded.boxes,
            scores=decoded.scores,
            classes=decoded.classes,
            nonfinite=decoded.nonfinite,
        )

    def _lost(self, size: int, why: str) -> list[ImageResult]:
        with self._lock:
            self.failed += 1
            self._in_a_row += 1
            self.problem = self.problem or f"a batch of {size}: {why}"
        return []


def inputs_of(runner: NetworkRunner, images: Sequence[ImageRecord]) -> tuple[list[Input], list[str]]:
    """The images that can be read, ready to be sent, and what is wrong with the others."""
    inputs, problems = [], []
    for image in images:
        try:
            tensor, placement = runner.prepare(runner.context.reader.read(image))
        except ImageProblem as problem:
            problems.append(f"{image.file_name}: {problem.message}")
        else:
            inputs.append(Input(image=image, tensor=tensor, placement=placement))
    return inputs, problems
