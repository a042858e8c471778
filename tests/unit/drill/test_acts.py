"""The drill on runners of a few lines: a good pair, and each way in which a rollback can go wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import pytest

from parity.answers import LEAST, Cut
from parity.dataset import ImageRecord
from parity.detections import Status
from parity.drill.acts import Rehearsal, answers_of, timed
from parity.drill.candidate import Candidate
from parity.errors import RunnerError
from parity.runners import ImageResult
from parity.serving.evidence import DRILL_STEPS, DrillStep
from tests.answer_samples import Named, Row, answer, record

IMAGES = [record(image_id) for image_id in range(1, 7)]
CUT = Cut(score_floor=0.001, max_detections=300)
OK = [True] * 6


def rehearsed(
    reference: Named, make: Callable[[], Named], images: list[ImageRecord] = IMAGES
) -> tuple[list[DrillStep], Rehearsal]:
    candidate = Candidate(make)
    candidate.start()
    own = answers_of(reference, images), answers_of(reference, images)
    rehearsal = Rehearsal(reference, candidate, images, own, CUT)
    steps = [timed(name, act) for name, act in zip(DRILL_STEPS, rehearsal.acts(), strict=True)]
    candidate.close()
    return steps, rehearsal


def failing(steps: list[DrillStep]) -> list[str]:
    return [step.name for step in steps if not step.ok]


def test_a_good_pair() -> None:
    made: list[Named] = []

    def make() -> Named:
        made.append(Named("candidate"))
        return made[-1]

    steps, rehearsal = rehearsed(Named("reference"), make)
    assert [step.ok for step in steps] == OK, steps
    assert (rehearsal.unanswered, rehearsal.unequal) == (0, 0)
    assert rehearsal.removal == "disconnected", "parity did not start a server for it"
    assert "only the connection was closed" in steps[2].message
    assert [(each.entered, each.left) for each in made] == [(1, 1), (1, 1)]
    assert all(step.seconds >= 0 for step in steps)
    assert rehearsal.noise == LEAST
    assert rehearsal.detections == 6


class Drifting(Named):
    """Answers as it should so often, and then with other boxes."""

    def __init__(self, name: str, sound: int) -> None:
        super().__init__(name)
        self.sound = sound

    def answer(self, image_id: int) -> ImageResult:
        self.sound -= 1
        if self.sound >= 0:
            return super().answer(image_id)
        return answer(image_id, (0, 0.8, 10, 10, 50, 53))


def test_a_reference_that_changed_its_answers() -> None:
    steps, rehearsal = rehearsed(Drifting("reference", 12 + 1 + 2), lambda: Named("candidate"))
    assert failing(steps) == ["answers go on"]
    assert rehearsal.unequal == 4
    assert "4 of 6 answers differ, first 003.png" in steps[3].message
    assert "3 pixels" in steps[3].message


def test_a_candidate_that_comes_back_with_other_answers() -> None:
    sound = iter([100, 0])
    steps, rehearsal = rehearsed(Named("reference"), lambda: Drifting("candidate", next(sound)))
    assert failing(steps) == ["candidate answers again"]
    assert rehearsal.unequal == 6


class Breaking(Named):
    """Raises after so many images."""

    def __init__(self, name: str, sound: int) -> None:
        super().__init__(name)
        self.sound = sound

    def predict(self, images: Iterable[ImageRecord]) -> Iterator[ImageResult]:
        for image in images:
            self.sound -= 1
            if self.sound < 0:
                raise RunnerError("it broke")
            yield self.answer(image.image_id)


def test_a_reference_that_breaks_while_the_candidate_is_away() -> None:
    steps, _ = rehearsed(Breaking("reference", 15), lambda: Named("candidate"))
    assert failing(steps) == ["answers go on"]
    assert steps[3].message == "it broke"


def test_a_candidate_that_does_not_come_back() -> None:
    made: list[Named] = []

    def make() -> Named:
        if made:
            raise RunnerError("the port is taken")
        made.append(Named("candidate"))
        return made[0]

    steps, rehearsal = rehearsed(Named("reference"), make)
    assert failing(steps) == ["switch on again", "candidate answers again"]
    assert steps[4].message == "the port is taken"
    assert rehearsal.unanswered == 0 or "away" in steps[5].message


def test_a_candidate_that_does_not_answer_at_all() -> None:
    steps, _ = rehearsed(Named("reference"), lambda: Breaking("candidate", 0))
    assert failing(steps) == ["candidate answers", "switch on again", "candidate answers again"]
    assert "no answers of before" in steps[5].message


class Flipping(Named):
    """Sees a box in every other answer to an image."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.asked = Counter[int]()

    def answer(self, image_id: int) -> ImageResult:
        self.asked[image_id] += 1
        box: Row = (0, 0.95, 10, 10, 50, 50)
        return answer(image_id, *([box] if self.asked[image_id] % 2 else []))


