"""The reference: Ultralytics' own predict, in process, as a FastAPI service would call it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import Self

from parity.dataset import ImageProblem, ImageRecord
from parity.detections import Status
from parity.errors import EvidenceError, RunnerError, first_line
from parity.progress import Step
from parity.provenance import package_version, sha256_of_file
from parity.quiet import QUIET
from parity.repository.names import check_names
from parity.runners.base import ImageResult, RunnerContext, RunnerSettings

PREFETCHED = 2
"""Pictures that are decoded ahead of the network."""


class UltralyticsSettings(RunnerSettings):
    """Settings of the runner `ultralytics`."""

    rect: bool = Field(False, description="Pad to the smallest rectangle, as predict() does by default.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where torch runs.")
    half: bool = Field(False, description="Run the network in FP16 (needs CUDA).")


def import_ultralytics() -> Any:
    """The package, imported quietly. Raises RunnerError when it is not installed."""
    for key, value in QUIET.items():
        os.environ.setdefault(key, value)
    try:
        import ultralytics
    except ImportError as error:
        raise RunnerError(
            f"Ultralytics cannot be imported: {error}", remedy="pip install 'triton-parity[torch]'"
        ) from error
    ultralytics.utils.LOGGER.setLevel("ERROR")
    return ultralytics


def load_detector(context: RunnerContext) -> Any:
    """Ultralytics' `YOLO` or `RTDETR`. Raises EvidenceError when the weights are not a checkpoint of it."""
    model = context.model
    package = import_ultralytics()
    if not model.weights.is_file():
        raise EvidenceError(
            "no such weights", where=str(model.weights), expected="an Ultralytics .pt checkpoint"
        )
    try:
        detector = (package.RTDETR if model.family == "rtdetr" else package.YOLO)(str(model.weights))
        network_names = detector.names
        head = detector.model.model[-1]
    except Exception as error:  # torch raises many types on files that are not checkpoints
        raise EvidenceError(
            f"not weights that Ultralytics can load ({first_line(error)})",
            where=str(model.weights),
            expected=f"an Ultralytics .pt checkpoint of a {model.family} detector",
        ) from error
    is_rtdetr = type(head).__name__ == "RTDETRDecoder"
    if is_rtdetr != (model.family == "rtdetr"):
        raise EvidenceError(
            f"a network whose head is {type(head).__name__}",
            where=str(model.weights),
            expected=f"family {model.family!r} as the run file says",
        )
    check_names(context.model, tuple(str(network_names[i]) for i in range(len(network_names))))
    return detector


class UltralyticsRunner:
    """Runs `predict` image by image, batch 1, on pixels that OpenCV decoded."""

    Settings: ClassVar[type[RunnerSettings]] = UltralyticsSettings

    def __init__(self, context: RunnerContext, settings: UltralyticsSettings) -> None:
        self.context = context
        self.settings = settings
        self.detector: Any = None
        self.device = "cpu"
        self.nonfinite = 0

    def __enter__(self) -> Self:
        with self.context.progress.step(f"{self.context.name}: loading PyTorch", 3) as step:
            self._load(step)
        return self

    def _load(self, step: Step) -> None:
        import_ultralytics()
        import torch

        step.advance()
        self.detector = load_detector(self.context)
        step.advance()

        wanted = self.settings.device
        if wanted == "cuda" and not torch.cuda.is_available():
            raise RunnerError(
                "torch sees no CUDA device", where="reference runner", remedy="set device = 'cpu' or 'auto'"
            )
        self.device = "cpu" if wanted == "cpu" or not torch.cuda.is_available() else "cuda"
        # The first call sets everything up; without it there is no network to watch yet.
        self.detector.predict(np.zeros((*self.context.model.input_size, 3), np.uint8), **self.arguments())
        self.detector.predictor.model.register_forward_hook(self._count_nonfinite)
        step.advance()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.detector = None

    def predict(self, images: Iterable[ImageRecord]) -> Iterator[ImageResult]:
        """One result an image, in the order given; the next picture is decoded meanwhile."""
        with ThreadPoolExecutor(1, thread_name_prefix="parity-decode") as pool:
            upcoming: deque[tuple[ImageRecord, Future[NDArray[np.uint8]]]] = deque()
            for image in images:
                upcoming.append((image, pool.submit(self.context.reader.read, image)))
                if len(upcoming) > PREFETCHED:
                    yield self._result(*upcoming.popleft())
            while upcoming:
                yield self._result(*upcoming.popleft())

    def _result(self, image: ImageRecord, decoded: Future[NDArray[np.uint8]]) -> ImageResult:
        try:
            return self._answer(image, decoded.result())
        except ImageProblem as problem:
            return ImageResult(image_id=image.image_id, status=problem.status, message=problem.message)
        except (RuntimeError, ValueError) as error:
            return ImageResult(image_id=image.image_id, status=Status.FAILED, message=first_line(error))

    def _answer(self, image: ImageRecord, pixels: NDArray[np.uint8]) -> ImageResult:
        boxes = self.detector.predict(pixels, **self.arguments())[0].boxes.data.cpu().numpy()
        boxes = boxes[np.isfinite(boxes).all(axis=1)]
        return ImageResult(
            image_id=image.image_id,
            boxes=np.ascontiguousarray(boxes[:, :4], np.float32),
            scores=np.ascontiguousarray(boxes[:, 4], np.float32),
            classes=boxes[:, 5].astype(np.int64),
            nonfinite=self.nonfinite,
        )

    def _count_nonfinite(self, network: Any, arguments: Any, output: Any) -> None:
        """Look at the raw output: the threshold would drop a NaN without a word."""
        raw = output[0] if isinstance(output, (list, tuple)) else output
        across = 1 if self.context.model.head == "one-to-many" else 2
        self.nonfinite = int((~raw.isfinite()).any(dim=across).sum())

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `predict`, all stated, so that no default can drift.

        `nms` is False for the NMS-free head and None for the one-to-many head with NMS outside; RT-DETR
        has only its own head and takes neither.
        """
        model = self.context.model
        arguments: dict[str, Any] = {
            "conf": self.context.score_floor,
            "max_det": self.context.max_detections,
            "imgsz": list(model.input_size),
            "rect": self.settings.rect,
            "device": self.device,
            "batch": 1,
            "iou": model.nms_iou,
            "verbose": False,
            "save": False,
        }
        if self.settings.half:
            arguments["quantize"] = 16
        if model.head == "nms-free":
            arguments["nms"] = False
        return arguments

    def provenance(self) -> dict[str, Any]:
        """What ran."""
        model = self.context.model
        return {
            "runner": "ultralytics",
            "backend": "pytorch",
            "device": self.device,
            "precision": "fp16" if self.settings.half else "fp32",
            "weights": model.weights.name,
            "weights_sha256": sha256_of_file(model.weights),
            "arguments": self.arguments(),
            "versions": {name: package_version(name) for name in ("ultralytics", "torch")},
        }
