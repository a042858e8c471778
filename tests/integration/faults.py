"""Faults that are planted in a candidate, each as a runner that a run file could name.

They sit on the real Triton path and spoil exactly one thing, as a hurried backend might.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from parity import detections
from parity.dataset import ImageRecord
from parity.detections import Status
from parity.runners import ImageResult, RunnerContext, RunnerSettings
from parity.runners.decode import Decoded
from parity.runners.onnxruntime import OnnxRuntimeRunner
from parity.runners.preprocess import Placement, place, preprocess
from parity.runners.triton import TritonRunner


class RecordedSettings(RunnerSettings):
    """Where the answers are: the evidence folder of an earlier run, and how the classes are numbered."""

    folder: str
    side: str = "reference"


class Recorded:
    """Gives a side's answers of an earlier run, so that the reference runs once for all faults."""

    Settings: ClassVar[type[RunnerSettings]] = RecordedSettings

    def __init__(self, context: RunnerContext, settings: RecordedSettings) -> None:
        self.predictions = detections.read(Path(settings.folder), settings.side)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return

    def predict(self, images: Iterable[ImageRecord]) -> Iterator[ImageResult]:
        ids = self.predictions.column("image_id")
        status = dict(
            zip(
                self.predictions.images["image_id"].to_pylist(),
                self.predictions.images["status"].to_pylist(),
                strict=True,
            )
        )
        for image in images:
            rows = ids == image.image_id
            yield ImageResult(
                image_id=image.image_id,
                status=Status(status[image.image_id]),
                boxes=self.predictions.boxes()[rows],
                scores=self.predictions.column("score")[rows],
                classes=self.predictions.column("category_id")[rows] - 1,
            )

    def provenance(self) -> dict[str, Any]:
        return {"runner": "recorded"}


class Bgr(TritonRunner):
    """Sends BGR for RGB."""

    def prepare(
        self, pixels: NDArray[np.uint8], into: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], Placement]:
        tensor, placement = super().prepare(pixels)
        return np.ascontiguousarray(tensor[::-1]), placement


class DividedTwice(TritonRunner):
    """Divides by 255 twice."""

    def prepare(
        self, pixels: NDArray[np.uint8], into: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], Placement]:
        tensor, placement = super().prepare(pixels)
        return tensor / np.float32(255), placement


class OtherResize(TritonRunner):
    """Stretches where the model letterboxes, and the other way round."""

    def prepare(
        self, pixels: NDArray[np.uint8], into: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], Placement]:
        size = self.context.model.input_size
        right = self.context.model.resize
        tensor, _ = preprocess(pixels, size, "stretch" if right == "letterbox" else "letterbox")
        return tensor, place(pixels.shape[0], pixels.shape[1], size, right)


class HalfPixel(TritonRunner):
    """Moves every box by half a pixel."""

    def interpret(self, output: NDArray[np.float32], placement: Placement) -> Decoded:
        found = super().interpret(output, placement)
        return replace(found, boxes=found.boxes + np.float32(0.5))


class ClassOffByOne(TritonRunner):
    """Counts classes from one."""

    def interpret(self, output: NDArray[np.float32], placement: Placement) -> Decoded:
        found = super().interpret(output, placement)
        return replace(found, classes=(found.classes + 1) % len(self.context.model.names))


class BoxesAsXywh(TritonRunner):
    """Gives corner and size where corners are expected."""

    def interpret(self, output: NDArray[np.float32], placement: Placement) -> Decoded:
        found = super().interpret(output, placement)
        boxes = found.boxes.copy()
        boxes[:, 2:] -= boxes[:, :2]
        return replace(found, boxes=boxes)


class ScoresTimesNineTenths(TritonRunner):
    """Ranks right and scores low: AP does not see it."""

    def interpret(self, output: NDArray[np.float32], placement: Placement) -> Decoded:
        found = super().interpret(output, placement)
        return replace(found, scores=found.scores * np.float32(0.9))


class OneInFiftyDropped(TritonRunner):
    """Never answers every 50th image."""

    def predict(self, images: Iterable[ImageRecord]) -> Iterator[ImageResult]:
        return super().predict(image for i, image in enumerate(images) if i % 50 != 49)


class WrongHead(TritonRunner):
    """Decodes the one-to-many head properly, which is not the head that serves today."""

    def __init__(self, context: RunnerContext, settings: Any) -> None:
        model = context.model.model_copy(update={"head": "one-to-many"})
        super().__init__(replace(context, model=model), settings)


class NotANumber(TritonRunner):
    """One raw detection of one image is NaN."""

    def interpret(self, output: NDArray[np.float32], placement: Placement) -> Decoded:
        if placement.width == 480:
            output = output.copy()
            output[-1, 0] = np.nan
        return super().interpret(output, placement)


class Wandering(OnnxRuntimeRunner):
    """Gives other boxes from the 15th image on."""

    seen = 0

    def interpret(self, output: NDArray[np.float32], placement: Placement) -> Decoded:
        found = super().interpret(output, placement)
        self.seen += 1
        return found if self.seen < 15 else replace(found, boxes=found.boxes + np.float32(5))
