"""Answers and small networks for tests of what answers depend on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from parity.config import ModelConfig
from parity.dataset import ImageProblem, ImageRecord
from parity.detections import Status
from parity.runners import ImageResult, RunnerContext, RunnerSettings
from parity.runners.network import NetworkRunner

SIZE = 32
Row = tuple[int, float, float, float, float, float]
"""Class, score, x1, y1, x2, y2."""


def answer(image_id: int, *rows: Row, **changes: object) -> ImageResult:
    table = np.array(rows, np.float32).reshape(-1, 6)
    fields: dict[str, object] = {
        "image_id": image_id,
        "boxes": table[:, 2:],
        "scores": table[:, 1],
        "classes": table[:, 0].astype(np.int64),
    }
    return ImageResult(**{**fields, **changes})  # type: ignore[arg-type]


def record(image_id: int) -> ImageRecord:
    name = f"{image_id:03}.png"
    return ImageRecord(image_id=image_id, file_name=name, path=Path(name), width=SIZE, height=SIZE)


class Pictures:
    """Pictures of one colour each, by image id; those in `broken` cannot be read."""

    def __init__(self, broken: Sequence[int] = ()) -> None:
        self.broken = broken

    def read(self, image: ImageRecord) -> NDArray[np.uint8]:
        if image.image_id in self.broken:
            raise ImageProblem(Status.UNREADABLE, "not a picture")
        return np.full((SIZE, SIZE, 3), 10 * image.image_id, np.uint8)

    def file(self, image: ImageRecord) -> bytes:
        raise ImageProblem(Status.MISSING, "these pictures have no files")


def context(reader: Pictures | None = None) -> RunnerContext:
    model = ModelConfig(
        family="yolo26",
        weights=Path("none.pt"),
        input_size=(SIZE, SIZE),
        resize="letterbox",
        head="nms-free",
        names=("thing", "other"),
    )
    return RunnerContext(
        name="small",
        model=model,
        reader=reader or Pictures(),
        score_floor=0.001,
        max_detections=300,
        sample=(),
        cache=Path(),
        repository=Path(),
        logs=Path(),
    )


class SmallNetwork(NetworkRunner):
    """Sees in each picture a box whose place and score are its brightness. Counts the batches that it got."""

    def __init__(self, reader: Pictures | None = None) -> None:
        super().__init__(context(reader))
        self.batches: list[int] = []

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.batches.append(len(batch))
        return self.network(batch)

    def network(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        bright = batch.reshape(len(batch), -1).mean(axis=1)
        corner = 10 * bright
        rows = np.stack([corner, corner, corner + 9, corner + 9, bright, np.zeros_like(bright)], axis=1)
        return rows[:, None, :].astype(np.float32)


class NoSettings(RunnerSettings):
    """None."""


class Named:
    """Answers every image with one box, and with its name as the message."""

    Settings: ClassVar[type[RunnerSettings]] = NoSettings

    def __init__(self, name: str, settings: NoSettings | None = None) -> None:
        self.name = name
        self.entered = 0
        self.left = 0

    def __enter__(self) -> Self:
        self.entered += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.left += 1

    def predict(self, images: Iterable[ImageRecord]) -> Iterator[ImageResult]:
        for image in images:
            yield self.answer(image.image_id)

    def answer(self, image_id: int) -> ImageResult:
        return answer(image_id, (0, 0.8, 10, 10, 50, 50), message=self.name)

    def provenance(self) -> dict[str, Any]:
        return {"runner": self.name}
