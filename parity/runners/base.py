"""What a runner is: something that answers images with boxes, on the reference or the candidate side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from typing_extensions import Self

from parity.config import ModelConfig
from parity.dataset import ImageReader, ImageRecord
from parity.detections import Status
from parity.progress import Progress, Silent


class RunnerSettings(BaseModel):
    """Base of the settings that a runner takes from the run file; unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True, kw_only=True)
class RunnerContext:
    """All that a runner is given: the model and its name, how to read images, and where things are kept.

    score_floor: detections at or under this score are dropped, 0 to 1. max_detections: most detections
    kept an image. sample: images of the data set that a runner may calibrate on. cache: folder for
    derived files (exports, environments). repository: the production
    Triton model repository. logs: folder for a server's own log.
    """

    name: str
    model: ModelConfig
    reader: ImageReader
    score_floor: float
    max_detections: int
    sample: tuple[ImageRecord, ...]
    cache: Path
    repository: Path
    logs: Path
    progress: Progress = field(default_factory=Silent)


@dataclass(frozen=True, kw_only=True)
class ImageResult:
    """The answer for one image.

    boxes: float32 (n, 4), corners in pixels of the original image. scores: float32 (n,), 0 to 1.
    classes: int64 (n,), the model's class index from 0. nonfinite: how many raw detections had a NaN or
    infinite number and were therefore left out; they are counted before any threshold.
    """

    image_id: int
    status: Status = Status.OK
    message: str = ""
    boxes: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    scores: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    classes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    nonfinite: int = 0


class Runner(Protocol):
    """A path from images to boxes. A context manager: `__enter__` loads, `__exit__` frees everything.

    Results may come in any order; every image that was handed in gets exactly one, unless the runner
    fails as a whole and raises RunnerError.
    """

    Settings: ClassVar[type[RunnerSettings]]

    def __init__(self, context: RunnerContext, settings: Any) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def predict(self, images: Iterable[ImageRecord]) -> Iterator[ImageResult]:
        """Answer the images."""
        ...

    def provenance(self) -> dict[str, Any]:
        """What ran: digests, versions, device, precision, backend. JSON values only."""
        ...
