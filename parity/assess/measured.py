"""Everything that is measured between two sides, before anything is judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parity import agreement, precompile
from parity.accuracy.bootstrap import BootstrapSamples, paired_bootstrap
from parity.accuracy.coco import (
    MAX_DETECTIONS,
    Detections,
    Evaluation,
    IndexedTruth,
    evaluate,
    index_truth,
)
from parity.agreement import Classified
from parity.assess import measures, noise, sections
from parity.assess.estimates import Resampling
from parity.criteria import Estimate
from parity.criteria.box_agreement import BoxAgreementParameters
from parity.criteria.map_variance import MapVarianceParameters
from parity.criteria.operating_point import OperatingPointParameters
from parity.dataset import Dataset
from parity.detections import Predictions
from parity.errors import EvidenceError
from parity.matching import match
from parity.policies import Policy
from parity.progress import Progress
from parity.report.document import Accuracy, ClassAccuracy

Oracle = Callable[[Evaluation, Detections, int], Evaluation]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side's answers: its tables, and its detections as the evaluation takes them.

    They differ only for results files, whose decimal numbers float32 tables cannot hold.
    """

    predictions: Predictions
    detections: Detections

    @classmethod
    def of(cls, predictions: Predictions) -> Side:
        """A side whose tables are all there is."""
        return cls(predictions=predictions, detections=Detections.of_table(predictions.detections))


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to measure.

    groups: one label for each image of the data set, where images belong together. max_detections: COCO's
    last maxDets. silent: ids of images that nothing says were run. oracle:
    computes the reported values of both sides another way; the report calls it oracle_name.
    """

    seed: int = 0
    groups: NDArray[np.int64] | None = None
    max_detections: int = MAX_DETECTIONS
    silent: frozenset[int] = frozenset()
    oracle: Oracle | None = None
    oracle_name: str = sections.OWN_EVALUATOR


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Accuracy with intervals, the classified matching, and all estimates.

    identical: ids of classes of which both sides have the very same detections. tied: detections on both
    sides that have the score of another of their image and class.
    """

    accuracy: Accuracy
    samples: BootstrapSamples
    identical: frozenset[int]
    classified: Classified
    estimates: list[Estimate]
    tied: int


def measure(
    model: str,
    dataset: Dataset,
    policy: Policy,
    reference: Side,
    candidate: Side,
    repeat: Side | None,
    options: Options,
    progress: Progress,
) -> Measured:
    """Measure on the images that both sides answered.

    Raises EvidenceError when the two images tables are not about the same images.
    """
    if reference.predictions.attempted != candidate.predictions.attempted:
        raise EvidenceError("the sides were asked for different images", where=f"model {model!r}")
    both = reference.predictions.answered & candidate.predictions.answered
    variance = policy.parameters(MapVarianceParameters, "map_variance")
    rule = policy.parameters(BoxAgreementParameters, "box_agreement")
    most = options.max_detections
    threshold = policy.parameters(OperatingPointParameters, "operating_point").score
    sides: list[Evaluation] = []
    with progress.step(f"{model}: accuracy and matching", 3) as step:
        truth = index_truth(dataset.ground_truth, image_ids=both, category_ids=dataset.categories)
        for side in (reference, candidate):
            own = evaluate(truth, side.detections, max_detections=most)
            sides.append(options.oracle(own, side.detections, most) if options.oracle else own)
            step.advance()
        precompile.wait()
        matching = match(
            reference.predictions.detections,
            candidate.predictions.detections,
            image_ids=both,
            score=rule.score,
            iou=rule.iou,
        )
        classified = agreement.classify(matching, moved_iou=rule.moved_iou, rescored_by=rule.rescored_by)
        step.advance()
    groups = _groups(dataset, truth, options)
    with progress.step(f"{model}: paired bootstrap", variance.resamples) as step:
        samples = paired_bootstrap(
            sides[0], sides[1], resamples=variance.resamples, seed=options.seed, groups=groups, step=step
        )
    how = Resampling(
        images=len(truth.image_ids),
        units=samples.units,
        resamples=variance.resamples,
        seed=options.seed,
        confidence=variance.confidence,
        groups=groups,
    )
    with progress.step(f"{model}: other measures", 5) as step:
        estimates = measures.operating_point(sides[0], sides[1], threshold, how)
        step.advance()
        estimates += measures.agreement(classified, truth.image_ids, threshold, how)
        step.advance()
        estimates += measures.pseudo_truth(
            reference.detections, candidate.detections, truth.image_ids, threshold, most, how
        )
        step.advance()
        estimates += measures.confidence(classified, truth.image_ids, threshold, how)
        step.advance()
        first = noise.Run(
            predictions=reference.predictions, detections=reference.detections, evaluation=sides[0]
        )
        again = None
        if repeat is not None:
            again = noise.Run(
                predictions=repeat.predictions,
                detections=repeat.detections,
                evaluation=evaluate(truth, repeat.detections, max_detections=most),
            )
        estimates += noise.floor(first, again, rule, threshold, most, how)
        step.advance()
    accuracy = sections.accuracy(
        dataset, sides[0], sides[1], samples, variance.confidence, options.oracle_name
    )
    return Measured(
        accuracy=accuracy,
        samples=samples,
        identical=_identical(reference.detections, candidate.detections, accuracy.classes),
        classified=classified,
        estimates=estimates,
        tied=sum(side.tied for side in sides),
    )


def _identical(
    reference: Detections, candidate: Detections, classes: Sequence[ClassAccuracy]
) -> frozenset[int]:
    """Classes too rare for intervals, or without AP, of which both sides have the same detections, if any."""
    return frozenset(
        entry.category_id
        for entry in classes
        if (entry.difference.interval is None or entry.p_value is None or not entry.reference)
        and (reference.category_ids == entry.category_id).any()
        and all(map(np.array_equal, _rows(reference, entry.category_id), _rows(candidate, entry.category_id)))
    )


def _rows(side: Detections, category_id: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Images, (n,), and scores and boxes, (n, 5), of one class' detections, in an order of their own."""
    part = side.kept(side.category_ids == category_id)
    order = np.lexsort((*part.boxes.T, part.scores, part.image_ids))
    return part.image_ids[order], np.column_stack([part.scores, part.boxes])[order]


def _groups(dataset: Dataset, truth: IndexedTruth, options: Options) -> NDArray[np.int64] | None:
    """The labels of the evaluated images, in their order."""
    if options.groups is None:
        return None
    label = {image.image_id: g for image, g in zip(dataset.images, options.groups.tolist(), strict=True)}
    return np.array([label[image_id] for image_id in truth.image_ids.tolist()], np.int64)
