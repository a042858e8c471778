"""The switch between two paths: its values, what it sends where, and that it never falls back by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from parity.dataset import ImageRecord
from parity.detections import Status
from parity.errors import UsageError
from parity.runners import ImageResult
from parity.runners.routed import SWITCH, RoutedRunner, enabled
from tests.answer_samples import Named, record

IMAGES = [record(1), record(2)]


@pytest.mark.parametrize("value", ["true", "True", " 1", "yes", "ON"])
def test_on(value: str) -> None:
    assert enabled({SWITCH: value})


def test_on_is_the_default() -> None:
    assert enabled({})


@pytest.mark.parametrize("value", ["false", "FALSE", "0 ", "no", "off"])
def test_off(value: str) -> None:
    assert not enabled({SWITCH: value})


@pytest.mark.parametrize("value", ["fasle", "2", "None"])
def test_a_slip_of_the_hand_decides_nothing(value: str) -> None:
    with pytest.raises(UsageError, match="TRITON_ENABLED"):
        enabled({SWITCH: value})


def test_the_switch_counts_from_one_image_to_the_next() -> None:
    environment = {SWITCH: "true"}
    routed = RoutedRunner(Named("reference"), Named("candidate"), environment)
    answers = routed.predict(IMAGES)
    assert next(answers).message == "candidate"
    environment[SWITCH] = "false"
    assert next(answers).message == "reference"
    assert routed.answered == {"candidate": 1, "reference": 1}


def test_a_candidate_that_is_away_is_not_replaced_by_the_reference() -> None:
    routed = RoutedRunner(Named("reference"), None, {SWITCH: "true"})
    assert [result.status for result in routed.predict(IMAGES)] == [Status.FAILED] * 2
    assert not routed.answered


class Failing(Named):
    def predict(self, images: Iterable[ImageRecord]) -> Iterator[ImageResult]:
        for image in images:
            yield ImageResult(image_id=image.image_id, status=Status.FAILED, message="down")


def test_failed_answers_are_passed_on_and_not_counted() -> None:
    routed = RoutedRunner(Named("reference"), Failing("candidate"), {})
    assert [result.message for result in routed.predict(IMAGES)] == ["down", "down"]
    assert routed.answered["candidate"] == routed.answered["reference"] == 0
