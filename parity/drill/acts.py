"""The steps of a drill. Calls go through the switch that a backend has (`parity.runners.routed`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

from parity.answers import Answers, Cut, Noise, compare, noise_floor, telling, unusable
from parity.dataset import ImageRecord
from parity.drill.candidate import Candidate, Removal
from parity.errors import ParityError, first_line
from parity.runners import ImageResult, Runner
from parity.runners.routed import SWITCH, Role, RoutedRunner
from parity.serving.evidence import DrillStep

Act = Callable[[], str]


class StepFailed(Exception):
    """A step did not show what it should have; the message says what was seen."""


class Rehearsal:
    """Performs the steps in their order and counts what went wrong.

    reference: entered. candidate: started. own: two quiet runs of the reference over `images`; those that it
    could not answer in both are not asked for again, which the first step tells.
    """

    def __init__(
        self,
        reference: Runner,
        candidate: Candidate,
        images: Sequence[ImageRecord],
        own: tuple[Answers, Answers],
        cut: Cut,
    ) -> None:
        self.candidate = candidate
        self.asked = [image for image in images if image.image_id in own[0].keys() & own[1].keys()]
        self.left_out = len(images) - len(self.asked)
        self.removal: Removal | None = None
        self.unanswered = 0
        self.unequal = 0
        self._cut = cut
        self._own, self._own_noise = own[0], noise_floor(*own, cut)
        self._before: Answers = {}
        self._before_noise: Noise | None = None
        self._environment = {SWITCH: "true"}
        self._router = RoutedRunner(reference, candidate.runner, self._environment)

    def acts(self) -> tuple[Act, ...]:
        """One for each of DRILL_STEPS. An act returns what was seen, or raises."""
        return (
            self._candidate_answers,
            self._switch_off,
            self._take_away,
            self._answers_go_on,
            self._switch_on,
            self._candidate_answers_again,
        )

    @property
    def noise(self) -> Noise | None:
        """The larger noise floor of both sides; None when the candidate's is not known."""
        own, before = self._own_noise, self._before_noise
        if before is None:
            return None
        return Noise(score=max(own.score, before.score), pixels=max(own.pixels, before.pixels))

    @property
    def detections(self) -> int:
        """Detections that would be missed, of the side that has fewer, over the images that are asked for."""
        if self._before_noise is None:
            return 0
        own = (self._own[image.image_id] for image in self.asked)
        return min(
            telling(own, self._cut, self._own_noise),
            telling(self._before.values(), self._cut, self._before_noise),
        )

    def _candidate_answers(self) -> str:
        before, again = self._ask("candidate", self.asked), self._ask("candidate", self.asked)
        self._before, self._before_noise = before, noise_floor(before, again, self._cut)
        told = f"; {self.left_out} that the reference cannot answer were left out" if self.left_out else ""
        return f"{len(self.asked)} images answered by the candidate, twice{told}"

    def _switch_off(self) -> str:
        self._environment[SWITCH] = "false"
        first = self.asked[:1]
        largest = self._equal(self._ask("reference", first), self._own, self._own_noise)
        return f"{SWITCH}=false; the same call is answered by the reference ({largest})"

    def _take_away(self) -> str:
        self.removal, told = self.candidate.take_away()
        return told

    def _answers_go_on(self) -> str:
        largest = self._equal(self._ask("reference", self.asked), self._own, self._own_noise)
        return f"{len(self.asked)} images answered, equal to the reference's own ({largest})"

    def _switch_on(self) -> str:
        self._router.candidate = None
        started = perf_counter()
        self._router.candidate = self.candidate.start()
        ready = perf_counter() - started
        self._environment[SWITCH] = "true"
        self._ask("candidate", self.asked[:1])
        return f"{SWITCH}=true; the candidate was ready after {ready:.1f} s and answers the same call"

    def _candidate_answers_again(self) -> str:
        if self._before_noise is None:
            raise StepFailed("there are no answers of before to compare with")
        answers = self._ask("candidate", self.asked)
        largest = self._equal(answers, self._before, self._before_noise)
        return f"{len(self.asked)} images answered, equal to the candidate's of before ({largest})"

    def _ask(self, role: Role, images: Sequence[ImageRecord]) -> dict[int, ImageResult]:
        """One answer an image through the switch. Raises StepFailed unless all came, and from that path."""
        already = self._router.answered[role]
        results = {result.image_id: result for result in self._router.predict(images)}
        came = self._router.answered[role] - already
        lost = [
            image for image in images if image.image_id not in results or unusable(results[image.image_id])
        ]
        self.unanswered += len(lost)
        if lost:
            result = results.get(lost[0].image_id)
            why = "no answer" if result is None else unusable(result)
            raise StepFailed(
                f"{len(lost)} of {len(images)} images have no answer ({lost[0].file_name}: {why})"
            )
        if came != len(images):
            raise StepFailed(f"{came} of {len(images)} answers came from the {role}, expected all")
        return results

    def _equal(self, answers: Answers, expected: Answers, noise: Noise) -> str:
        """The largest difference in words. Raises StepFailed when one is more than noise."""
        names = {image.image_id: image.file_name for image in self.asked}
        ids = [image_id for image_id in answers if image_id in expected]
        found = compare([(expected[i], answers[i]) for i in ids], self._cut, noise)
        differing = [names[i] for i, difference in zip(ids, found, strict=True) if difference.differs]
        differing += [names[i] for i in answers if i not in expected]
        self.unequal += len(differing)
        most = (
            f"largest difference {max((d.score for d in found), default=0.0):.2g} in score, "
            f"{max((d.box_pixels for d in found), default=0.0):.2g} pixels"
        )
        if differing:
            raise StepFailed(
                f"{len(differing)} of {len(answers)} answers differ, first {differing[0]} ({most})"
            )
        return most


def timed(name: str, act: Act) -> DrillStep:
    """Perform one step; whatever it raises that a path may raise ends the step and not the drill."""
    started = perf_counter()
    try:
        message, ok = act(), True
    except StepFailed as problem:
        message, ok = str(problem), False
    except ParityError as problem:
        message, ok = problem.found, False
    except Exception as problem:  # noqa: BLE001  # a runner may be anybody's code, and the way back must go on
        message, ok = first_line(problem), False
    return DrillStep(name=name, seconds=perf_counter() - started, ok=ok, message=message)


def answers_of(runner: Runner | RoutedRunner, images: Sequence[ImageRecord]) -> dict[int, ImageResult]:
    """The usable answers of a runner, by image id. Raises what runners raise."""
    return {result.image_id: result for result in runner.predict(images) if not unusable(result)}
