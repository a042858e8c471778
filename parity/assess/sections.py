"""The parts of a pair: accuracy with intervals, image counts, the sentence, and facts of the data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from parity.accuracy.bootstrap import BOOTSTRAP_METRICS, BootstrapSamples
from parity.accuracy.coco import METRICS, Evaluation
from parity.criteria import ClassEvidence, CriterionResult, Outcome
from parity.dataset import Dataset
from parity.detections import Predictions, Status
from parity.report.document import (
    Accuracy,
    ApSet,
    ClassAccuracy,
    Difference,
    ImageCounts,
    ImageFailure,
    Pair,
)
from parity.statistics import MOST_UNDEFINED, PairedEstimate, adjusted_p_values, paired_estimate, two_sided_p

MOST_FAILURES_NAMED = 100
OWN_EVALUATOR = "parity (equal to pycocotools)"


def accuracy(
    dataset: Dataset,
    reference: Evaluation,
    candidate: Evaluation,
    samples: BootstrapSamples,
    confidence: float,
    evaluator: str = OWN_EVALUATOR,
) -> Accuracy:
    """Both sides' values, and every difference with its interval or the reason why it has none."""
    n = samples.units
    differences: dict[str, Difference] = {}
    for metric in METRICS:
        pair = reference.values[metric], candidate.values[metric]
        if metric in BOOTSTRAP_METRICS:
            estimate = paired_estimate(*pair, *samples.metric(metric), n=n, confidence=confidence)
            differences[metric] = _difference(estimate)
        else:
            differences[metric] = _plain_difference(*pair)
    classes = []
    chances = [class_p(reference, candidate, samples, k) for k in range(len(reference.class_ap))]
    adjusted = iter(adjusted_p_values(np.array([p for p in chances if p is not None])).tolist())
    for k, category_id in enumerate(reference.truth.category_ids.tolist()):
        estimate = paired_estimate(
            reference.class_ap[k],
            candidate.class_ap[k],
            *samples.category(category_id),
            n=n,
            confidence=confidence,
        )
        classes.append(
            ClassAccuracy(
                category_id=category_id,
                name=dataset.categories[category_id],
                boxes=int(reference.class_boxes[k]),
                reference=reference.class_ap[k],
                candidate=candidate.class_ap[k],
                difference=_difference(estimate),
                p_value=chances[k],
                adjusted_p_value=None if chances[k] is None else next(adjusted),
            )
        )
    return Accuracy(
        evaluator=evaluator,
        reference=ApSet(**reference.values, undefined=reference.undefined),
        candidate=ApSet(**candidate.values, undefined=candidate.undefined),
        difference=differences,
        classes=classes,
        resamples=len(samples.reference),
        seed=samples.seed,
    )


def class_p(reference: Evaluation, candidate: Evaluation, samples: BootstrapSamples, k: int) -> float | None:
    """How likely chance alone gives class k a change as large as the measured one.

    None where the change has no interval either: then the resamples do not stand for the class.
    """
    before, after = reference.class_ap[k], candidate.class_ap[k]
    if before is None or after is None or samples.units < 2:
        return None
    changes = samples.class_candidate[:, k] - samples.class_reference[:, k]
    if samples.class_undefined[k] > MOST_UNDEFINED * len(changes):
        return None
    return two_sided_p(changes[~np.isnan(changes)], after - before, int(samples.class_units[k]))


def class_evidence(accuracy: Accuracy, identical: frozenset[int]) -> list[ClassEvidence]:
    """What the criterion of the worst class looks at. identical: ids of classes with equal detections."""
    return [
        ClassEvidence(
            name=entry.name,
            boxes=entry.boxes,
            change=entry.difference.value,
            interval=entry.difference.interval,
            p=entry.p_value,
            reason=entry.difference.reason,
            found=bool(entry.reference or entry.candidate),
            identical=entry.category_id in identical,
        )
        for entry in accuracy.classes
    ]


def _difference(estimate: PairedEstimate) -> Difference:
    return Difference(
        value=estimate.value,
        interval=estimate.interval,
        confidence=estimate.confidence if estimate.interval else None,
        relative_percent=estimate.relative_percent,
        relative_percent_interval=estimate.relative_percent_interval,
        reason=estimate.reason,
    )


def _plain_difference(reference: float | None, candidate: float | None) -> Difference:
    """A difference of a value that is not resampled."""
    value = relative = None
    reason = "not resampled, so it has no interval"
    if reference is None or candidate is None:
        reason = "undefined on a side"
    else:
        value = candidate - reference
        relative = 100 * value / reference if reference else None
        reason += "" if reference else "; the reference's value is 0, which nothing can be a percentage of"
    return Difference(
        value=value,
        interval=None,
        confidence=None,
        relative_percent=relative,
        relative_percent_interval=None,
        reason=reason,
    )


def image_counts(dataset: Dataset, reference: Predictions, candidate: Predictions) -> ImageCounts:
    """How many images there were, and by name those that a side did not answer."""
    sides: tuple[tuple[Literal["reference", "candidate"], Predictions], ...] = (
        ("reference", reference),
        ("candidate", candidate),
    )
    failures = [
        ImageFailure(
            image_id=row["image_id"],
            file_name=row["file_name"],
            side=side,
            status=row["status"],
            message=row["message"],
        )
        for side, predictions in sides
        for row in predictions.images.to_pylist()
        if row["status"] != Status.OK.value
    ]
    return ImageCounts(
        in_dataset=len(dataset.images),
        attempted=reference.images.num_rows,
        answered_by_both=len(reference.answered & candidate.answered),
        failed_on_reference=sum(failure.side == "reference" for failure in failures),
        failed_on_candidate=sum(failure.side == "candidate" for failure in failures),
        failures=failures[:MOST_FAILURES_NAMED],
    )


def sentence(model: str, verdict: Outcome, criteria: Sequence[CriterionResult]) -> str:
    """The verdict in one sentence that a manager can repeat: what decided it."""
    if verdict is Outcome.PASS:
        variance = [c.message for c in criteria if c.name == "map_variance"]
        return f"{model} passes. {variance[0] if variance else criteria[0].message}"
    deciding = next(c for c in criteria if c.outcome is verdict) if criteria else None
    word = "fails" if verdict is Outcome.FAIL else "is undecided"
    return f"{model} {word}. {deciding.message if deciding else 'The policy has no criteria.'}"


def dataset_facts(dataset: Dataset) -> dict[str, Any]:
    """Which data set it was, exactly."""
    return {
        "name": dataset.name,
        "images": len(dataset.images),
        "boxes": len(dataset.ground_truth.image_ids),
        "crowd_regions": int(dataset.ground_truth.crowd.sum()),
        **({"images_sha256": dataset.digest} if dataset.digest else {}),
        "annotations_sha256": dataset.annotations_digest,
        "classes": list(dataset.categories.values()),
    }


def notes(pairs: Sequence[Pair]) -> list[str]:
    """What a reader should know before the numbers."""
    lines = []
    for pair in pairs:
        counts = pair.images
        left_out = counts.attempted - counts.answered_by_both
        if left_out:
            what = "the quiet answers" if pair.accuracy is None else "accuracy and agreement"
            lines.append(
                f"{pair.model}: {what} rest on the {counts.answered_by_both} images that "
                f"both sides answered; {left_out} of {counts.attempted} are missing from them."
            )
        embedded = pair.provenance.get("candidate", {}).get("embedded", {})
        lines += [f"{pair.model}: {line}" for line in embedded.get("notes", [])]
    return lines
