"""Answers that were kept from a load run, held to the quiet run's for the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from parity.answers.difference import compare, unusable
from parity.answers.noise import LEAST, Cut, Noise
from parity.answers.repeats import Answers, largest, noise_floor, telling
from parity.runners import ImageResult
from parity.serving.evidence import SideName, UnderLoad

MOST_NAMED = 100


def under_load(
    side: SideName,
    sampled: Sequence[ImageResult],
    quiet: Answers,
    again: Answers,
    names: Mapping[int, str],
    *,
    cut: Cut,
    least: Noise = LEAST,
) -> UnderLoad:
    """Compare the kept answers of one side.

    quiet, again: two runs over the same images with nothing else going on; the second measures the noise and
    may be empty, when `least` counts. names: file names by image id. An image counts as compared when any of
    its kept answers could be; all others are named, for want of an answer under load or in the quiet run.
    """
    noise = noise_floor(quiet, again, cut, least)
    pairs = [
        (quiet[result.image_id], result)
        for result in sampled
        if not unusable(result) and result.image_id in quiet and not unusable(quiet[result.image_id])
    ]
    found = [
        (difference, names[result.image_id])
        for difference, (_, result) in zip(compare(pairs, cut, noise), pairs, strict=True)
    ]
    compared = {result.image_id for _, result in pairs}
    lacking = sorted({result.image_id for result in sampled} - compared)
    differing = [where for difference, where in found if difference.differs]
    return UnderLoad(
        side=side,
        sampled=len(sampled),
        images=len(compared),
        compared=len(pairs),
        detections=telling((calm for calm, _ in pairs), cut, noise),
        failed=sum(bool(unusable(result)) for result in sampled),
        uncompared=[names[image_id] for image_id in lacking[:MOST_NAMED]],
        differing=len(differing),
        largest=largest(found, noise),
        differing_images=list(dict.fromkeys(differing))[:MOST_NAMED],
        noise_score=noise.score,
        noise_pixels=noise.pixels,
        reason=_reason(sampled, quiet, lacking, names),
    )


def _reason(
    sampled: Sequence[ImageResult], quiet: Answers, lacking: list[int], names: Mapping[int, str]
) -> str:
    if not sampled:
        return "no answer of the load run was kept"
    if not lacking:
        return ""
    first = lacking[0]
    calm = quiet.get(first)
    if calm is None or unusable(calm):
        why = f"the quiet run has no answer ({'none' if calm is None else unusable(calm)})"
    else:
        why = next(unusable(result) for result in sampled if result.image_id == first)
    return f"{len(lacking)} images could not be compared, first {names[first]}: {why}"
