"""The noise floor: how far the reference is from itself, when a run stored a repeat of it."""

from __future__ import annotations

from dataclasses import dataclass

from parity import agreement
from parity.accuracy.bootstrap import paired_bootstrap
from parity.accuracy.coco import Detections, Evaluation
from parity.assess import measures
from parity.assess.estimates import Resampling, What
from parity.criteria import Estimate
from parity.criteria.box_agreement import BoxAgreementParameters
from parity.detections import Predictions
from parity.matching import match
from parity.statistics import paired_estimate

AP = What(
    group="noise_floor",
    name="noise_floor.AP",
    label="Relative AP change of a repeat of the reference",
    unit="%",
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of the reference: its tables, its detections as the evaluation takes them, and the result."""

    predictions: Predictions
    detections: Detections
    evaluation: Evaluation


def floor(
    reference: Run,
    repeat: Run | None,
    rule: BoxAgreementParameters,
    score: float,
    max_detections: int,
    how: Resampling,
) -> list[Estimate]:
    """What is measured of a candidate, of the reference's repeat; where there is none, that this is so.

    score: the production threshold. max_detections: COCO's last maxDets.
    """
    if repeat is None:
        return [how.missing(AP, "no repeat of the reference was stored")]
    evaluation, again = reference.evaluation, repeat.evaluation
    images = evaluation.truth.image_ids
    unanswered = frozenset(images.tolist()) - repeat.predictions.answered
    if unanswered:
        return [how.missing(AP, f"the repeat did not answer {len(unanswered)} of {len(images)} images")]
    samples = paired_bootstrap(evaluation, again, resamples=how.resamples, seed=how.seed, groups=how.groups)
    change = paired_estimate(
        evaluation.values["AP"],
        again.values["AP"],
        *samples.metric("AP"),
        n=how.units,
        confidence=how.confidence,
    )
    matching = match(
        reference.predictions.detections,
        repeat.predictions.detections,
        image_ids=images.tolist(),
        score=rule.score,
        iou=rule.iou,
    )
    pairs = agreement.classify(matching, moved_iou=rule.moved_iou, rescored_by=rule.rescored_by)
    found = [how.estimate(AP, change.relative_percent, change.relative_percent_interval, change.reason)]
    others = measures.operating_point(evaluation, again, score, how)
    others += measures.agreement(pairs, images, score, how)
    others += measures.pseudo_truth(
        reference.detections, repeat.detections, images, score, max_detections, how
    )
    others += measures.confidence(pairs, images, score, how)
    found += [_of_repeat(each) for each in others if not each.name.endswith(".reference")]
    return found


def _of_repeat(estimate: Estimate) -> Estimate:
    """The same measure, named as the noise floor's."""
    return estimate.model_copy(
        update={
            "group": "noise_floor",
            "name": f"noise_floor.{estimate.name}",
            "label": f"{estimate.label.replace('candidate', 'repeat')}, reference repeated",
        }
    )
