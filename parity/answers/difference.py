"""How far two answers to the same image lie apart, and what of it is more than noise.

**The rule.** The detections of both answers are paired one to one, by image and class, as everywhere in
parity (`parity.matching`). A pair differs by its change of score and by the largest shift of its four corner
coordinates. A detection without partner differs by as much as its score would have to change to be cut off:
its score less the *cut*. The cut is the score floor or, where an answer was filled to the most detections
that are kept, the lowest score in it. So a detection that comes and goes at the cut is as small a difference
as the change of score that makes it do so, and one that counts is as large as its score. Two answers are
equal when no score and no corner differs by more than the noise.

A detection whose class changed is one that is missing and another that is extra.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from parity.answers.noise import Cut, Noise
from parity.detections import BOX_COLUMNS, DETECTIONS_SCHEMA, Status
from parity.matching import Matching, Side, match
from parity.runners import ImageResult

LEAST_IOU = 0.5
"""A pair that overlaps less is a detection that went away and another that came."""

THIN = 8
"""A box narrower than so many times the noise can lose its overlap to it: (w - d)^2 / (w + d)^2 < 1/2."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What two answers differ by at most.

    score: share of 1. box_pixels: of corners. lowest_iou: of the pairs, None without any. loose: detections
    without partner that count for more than noise. differs: whether anything is more than noise.
    """

    score: float = 0.0
    box_pixels: float = 0.0
    lowest_iou: float | None = None
    loose: int = 0
    differs: bool = False


def unusable(result: ImageResult) -> str:
    """Why an answer cannot be compared, or "". One with NaN or infinite numbers is no answer."""
    n = len(result.scores)
    if result.status is not Status.OK:
        return result.message or result.status.value
    if result.boxes.shape != (n, 4) or result.scores.shape != (n,) or result.classes.shape != (n,):
        return f"{result.boxes.shape} boxes, {result.scores.shape} scores, {result.classes.shape} classes"
    if result.nonfinite or not (np.isfinite(result.boxes).all() and np.isfinite(result.scores).all()):
        return "a box or score that is not finite"
    return ""


def compare(pairs: Sequence[tuple[ImageResult, ImageResult]], cut: Cut, noise: Noise) -> list[Difference]:
    """The difference of each pair of answers, expected first. Raises ValueError for an unusable answer."""
    problems = [why for pair in pairs for why in map(unusable, pair) if why]
    if problems:
        raise ValueError(f"{len(problems)} answers that cannot be compared, first: {problems[0]}")
    open_pairs = [i for i, pair in enumerate(pairs) if not _identical(*pair)]
    found = [Difference(lowest_iou=1.0 if len(expected.scores) else None) for expected, _ in pairs]
    if not open_pairs:
        return found
    sides = [[pairs[i][k] for i in open_pairs] for k in (0, 1)]
    matching = match(*map(_table, sides), image_ids=range(len(open_pairs)), score=0.0, iou=LEAST_IOU)
    cuts = np.array([max(cut.of(a), cut.of(b)) for a, b in zip(*sides, strict=True)])
    for i, difference in zip(open_pairs, _measure(matching, cuts, noise), strict=True):
        found[i] = difference
    return found


def _measure(matching: Matching, cuts: NDArray[np.float64], noise: Noise) -> list[Difference]:
    """One difference for each cut, whose place is the image id in the matching."""
    reference, candidate = matching.reference, matching.candidate
    loose = [
        np.setdiff1d(np.arange(len(side.scores)), rows)
        for side, rows in ((reference, matching.reference_rows), (candidate, matching.candidate_rows))
    ]
    near = _thin_pairs(reference, candidate, loose[0], loose[1], noise.pixels)
    first = np.concatenate([matching.reference_rows, near[:, 0]])
    second = np.concatenate([matching.candidate_rows, near[:, 1]])
    score, pixels = np.zeros(len(cuts)), np.zeros(len(cuts))
    overlap, alone = np.full(len(cuts), np.inf), np.zeros(len(cuts), np.int64)
    images = reference.image_ids[first]
    change = reference.scores[first].astype(np.float64) - candidate.scores[second]
    shift = reference.boxes[first].astype(np.float64) - candidate.boxes[second]
    np.maximum.at(score, images, np.abs(change))
    np.maximum.at(pixels, images, np.abs(shift).max(axis=1, initial=0.0))
    np.minimum.at(overlap, reference.image_ids[matching.reference_rows], matching.iou)
    for side, rows, paired in ((reference, loose[0], near[:, 0]), (candidate, loose[1], near[:, 1])):
        left = np.setdiff1d(rows, paired)
        images = side.image_ids[left]
        fall = np.maximum(0.0, side.scores[left].astype(np.float64) - cuts[images])
        np.maximum.at(score, images, fall)
        np.add.at(alone, images, fall > noise.score)
    return [
        Difference(
            score=float(score[i]),
            box_pixels=float(pixels[i]),
            lowest_iou=float(overlap[i]) if np.isfinite(overlap[i]) else None,
            loose=int(alone[i]),
            differs=bool(score[i] > noise.score or pixels[i] > noise.pixels),
        )
        for i in range(len(cuts))
    ]


def _thin_pairs(
    reference: Side, candidate: Side, missing: Rows, extra: Rows, pixels: float
) -> NDArray[np.int64]:
    """Pairs (m, 2) of rows whose corners all lie within `pixels`, of boxes too thin to overlap then.

    Clipped at the edge of an image, a box may have no width at all; IoU sees nothing of it.
    """
    cells: dict[tuple[int, int], list[int]] = {}
    for row in extra[_is_thin(candidate.boxes[extra], pixels)].tolist():
        cells.setdefault(_cell(candidate, row), []).append(row)
    near = []
    for row in missing[_is_thin(reference.boxes[missing], pixels)].tolist():
        for other in cells.get(_cell(reference, row), ()):
            shift = float(np.abs(candidate.boxes[other].astype(np.float64) - reference.boxes[row]).max())
            change = abs(float(candidate.scores[other]) - float(reference.scores[row]))
            if shift <= pixels:
                near.append((shift, change, row, other))
    pairs: list[tuple[int, int]] = []
    left, right = set[int](), set[int]()
    for _, _, row, other in sorted(near):
        if row not in left and other not in right:
            pairs.append((row, other))
            left.add(row)
            right.add(other)
    return np.array(pairs, np.int64).reshape(-1, 2)


def _is_thin(boxes: NDArray[np.float32], pixels: float) -> NDArray[np.bool_]:
    """Whether corners that move by `pixels` can take half of a box's overlap: bool (n,)."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf) < THIN * pixels)


def _cell(side: Side, row: int) -> tuple[int, int]:
    return int(side.image_ids[row]), int(side.category_ids[row])


def _identical(expected: ImageResult, found: ImageResult) -> bool:
    return all(
        np.array_equal(getattr(expected, name), getattr(found, name))
        for name in ("boxes", "scores", "classes")
    )


def _table(results: Sequence[ImageResult]) -> pa.Table:
    """Answers as one detection table, whose image ids are their places."""
    boxes = np.concatenate([result.boxes for result in results]).astype(np.float32)
    columns: dict[str, Any] = {
        "image_id": np.repeat(np.arange(len(results)), [len(result.scores) for result in results]),
        "category_id": np.concatenate([result.classes for result in results]).astype(np.int64),
        "score": np.concatenate([result.scores for result in results]).astype(np.float32),
        **{name: boxes[:, i] for i, name in enumerate(BOX_COLUMNS)},
    }
    return pa.table(columns, schema=DETECTIONS_SCHEMA)
