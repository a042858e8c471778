"""Comparing answers: nothing differs from itself, order plays no part, and both directions measure alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.answers import LEAST, Cut, Noise, compare
from parity.answers.company import batches, sizes
from parity.runners import ImageResult
from tests.answer_samples import answer

CUT = Cut(score_floor=0.001, max_detections=5)
numbers = st.floats(0, 100, width=32)
rows = st.tuples(
    st.integers(0, 1), st.floats(0.0625, 1, width=32), numbers, numbers, st.floats(1, 40, width=32), numbers
).map(lambda r: (r[0], r[1], r[2], r[3], r[2] + r[4], r[3] + 10))
answers = st.lists(rows, max_size=5).map(lambda found: answer(1, *found))


def shuffled(result: ImageResult, seed: int) -> ImageResult:
    order = np.random.default_rng(seed).permutation(len(result.scores))
    return ImageResult(
        image_id=1, boxes=result.boxes[order], scores=result.scores[order], classes=result.classes[order]
    )


@given(answers, st.integers(0, 99))
def test_nothing_differs_from_itself_in_whatever_order(one: ImageResult, seed: int) -> None:
    (found,) = compare([(one, shuffled(one, seed))], CUT, LEAST)
    assert (found.score, found.box_pixels, found.loose, found.differs) == (0, 0, 0, False)


@given(answers, answers)
def test_both_directions_measure_the_same(one: ImageResult, other: ImageResult) -> None:
    there, back = compare([(one, other), (other, one)], CUT, LEAST)
    assert (there.score, there.loose, there.differs) == (back.score, back.loose, back.differs)
    assert there.box_pixels == back.box_pixels


@given(answers, answers)
def test_what_differs_is_more_than_noise_and_nothing_else_is(one: ImageResult, other: ImageResult) -> None:
    (found,) = compare([(one, other)], CUT, LEAST)
    assert found.differs == (found.score > LEAST.score or found.box_pixels > LEAST.pixels)
    assert found.loose == 0 or found.differs
    within = Noise(score=max(found.score, LEAST.score), pixels=max(found.box_pixels, LEAST.pixels))
    if len(one.scores) < 2 > len(other.scores):  # of several, another noise may pair others
        assert not compare([(one, other)], CUT, within)[0].differs


@given(answers)
def test_an_answer_that_was_lost_is_as_large_a_difference_as_its_best_score(one: ImageResult) -> None:
    (found,) = compare([(one, answer(1))], CUT, LEAST)
    best = max((float(score) for score in one.scores), default=CUT.score_floor)
    assert found.score == pytest.approx(best - CUT.of(one), abs=1e-7)


@settings(max_examples=50)
@given(st.integers(1, 40), st.integers(0, 100), st.integers(0, 9))
def test_batches_stay_within_size_and_number(images: int, most: int, seed: int) -> None:
    planned = batches(images, most, seed)
    assert {len(batch) for batch in planned} == set(sizes(most))
    assert len(planned) <= 9 * len(sizes(most))