@pytest.mark.parametrize("side", ["reference", "candidate"])
def test_noise_that_swallows_everything_is_told(side: str) -> None:
    reference = Flipping("reference") if side == "reference" else Named("reference")
    _, rehearsal = rehearsed(reference, lambda: Flipping("c") if side == "candidate" else Named("c"))
    assert rehearsal.noise is not None
    assert rehearsal.noise.score == pytest.approx(0.949, abs=1e-3)


class Blind(Named):
    """Sees nothing."""

    def answer(self, image_id: int) -> ImageResult:
        return answer(image_id)


@pytest.mark.parametrize("side", ["reference", "candidate"])
def test_a_side_that_sees_nothing_has_no_detections(side: str) -> None:
    reference = Blind("reference") if side == "reference" else Named("reference")
    steps, rehearsal = rehearsed(reference, lambda: Blind("c") if side == "candidate" else Named("c"))
    assert [step.ok for step in steps] == OK
    assert rehearsal.detections == 0


def test_a_candidate_that_answers_only_once_is_found_in_the_first_step() -> None:
    steps, rehearsal = rehearsed(Named("reference"), lambda: Breaking("candidate", 6))
    assert "candidate answers" in failing(steps)
    assert rehearsal.noise is None


class Unusable(Named):
    """Answers the images so often, and then with a failure each."""

    def __init__(self, name: str, sound: int) -> None:
        super().__init__(name)
        self.sound = sound

    def answer(self, image_id: int) -> ImageResult:
        self.sound -= 1
        if self.sound >= 0:
            return super().answer(image_id)
        return ImageResult(image_id=image_id, status=Status.FAILED, message="unavailable")


def test_answers_that_fail_the_second_time_are_counted() -> None:
    steps, rehearsal = rehearsed(Named("reference"), lambda: Unusable("candidate", 6))
    assert not steps[0].ok
    assert "6 of 6 images have no answer" in steps[0].message
    assert rehearsal.unanswered >= 6


def test_what_the_reference_answers_only_once_is_left_out() -> None:
    _, rehearsal = rehearsed(Unusable("reference", 10), lambda: Named("candidate"))
    assert len(rehearsal.asked) == 4


class Skipping(Named):
    """Never answers the second image."""

    def predict(self, images: Iterable[ImageRecord]) -> Iterator[ImageResult]:
        return super().predict(image for image in images if image.image_id != 2)


def test_what_the_reference_cannot_answer_is_left_out_and_told() -> None:
    steps, rehearsal = rehearsed(Skipping("reference"), lambda: Named("candidate"))
    assert [step.ok for step in steps] == OK
    assert len(rehearsal.asked) == 5
    assert "1 that the reference cannot answer were left out" in steps[0].message


def test_what_the_candidate_does_not_answer_is_counted() -> None:
    steps, rehearsal = rehearsed(Named("reference"), lambda: Skipping("candidate"))
    assert failing(steps) == ["candidate answers", "candidate answers again"]
    assert rehearsal.unanswered == 1
    assert "002.png: no answer" in steps[0].message


@pytest.mark.parametrize("error", [ValueError("any"), OSError("any"), RunnerError("any")])
def test_a_step_ends_with_whatever_a_runner_raises(error: Exception) -> None:
    def act() -> str:
        raise error

    step = timed("switch off", act)
    assert not step.ok
    assert "any" in step.message


def test_ctrl_c_ends_the_drill() -> None:
    def act() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        timed("switch off", act)
