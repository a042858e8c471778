"""Before load is put on a side it has to answer in quiet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from parity.dataset import ImageRecord
from parity.detections import Status
from parity.errors import RunnerError
from parity.load_evidence import _twice
from parity.progress import Silent
from parity.runners import ImageResult
from tests.load_samples import record


class Side:
    """Fails on the images that `fails` says a message for."""

    def __init__(self, fails: dict[int, str]) -> None:
        self.fails = fails

    def predict(self, images: Iterable[ImageRecord]) -> Iterator[ImageResult]:
        for image in images:
            message = self.fails.get(image.image_id, "")
            status = Status.FAILED if message else Status.OK
            yield ImageResult(image_id=image.image_id, status=status, message=message)


def asked(folder: Path, fails: dict[int, str]) -> tuple[Any, Any]:
    images = [record(number, folder) for number in range(3)]
    return _twice(Side(fails), images, 2, "m: candidate, quiet", Silent())  # type: ignore[arg-type]


def test_a_side_that_answers_nothing_is_not_put_under_load(tmp_path: Path) -> None:
    with pytest.raises(RunnerError) as caught:
        asked(tmp_path, {0: "HTTP 500", 1: "HTTP 404", 2: "HTTP 500"})
    assert str(caught.value).startswith(
        "m: candidate, quiet: none of 3 images was answered; of 6 failures 4 say: "
    )
    assert "HTTP 500" in str(caught.value) and "HTTP 404" not in str(caught.value)


def test_one_answer_is_enough_to_go_on(tmp_path: Path) -> None:
    first, second = asked(tmp_path, {0: "HTTP 500", 1: "HTTP 404"})
    assert first[0].status is Status.FAILED and second[2].status is Status.OK
