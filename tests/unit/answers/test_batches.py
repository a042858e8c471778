"""Any batch, on a small network of NumPy: a sound one passes, and planted faults are found and placed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from parity.answers import LEAST, any_batch
from parity.criteria import CRITERIA, Outcome, PairEvidence
from parity.errors import RunnerError
from parity.serving.evidence import BatchInvariance
from tests import serving_samples
from tests.answer_samples import Pictures, SmallNetwork, record

IMAGES = [record(image_id) for image_id in range(1, 7)]


def of(runner: SmallNetwork, **options: Any) -> BatchInvariance:
    def formed() -> Mapping[int, int]:
        return Counter({1: 0, 4: len(runner.batches)})

    return any_batch(runner, IMAGES, **{"max_batch": 4, "formed": formed, **options})


def outcome(found: BatchInvariance) -> tuple[Outcome, str]:
    criterion = CRITERIA["batch_invariance"]
    evidence = PairEvidence.of_serving(serving_samples.serving(batches=found))
    result = criterion.judge(evidence, criterion.parameters())
    return result.outcome, result.message


def test_a_sound_network_is_the_same_in_any_batch() -> None:
    runner = SmallNetwork()
    found = of(runner)
    assert (found.images, found.max_batch, found.sizes) == (6, 4, [1, 2, 3, 4])
    assert (found.differing, found.failed, found.reason) == (0, 0, "")
    # Sizes 2, 3 and 4 take 2 * 3 + 3 * 4 + 4 * 5 comparisons, size 1 takes one; 32 requests go at once.
    assert (found.checks, found.concurrent) == (38 + 1 + 32, 32)
    assert set(runner.batches) == {1, 2, 3, 4}
    assert (found.noise_score, found.noise_pixels) == (LEAST.score, LEAST.pixels)
    assert found.formed == {4: 32}
    assert (found.places, found.places_seen, found.detections) == (10, 10, 6)
    assert outcome(found)[0] is Outcome.PASS


class Blind(SmallNetwork):
    """Sees nothing, in any company."""

    def network(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        output = super().network(batch)
        output[..., 4] = 0.0
        return output


def test_a_path_that_sees_nothing_shows_nothing() -> None:
    found = of(Blind())
    assert (found.detections, found.places_seen, found.differing) == (0, 0, 0)
    decided, message = outcome(found)
    assert decided is Outcome.INCONCLUSIVE
    assert "no detection" in message


def test_the_image_with_most_to_lose_is_in_every_place() -> None:
    """All but one image are too dark to be seen, so only that one shows what batches do."""

    class OneSeen(SmallNetwork):
        def network(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            output = super().network(batch)
            output[..., 4] *= np.abs(output[..., 4] - 40 / 255) < 1e-3
            return output

    found = of(OneSeen())
    assert (found.detections, found.places, found.places_seen) == (1, 10, 10)


def test_one_image_has_no_other_to_be_beside() -> None:
    found = any_batch(SmallNetwork(), IMAGES[:1], max_batch=4)
    assert (found.places, found.places_seen) == (10, 1)


class RowsSwapped(SmallNetwork):
    """Gives the last image of a batch the answer of the first, and the other way round."""

    def network(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        output = super().network(batch)
        output[[0, -1]] = output[[-1, 0]]
        return output


class BatchedShift(SmallNetwork):
    """Moves boxes by a pixel in batches of one size."""

    def network(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        output = super().network(batch)
        if len(batch) == 3:
            output[..., :4] += 1
        return output


class LastRowDimmed(SmallNetwork):
    """Scores the last row of a full batch lower."""

    def network(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        output = super().network(batch)
        if len(batch) == 4:
            output[-1, :, 4] -= 0.05
        return output


class Brightest(SmallNetwork):
    """Normalises by the whole batch: an image beside copies of itself is right, beside others it is not."""

    def network(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        means = batch.reshape(len(batch), -1).mean(axis=1)
        return super().network(batch * (means / means.max())[:, None, None, None])


class NotFinite(SmallNetwork):
    """NaN in the second row of any batch."""

    def network(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        output = super().network(batch)
        output[1:2, :, 0] = np.nan
        return output


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (RowsSwapped, "beside"),
        (BatchedShift, "in a batch of 3"),
        (LastRowDimmed, "row 3 in a batch of 4"),
        (Brightest, "beside 0"),
    ],
)
def test_planted_faults_are_found_and_placed(fault: type[SmallNetwork], words: str) -> None:
    found = of(fault())
    assert found.differing > 0
    assert found.largest is not None
    assert words in found.largest.where
    assert found.differing_images
    assert outcome(found)[0] is Outcome.FAIL


def test_numbers_that_are_not_finite_in_a_batch_are_found() -> None:
    found = of(NotFinite())
    assert found.differing == sum(size + 1 for size in (2, 3, 4))
    assert "not finite" in found.reason
    assert outcome(found)[0] is Outcome.FAIL


def test_a_fault_under_concurrency_alone_is_found() -> None:
    """A server that mixes requests which it batched itself: here, all that come after the batches."""

    class Mixing(SmallNetwork):
        quiet = 2 * len(IMAGES) + 13

        def network(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            return super().network(batch if len(self.batches) <= self.quiet else batch * 0.5)

    found = of(Mixing())
    assert (found.differing, found.concurrent) == (32, 32)
    assert found.largest is not None
    assert "requests under way" in found.largest.where


def test_a_path_that_is_noisy_by_itself_says_so() -> None:
    class Noisy(SmallNetwork):
        def network(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            output = super().network(batch)
            output[..., 4] += 0.02 * (len(self.batches) % 5)
            return output

    found = of(Noisy())
    assert found.noise_score >= 0.019
    decided, message = outcome(found)
    assert decided is Outcome.INCONCLUSIVE
    assert "too much" in message


def test_a_batch_size_that_is_refused_fails_and_the_others_are_compared() -> None:
    class UpToThree(SmallNetwork):
        def network(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            if len(batch) > 3:
                raise RunnerError("batch-size must be <= 3")
            return super().network(batch)

    found = of(UpToThree())
    assert (found.failed, found.concurrent, found.differing) == (5, 32, 0)
    assert (found.sizes, found.places_seen) == ([1, 2, 3], 6)
    assert "a batch of 4: batch-size must be <= 3" in found.reason
    assert outcome(found)[0] is Outcome.FAIL


def test_a_path_that_breaks_is_not_asked_for_ever() -> None:
    class Dead(SmallNetwork):
        def network(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            raise ConnectionError("refused")

    runner = Dead()
    found = of(runner)
    assert len(runner.batches) == found.failed == 5
    assert (found.images, found.checks, found.largest) == (0, 0, None)
    assert "the other requests were not sent" in found.reason
    assert outcome(found)[0] is Outcome.FAIL


def test_a_server_that_does_not_tell_its_batches_is_never_pass() -> None:
    def silent() -> Mapping[int, int]:
        raise RunnerError("no statistics")

    found = of(SmallNetwork(), formed=silent)
    assert found.formed is None
    assert outcome(found)[0] is Outcome.INCONCLUSIVE


def test_too_few_answers_are_no_answers() -> None:
    class Short(SmallNetwork):
        def network(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            return super().network(batch)[: 1 if len(batch) == 2 else None]

    found = of(Short())
    assert found.failed == 3
    assert "1 answers to a batch of 2" in found.reason


def test_an_image_that_cannot_be_read_is_named() -> None:
    found = of(SmallNetwork(Pictures(broken=(2,))))
    assert found.images == 5
    assert "002.png: not a picture" in found.reason
    assert outcome(found)[0] is Outcome.INCONCLUSIVE


def test_no_image_at_all_is_never_pass() -> None:
    found = any_batch(SmallNetwork(), [], max_batch=4)
    assert (found.images, found.checks) == (0, 0)
    assert outcome(found)[0] is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("most", [0, 1])
def test_a_model_without_batches_is_tried_alone_and_at_the_same_time(most: int) -> None:
    runner = SmallNetwork()
    found = of(runner, max_batch=most, formed=None)
    assert set(runner.batches) == {1}
    assert outcome(found)[0] is Outcome.PASS
