"""From pictures to boxes around a network: what every runner but the reference shares.

OpenCV, our own resize rule and our own decode; only where the network runs differs. No torch and no
Ultralytics here: this path is what is being validated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from parity.dataset import ImageProblem, ImageRecord
from parity.detections import Status
from parity.errors import EvidenceError, ParityError, first_line, join_problems
from parity.heads import expected_shape, shape_fits
from parity.repository.precision import Signature, TensorSpec
from parity.runners.base import ImageResult, RunnerContext
from parity.runners.decode import Decoded, decode
from parity.runners.preprocess import Placement, preprocess


class NetworkRunner(ABC):
    """Answers images one by one with a network that is reached through `infer`."""

    def __init__(self, context: RunnerContext) -> None:
        self.context = context

    @abstractmethod
    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network's output (n, ...) for an input (n, 3, H, W). Raises RunnerError."""

    def predict(self, images: Iterable[ImageRecord]) -> Iterator[ImageResult]:
        """One result an image, in the order given."""
        for image in images:
            yield self.answer(image)

    def answer(self, image: ImageRecord) -> ImageResult:
        """Carry one image from file to boxes. Failures become the image's status; nothing is raised."""
        try:
            pixels = self.context.reader.read(image)
            tensor, placement = self.prepare(pixels)
            output = self.infer(tensor[None])[0]
            decoded = self.interpret(output, placement)
        except ImageProblem as problem:
            return ImageResult(image_id=image.image_id, status=problem.status, message=problem.message)
        except ParityError as error:
            return ImageResult(image_id=image.image_id, status=Status.FAILED, message=error.found)
        except Exception as error:  # noqa: BLE001  # one picture that breaks a library must not end the run
            return ImageResult(image_id=image.image_id, status=Status.FAILED, message=first_line(error))
        return ImageResult(
            image_id=image.image_id,
            boxes=decoded.boxes,
            scores=decoded.scores,
            classes=decoded.classes,
            nonfinite=decoded.nonfinite,
        )

    def prepare(
        self, pixels: NDArray[np.uint8], into: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], Placement]:
        """Pixels to input tensor (3, H, W), in `into` if that is given; a subclass may plant a fault here."""
        return preprocess(pixels, self.context.model.input_size, self.context.model.resize, into)

    def interpret(self, output: NDArray[np.float32], placement: Placement) -> Decoded:
        """One image's output to boxes; a subclass may plant a fault here."""
        return decode(
            output,
            self.context.model.head,
            placement,
            score_floor=self.context.score_floor,
            max_detections=self.context.max_detections,
            nms_iou=self.context.model.nms_iou,
        )


def check_signature(context: RunnerContext, signature: Signature, where: str) -> None:
    """Raise EvidenceError unless a network takes and gives what the run file says.

    One FP32 input at the run file's size, and one FP32 output of its head.
    """
    model = context.model
    problems = []
    ends = [(t.datatype, t.dims) for t in signature.inputs]
    if ends != [("FP32", (3, *model.input_size))]:
        problems.append(f"inputs are {_shown(signature.inputs)}, expected FP32 {[3, *model.input_size]}")
    outputs = signature.outputs
    fits = len(outputs) == 1 and shape_fits(outputs[0].dims, model.head, len(model.names))
    if not fits or outputs[0].datatype != "FP32":
        rows, columns = ("any" if size < 0 else size for size in expected_shape(model.head, len(model.names)))
        problems.append(f"outputs are {_shown(outputs)}, expected FP32 [{rows}, {columns}]")
    if problems:
        raise EvidenceError(
            join_problems(problems),
            where=where,
            expected=f"a network with head {model.head!r} and {len(model.names)} classes",
            remedy="mend head, input_size or names in the run file, or name another network",
        )


def _shown(specs: tuple[TensorSpec, ...]) -> str:
    return "; ".join(f"{spec.name} {spec.datatype} {list(spec.dims)}" for spec in specs) or "none"
