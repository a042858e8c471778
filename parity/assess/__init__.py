"""From two sides' tables to one pair of the report: accuracy, agreement, criteria and the worst images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from parity import agreement, gate
from parity.accuracy.bootstrap import paired_bootstrap
from parity.accuracy.coco import evaluate, index_truth
from parity.assess import gallery, sections, tables
from parity.criteria import Outcome, PairEvidence
from parity.criteria.box_agreement import BoxAgreementParameters
from parity.criteria.map_variance import MapVarianceParameters
from parity.dataset import Dataset, ImageReader
from parity.detections import Predictions
from parity.errors import EvidenceError, ParityError
from parity.matching import match
from parity.policies import Policy
from parity.progress import Progress
from parity.report.document import Agreement, Pair, Report

__all__ = ["Assessment", "assess", "summarise"]

SEED = 0
"""Of the bootstrap, so that the same evidence gives the same report."""


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """One model's pair, its rows of images.csv and differences.csv, and what the verdict may not hide."""

    pair: Pair
    images: pd.DataFrame
    differences: pd.DataFrame


def assess(
    *,
    model: str,
    dataset: Dataset,
    reader: ImageReader,
    policy: Policy,
    reference: Predictions,
    candidate: Predictions,
    provenance: dict[str, Any],
    timings: dict[str, float],
    folder: Path,
    progress: Progress,
) -> Assessment:
    """Judge one model.

    Accuracy is measured on the images that both sides answered; the others are counted and named, and
    `image_coverage` fails for them.

    Raises EvidenceError when the two images tables are not about the same images.
    """
    attempted = reference.attempted
    if attempted != candidate.attempted:
        raise EvidenceError("the sides were asked for different images", where=f"model {model!r}")
    both = reference.answered & candidate.answered
    variance = policy.parameters(MapVarianceParameters, "map_variance")
    rule = policy.parameters(BoxAgreementParameters, "box_agreement")
    sides = []
    with progress.step(f"{model}: accuracy and matching", 3) as step:
        truth = index_truth(dataset.ground_truth, image_ids=both, category_ids=dataset.categories)
        for side in (reference, candidate):
            sides.append(evaluate(truth, side.restricted_to(both).detections))
            step.advance()
        matching = match(
            reference.detections, candidate.detections, image_ids=both, score=rule.score, iou=rule.iou
        )
        classified = agreement.classify(matching, moved_iou=rule.moved_iou, rescored_by=rule.rescored_by)
        step.advance()
    with progress.step(f"{model}: paired bootstrap", variance.resamples) as step:
        samples = paired_bootstrap(*sides, resamples=variance.resamples, seed=SEED, step=step)
    accuracy = sections.accuracy(dataset, sides[0], sides[1], samples, variance.confidence)
    summary = agreement.summarise(classified)
    difference = accuracy.difference["AP"]
    evidence = PairEvidence(
        attempted=attempted,
        reference_answered=reference.answered,
        candidate_answered=candidate.answered,
        nonfinite_reference=int(np.sum(reference.images["nonfinite"].to_numpy())),
        nonfinite_candidate=int(np.sum(candidate.images["nonfinite"].to_numpy())),
        ap_difference=difference.relative_percent,
        ap_interval=difference.relative_percent_interval,
        ap_reason=difference.reason,
        agreeing=summary.agreeing,
        compared=summary.matched + summary.missing + summary.extra,
        disagreement={kind: getattr(summary, kind) for kind in ("missing", "extra", "moved", "rescored")},
    )
    criteria = gate.judge(policy, evidence)
    rows = tables.images(model, reference, candidate, classified)
    verdict = gate.verdict([criterion.outcome for criterion in criteria])
    pair = Pair(
        model=model,
        verdict=verdict,
        sentence=sections.sentence(model, verdict, criteria),
        images=sections.image_counts(dataset, reference, candidate),
        accuracy=accuracy,
        agreement=Agreement(**{name: getattr(summary, name) for name in Agreement.model_fields}),
        criteria=criteria,
        worst_images=gallery.worst_images(model, dataset, reader, rows, classified, folder),
        timings={step: round(seconds, 3) for step, seconds in timings.items()},
        provenance={**provenance, "dataset": sections.dataset_facts(dataset)},
    )
    return Assessment(pair=pair, images=rows, differences=tables.differences(model, dataset, classified))


def summarise(
    assessments: Sequence[Assessment],
    *,
    dataset: Dataset,
    phase: str,
    run_id: str,
    command: str,
    error: ParityError | None,
    not_run: Sequence[str] = (),
) -> Report:
    """The report of a whole run. A run that was ended early can fail, but never pass."""
    pairs = [assessment.pair for assessment in assessments]
    verdict = gate.verdict([pair.verdict for pair in pairs])
    if error is not None and verdict is Outcome.PASS:
        verdict = Outcome.INCONCLUSIVE
    rehearsal = not all(pair.provenance["candidate"].get("tensorrt") is True for pair in pairs) or not pairs
    return Report(
        run_id=run_id,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=command,
        phase=phase,
        verdict=verdict,
        rehearsal=rehearsal,
        partial=any(pair.images.attempted < pair.images.in_dataset for pair in pairs),
        dataset=dataset.name,
        notes=[*sections.notes(pairs), *(f"{name}: not run, since the run stopped." for name in not_run)],
        error=str(error) if error else None,
        pairs=pairs,
    )
