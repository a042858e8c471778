"""The noise floor of a path: how far two quiet runs of it lie apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from parity.answers.difference import Difference, compare, unusable
from parity.answers.noise import LEAST, Cut, Noise
from parity.runners import ImageResult
from parity.serving.evidence import Deviation

Answers = Mapping[int, ImageResult]
"""One run's answers by image id."""


def noise_floor(first: Answers, second: Answers, cut: Cut, least: Noise = LEAST) -> Noise:
    """The largest difference of two quiet runs of one path, at least `least`.

    Images that either run did not answer tell nothing of noise and are left to the caller. A floor is not
    judged here: one that is far too high is for the criteria to refuse.
    """
    both = [(first[i], second[i]) for i in sorted(first.keys() & second.keys())]
    usable = [pair for pair in both if not any(map(unusable, pair))]
    found = compare(usable, cut, least)
    return Noise(
        score=max([least.score, *(difference.score for difference in found)]),
        pixels=max([least.pixels, *(difference.box_pixels for difference in found)]),
    )


def telling(answers: Iterable[ImageResult], cut: Cut, noise: Noise) -> int:
    """Detections whose loss would be a difference: their score is over the cut by more than the noise.

    Answers without any are equal to every other answer without any, so they show nothing.
    """
    return sum(int((result.scores - cut.of(result) > noise.score).sum()) for result in answers)


def largest(found: list[tuple[Difference, str]], noise: Noise) -> Deviation | None:
    """The difference that exceeds the noise most, or comes nearest to it, with the place where it was."""
    if not found:
        return None

    def times(entry: tuple[Difference, str]) -> float:
        return max(entry[0].score / noise.score, entry[0].box_pixels / noise.pixels)

    worst, where = max(found, key=times)
    return Deviation(score=worst.score, box_pixels=worst.box_pixels, lowest_iou=worst.lowest_iou, where=where)
