"""Runs one side over the images and fills its tables, keeping what there is when the side breaks down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.dataset import ImageRecord
from parity.detections import Predictions, Status, build
from parity.errors import ParityError, RunnerError, first_line
from parity.progress import Progress
from parity.runners import ImageResult, Runner


@dataclass(frozen=True, kw_only=True)
class Collected:
    """One side's tables; `error` is what stopped it before the last image, if anything did."""

    predictions: Predictions
    error: ParityError | None


def collect(
    runner: Runner,
    images: Sequence[ImageRecord],
    categories: NDArray[np.int64],
    progress: Progress,
    label: str,
) -> Collected:
    """Hand the images to an entered runner and tabulate the answers.

    categories: category id of each class index of the model. An image that never got a result has the
    status `not_attempted`; one that got a second result is the runner's error, as is a stranger.
    """
    results: dict[int, ImageResult] = {}
    wanted = {image.image_id for image in images}
    error: ParityError | None = None
    with progress.step(label, len(images)) as step:
        try:
            for result in runner.predict(images):
                if result.image_id not in wanted or result.image_id in results:
                    raise RunnerError(
                        f"the runner answered image {result.image_id} twice or unasked", where=label
                    )
                results[result.image_id] = checked(result, len(categories))
                step.advance()
        except ParityError as problem:
            error = problem
        except Exception as problem:  # noqa: BLE001  # a runner may be anybody's code; what it answered is kept
            error = RunnerError(f"the runner failed ({first_line(problem)})", where=label)
            error.__cause__ = problem
    return Collected(predictions=_tables(images, results, categories), error=error)


def checked(result: ImageResult, classes: int) -> ImageResult:
    """The result, or a failed one when its arrays do not belong together."""
    n = len(result.scores)
    problem, nonfinite = "", result.nonfinite
    if result.boxes.shape != (n, 4) or result.classes.shape != (n,):
        problem = f"{result.boxes.shape} boxes, {n} scores, {result.classes.shape} classes"
    elif not np.issubdtype(result.classes.dtype, np.integer):
        problem = f"classes of type {result.classes.dtype}, expected integers"
    elif n and (result.classes.min() < 0 or result.classes.max() >= classes):
        problem = (
            f"class index {int(result.classes.min())} to {int(result.classes.max())} of {classes} classes"
        )
    elif not (np.isfinite(result.boxes).all() and np.isfinite(result.scores).all()):
        problem = "a box or score that is not finite"
        rows = np.concatenate([result.boxes, result.scores[:, None]], axis=1)
        nonfinite += int(np.count_nonzero(~np.isfinite(rows).all(axis=1)))
    elif n and (result.scores.min() < 0 or result.scores.max() > 1):
        problem = f"scores from {result.scores.min():g} to {result.scores.max():g}, expected 0 to 1"
    if not problem:
        return result
    return ImageResult(
        image_id=result.image_id,
        status=Status.FAILED,
        message=f"the answer has {problem}",
        nonfinite=nonfinite,
    )


def _tables(
    images: Sequence[ImageRecord], results: dict[int, ImageResult], categories: NDArray[np.int64]
) -> Predictions:
    answered = [r for r in results.values() if r.status is Status.OK]
    boxes = _joined([r.boxes for r in answered], np.zeros((0, 4), np.float32))
    never = ImageResult(image_id=-1, status=Status.NOT_ATTEMPTED, message="the run ended before this image")
    rows = [results.get(image.image_id, never) for image in images]
    detections: dict[str, Any] = {
        "image_id": np.repeat([r.image_id for r in answered], [len(r.scores) for r in answered]).astype(
            np.int64
        ),
        "category_id": categories[_joined([r.classes for r in answered], np.zeros(0, np.int64))],
        "score": _joined([r.scores for r in answered], np.zeros(0, np.float32)),
        **{name: boxes[:, i] for i, name in enumerate(("x1", "y1", "x2", "y2"))},
    }
    return build(
        detections,
        {
            "image_id": [image.image_id for image in images],
            "file_name": [image.file_name for image in images],
            "width": [image.width for image in images],
            "height": [image.height for image in images],
            "status": [row.status.value for row in rows],
            "message": [row.message for row in rows],
            "nonfinite": [row.nonfinite for row in rows],
        },
    )


def _joined(parts: list[NDArray[Any]], empty: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else empty
