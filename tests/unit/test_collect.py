"""One side's answers become tables; whatever a runner does wrong is seen here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from parity import detections
from parity.collect import Collected, collect
from parity.dataset import ImageRecord
from parity.detections import Status
from parity.errors import EvidenceError, RunnerError
from parity.progress import Silent
from parity.runners import ImageResult

IMAGES = [
    ImageRecord(image_id=i, file_name=f"{i}.jpg", path=Path(f"{i}.jpg"), width=40, height=30)
    for i in (1, 2, 3)
]
CATEGORIES = np.array([10, 20], np.int64)


def result(image_id: int, *scores: float, classes: list[int] | None = None) -> ImageResult:
    n = len(scores)
    return ImageResult(
        image_id=image_id,
        boxes=np.arange(4 * n, dtype=np.float32).reshape(n, 4),
        scores=np.array(scores, np.float32),
        classes=np.array(classes if classes is not None else [0] * n, np.int64),
    )


class Scripted:
    """Yields given results, then raises if told to."""

    def __init__(self, *results: ImageResult, error: Exception | None = None) -> None:
        self.results = results
        self.error = error

    def predict(self, images: Iterable[ImageRecord]) -> Iterator[ImageResult]:
        yield from self.results
        if self.error:
            raise self.error


def collected(*results: ImageResult, error: Exception | None = None) -> Collected:
    return collect(Scripted(*results, error=error), IMAGES, CATEGORIES, Silent(), "side")  # type: ignore[arg-type]


def statuses(done: Collected) -> list[str]:
    return [str(s) for s in done.predictions.images["status"].to_pylist()]


def test_tables_are_sorted_whatever_the_order_of_arrival() -> None:
    results = [result(1, 0.2, 0.9, classes=[1, 0]), result(2), result(3, 0.5)]
    forward, backward = collected(*results), collected(*reversed(results))
    assert forward.predictions.detections.equals(backward.predictions.detections)
    assert forward.predictions.images.equals(backward.predictions.images)
    assert forward.predictions.column("score").tolist() == pytest.approx([0.9, 0.2, 0.5])
    assert forward.predictions.column("category_id").tolist() == [10, 20, 10]
    assert statuses(forward) == ["ok"] * 3


def test_no_detections_and_never_ran_are_told_apart() -> None:
    done = collected(result(1), error=RunnerError("gone"))
    assert statuses(done) == ["ok", "not_attempted", "not_attempted"]
    assert done.predictions.answered == {1}
    assert done.predictions.attempted == {1, 2, 3}
    assert isinstance(done.error, RunnerError)


def test_failures_keep_their_reason() -> None:
    done = collected(
        ImageResult(image_id=2, status=Status.UNREADABLE, message="truncated"), result(1), result(3)
    )
    assert statuses(done) == ["ok", "unreadable", "ok"]
    assert done.predictions.images["message"].to_pylist()[1] == "truncated"
    assert done.error is None


@pytest.mark.parametrize(
    "bad",
    [
        result(1, 0.5, classes=[2]),
        result(1, 0.5, classes=[-1]),
        result(1, 0.5, classes=[0, 0]),
        result(1, np.nan),
        result(1, 1.5),
        result(1, -0.1),
        replace(result(1, 0.5), boxes=np.full((1, 4), np.inf, np.float32)),
        replace(result(1, 0.5), boxes=np.zeros((2, 4), np.float32)),
    ],
)
def test_answers_that_make_no_sense_fail_their_image(bad: ImageResult) -> None:
    done = collected(bad, result(2), result(3))
    assert statuses(done) == ["failed", "ok", "ok"]
    assert done.predictions.detections.num_rows == 0


def test_a_nan_that_reaches_the_tables_is_counted() -> None:
    done = collected(result(1, np.nan, 0.5), result(2), result(3))
    assert done.predictions.images["nonfinite"].to_pylist() == [1, 0, 0]


def test_whatever_a_runner_raises_keeps_what_it_answered() -> None:
    done = collected(result(1, 0.5), error=ZeroDivisionError("oops"))
    assert isinstance(done.error, RunnerError)
    assert "ZeroDivisionError: oops" in str(done.error)
    assert statuses(done) == ["ok", "not_attempted", "not_attempted"]


@pytest.mark.parametrize("stranger", [result(99), result(1)])
def test_a_stranger_or_a_second_answer_ends_the_side(stranger: ImageResult) -> None:
    done = collected(result(1), stranger, result(2))
    assert isinstance(done.error, RunnerError)
    assert statuses(done)[2] == "not_attempted"


def test_tables_come_back_from_parquet(tmp_path: Path) -> None:
    done = collected(result(1, 0.5), result(2), result(3))
    detections.write(done.predictions, tmp_path, "reference")
    back = detections.read(tmp_path, "reference")
    assert back.detections.equals(done.predictions.detections)
    assert back.images.equals(done.predictions.images)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "reference.detections.parquet",
        "reference.images.parquet",
    ]


def test_damaged_parquet_is_refused(tmp_path: Path) -> None:
    detections.write(collected(result(1, 0.5), result(2), result(3)).predictions, tmp_path, "reference")
    path = tmp_path / "reference.detections.parquet"
    whole = path.read_bytes()
    for content in (b"", b"PAR1", whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(EvidenceError):
            detections.read(tmp_path, "reference")
    path.unlink()
    with pytest.raises(EvidenceError, match="no such file"):
        detections.read(tmp_path, "reference")


def test_tables_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    done = collected(result(1, 0.5), result(2), result(3)).predictions
    detections.write(done, tmp_path, "reference")
    pq.write_table(done.images.slice(1), tmp_path / "reference.images.parquet")
    with pytest.raises(EvidenceError, match="have detections but no status ok"):
        detections.read(tmp_path, "reference")
    pq.write_table(done.images.drop_columns(["status"]), tmp_path / "reference.images.parquet")
    with pytest.raises(EvidenceError, match="has columns"):
        detections.read(tmp_path, "reference")
