"""More than one number: the operating point, agreement without ground truth, and the shift of confidence."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from parity.accuracy.bootstrap import bootstrap_ap
from parity.accuracy.coco import Detections, Evaluation, evaluate, index_truth
from parity.accuracy.operating import boxes_of, counts_at
from parity.agreement import Classified
from parity.assess.estimates import Function, Resampling, Sums, What, ratio
from parity.criteria import Estimate
from parity.dataset import GroundTruth

IOU_LEVELS = (0.5, 0.75, 0.95)


def operating_point(
    reference: Evaluation, candidate: Evaluation, score: float, how: Resampling
) -> list[Estimate]:
    """Precision, recall and F1 of both sides at a score and IoU 0.5, and their changes, in points."""
    counts = [column for side in (reference, candidate) for column in counts_at(side, score).T]
    sums = how.sums(*counts, boxes_of(reference.truth))
    found = []
    for name, word in (("precision", "precision"), ("recall", "recall"), ("f1", "F1")):
        shown = f"{word} at {score:g}"
        for key in ("reference", "candidate", "change"):
            what = What(
                group="operating_point",
                name=f"operating_point.{name}.{key}",
                label=f"Change of {shown}" if key == "change" else f"{shown} of the {key}",
                unit="points",
            )
            why = f"no detection with a score of {score:g} or more, or no ground truth box"
            found.append(how.of_function(what, sums, partial(_at_threshold, name, key), why))
    return found


def _at_threshold(name: str, key: str, sums: Sums) -> NDArray[np.float64]:
    """Columns of sums: true and false positives of the reference, then of the candidate, then boxes."""
    if key == "change":
        return _at_threshold(name, "candidate", sums) - _at_threshold(name, "reference", sums)
    first = 0 if key == "reference" else 2
    true, false, boxes = sums[:, first], sums[:, first + 1], sums[:, 4]
    # Where neither side shows anything, equal zeros would be no agreement but silence.
    shown = sums[:, :4].sum(axis=1) > 0
    if name == "precision":
        return 100 * ratio(true, true + false)
    whole = np.where(shown, boxes, 0)
    if name == "recall":
        return 100 * ratio(true, whole)
    return 100 * ratio(2 * true, np.where(whole > 0, true + false + boxes, 0))


def agreement(
    classified: Classified, images: NDArray[np.int64], score: float, how: Resampling
) -> list[Estimate]:
    """Flip rate at the production threshold, partners by IoU, and drift of boxes and scores.

    images: the ids of the compared images, ascending.
    """
    matching = classified.matching
    sides = (matching.reference, matching.candidate)
    places = [np.searchsorted(images, side.image_ids) for side in sides]
    shown = [side.compared & (side.scores >= np.float32(score)) for side in sides]
    partnered = [np.zeros(len(side.scores), np.bool_) for side in sides]
    partnered[0][matching.reference_rows] = shown[1][matching.candidate_rows]
    partnered[1][matching.candidate_rows] = shown[0][matching.reference_rows]
    counted = matching.reference.compared & (matching.reference.scores >= np.float32(matching.score))
    overlap = np.zeros(len(counted))
    overlap[matching.reference_rows] = matching.iou

    def per_image(side: int, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.bincount(places[side][chosen], minlength=how.images).astype(np.float64)

    appeared = per_image(1, shown[1] & ~partnered[1])
    sums = how.sums(
        per_image(0, shown[0] & ~partnered[0]) + appeared,
        per_image(0, shown[0]) + appeared,
        per_image(0, counted),
        *(per_image(0, counted & (overlap >= level)) for level in IOU_LEVELS),
    )
    flips = What(
        group="operating_point",
        name="operating_point.flip_rate",
        label=f"Share of detections at {score:g} or more that only one side shows",
        unit="%",
    )
    found = [how.of_share(flips, sums, 0, 1, f"no detection with a score of {score:g} or more")]
    for i, level in enumerate(IOU_LEVELS):
        label = f"Share of reference detections with a partner at IoU {level:g} or more"
        what = What(group="agreement", name=f"agreement.iou_{level:g}", label=label, unit="%")
        why = f"no detection with a score of {matching.score:g} or more"
        found.append(how.of_share(what, sums, 3 + i, 2, why))
    at = places[0][classified.reference_rows]
    for name, label, unit, values in (
        ("drift_pixels", "Largest corner shift", "px", classified.drift_pixels),
        ("iou", "IoU of pairs", "", classified.iou),
        ("score_change", "Score change, either way", "", np.abs(classified.score_change)),
    ):
        what = What(group="agreement", name=f"agreement.{name}", label=label, unit=unit)
        found += how.of_quantiles(what, values, at, falling=name == "iou")
    return found


def confidence(
    classified: Classified, images: NDArray[np.int64], score: float, how: Resampling
) -> list[Estimate]:
    """Slope and offset of candidate on reference scores over the pairs, and the shift at `score`.

    The line is that of the pairs' score changes on their mean scores (Bland and Altman 1986), not of one
    side's scores on the other's: noise in what a line is drawn on flattens it, so that two equally noisy
    sides would each seem shifted against the other. This way swapping the sides turns the shift's sign.
    """
    matching = classified.matching
    rows = classified.reference_rows
    places = np.searchsorted(images, matching.reference.image_ids[rows])
    y = classified.score_change
    x = matching.reference.scores[rows].astype(np.float64) + y / 2 - score
    columns = (np.ones(len(x)), x, y, x * x, x * y)
    per_image = [np.bincount(places, w, how.images).astype(np.float64) for w in columns]
    sums = how.sums(*per_image)
    functions: dict[str, tuple[str, Function]] = {
        "slope": ("Slope of candidate on reference scores", _slope),
        "offset": ("Offset of candidate on reference scores", partial(_offset, score)),
        "shift": (f"Shift of a score of {score:g}", _shift),
    }
    return [
        how.of_function(
            What(group="confidence", name=f"confidence.{name}", label=label),
            sums,
            function,
            "no pair to measure" if name == "shift" else "fewer than two pairs with different scores",
        )
        for name, (label, function) in functions.items()
    ]


def _trend(s: Sums) -> NDArray[np.float64]:
    """Slope of the changes on the means, NaN without a spread. Columns: n, and sums of x, y, x x, x y."""
    squares = s[:, 0] * s[:, 3]
    spread = squares - s[:, 1] ** 2
    # All scores alike leave nothing but rounding.
    return ratio(s[:, 0] * s[:, 4] - s[:, 1] * s[:, 2], np.where(spread > 1e-9 * squares, spread, 0))


def _shift(s: Sums) -> NDArray[np.float64]:
    """The change at a mean score of x = 0; the mean change where all scores are alike."""
    return ratio(s[:, 2] - np.nan_to_num(_trend(s)) * s[:, 1], s[:, 0])


def _slope(s: Sums) -> NDArray[np.float64]:
    return (1 + _trend(s) / 2) / (1 - _trend(s) / 2)


def _offset(score: float, s: Sums) -> NDArray[np.float64]:
    return (_shift(s) - _trend(s) * score) / (1 - _trend(s) / 2)


def pseudo_truth(
    reference: Detections,
    candidate: Detections,
    images: NDArray[np.int64],
    score: float,
    max_detections: int,
    how: Resampling,
) -> list[Estimate]:
    """AP of the candidate with the reference's detections of at least `score` as ground truth, in points."""
    kept = reference.kept(reference.scores.astype(np.float32) >= np.float32(score))
    order = np.argsort(kept.image_ids, kind="stable")
    boxes = kept.boxes[order]
    truth = GroundTruth(
        image_ids=kept.image_ids[order],
        category_ids=kept.category_ids[order],
        boxes=boxes,
        areas=boxes[:, 2] * boxes[:, 3],
        crowd=np.zeros(len(order), np.bool_),
    )
    what = What(
        group="agreement",
        name="pseudo_truth.AP",
        label=f"AP of the candidate, reference at {score:g} as the truth",
        unit="points",
    )
    index = index_truth(truth, image_ids=images, category_ids=np.unique(truth.category_ids))
    result = evaluate(index, candidate, max_detections=max_detections)
    value = result.values["AP"]
    if value is None:
        return [how.missing(what, f"the reference has no detection with a score of {score:g} or more")]
    samples = bootstrap_ap(result, resamples=how.resamples, seed=how.seed, groups=how.groups)
    return [how.of_samples(what, 100 * value, 100 * samples[:, 0])]
