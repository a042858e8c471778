"""From two sides' tables to one pair of the report: accuracy, agreement, criteria and the worst images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from parity import agreement, gate
from parity.assess import gallery, sections, tables
from parity.assess.measured import Options, Side, measure
from parity.criteria import Outcome, PairEvidence
from parity.dataset import Dataset, ImageReader
from parity.errors import ParityError
from parity.policies import Policy
from parity.progress import Progress
from parity.report.document import Agreement, Pair, Report

__all__ = ["Assessment", "Options", "Side", "assess", "in_turn", "summarise"]


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """One model's pair, its rows of images.csv and differences.csv, and what the verdict may not hide.

    unjudged: criteria of the phase that the verdict is not over, with the command that judges them.
    """

    pair: Pair
    images: pd.DataFrame
    differences: pd.DataFrame
    notes: tuple[str, ...] = ()
    unjudged: Mapping[str, str] = field(default_factory=dict)


def assess(
    *,
    model: str,
    dataset: Dataset,
    reader: ImageReader,
    policy: Policy,
    reference: Side,
    candidate: Side,
    repeat: Side | None = None,
    options: Options,
    provenance: dict[str, Any],
    timings: dict[str, float],
    folder: Path,
    progress: Progress,
) -> Assessment:
    """Judge one model.

    Accuracy is measured on the images that both sides answered; the others are counted and named, and
    `image_coverage` fails for them. repeat: the reference's second answers, if they were stored.

    Raises EvidenceError when the two images tables are not about the same images.
    """
    measured = measure(model, dataset, policy, reference, candidate, repeat, options, progress)
    before, after = reference.predictions, candidate.predictions
    summary = agreement.summarise(measured.classified)
    difference = measured.accuracy.difference["AP"]
    evidence = PairEvidence(
        attempted=before.attempted,
        reference_answered=before.answered,
        candidate_answered=after.answered,
        nonfinite_reference=int(np.sum(before.images["nonfinite"].to_numpy())),
        nonfinite_candidate=int(np.sum(after.images["nonfinite"].to_numpy())),
        ap_difference=difference.relative_percent,
        ap_interval=difference.relative_percent_interval,
        ap_reason=difference.reason,
        agreeing=summary.agreeing,
        compared=summary.matched + summary.missing + summary.extra,
        disagreement={kind: getattr(summary, kind) for kind in ("missing", "extra", "moved", "rescored")},
        units=measured.samples.units,
        silent=len(options.silent & frozenset(dataset.ground_truth.image_ids.tolist())),
        classes=sections.class_evidence(measured.accuracy, measured.identical),
        estimates={estimate.name: estimate for estimate in measured.estimates},
    )
    judged, others = gate.part(policy, "answers")
    # What holds back comes first, so that the sentence is about it.
    criteria = [*gate.held_back(policy, provenance.get("candidate", {})), *gate.judge(judged, evidence)]
    with progress.step(f"{model}: tables and pictures", 2) as step:
        rows = tables.images(model, before, after, measured.classified)
        differences = tables.differences(model, dataset, measured.classified)
        step.advance()
        worst = gallery.worst_images(model, dataset, reader, rows, measured.classified, folder)
        step.advance()
    verdict = gate.verdict([criterion.outcome for criterion in criteria])
    pair = Pair(
        model=model,
        verdict=verdict,
        sentence=sections.sentence(model, verdict, criteria),
        images=sections.image_counts(dataset, before, after),
        accuracy=measured.accuracy,
        agreement=Agreement(**{name: getattr(summary, name) for name in Agreement.model_fields}),
        estimates=measured.estimates,
        criteria=criteria,
        worst_images=worst,
        timings={step: round(seconds, 3) for step, seconds in timings.items()},
        provenance={**provenance, "dataset": sections.dataset_facts(dataset)},
    )
    notes = _tie_notes(model, measured.tied)
    return Assessment(pair=pair, images=rows, differences=differences, notes=notes, unjudged=others)


def _tie_notes(model: str, tied: int) -> tuple[str, ...]:
    if not tied:
        return ()
    told = (
        f"{model}: {tied} detections have the score of another of their image and class, on one side or both"
    )
    return (f"{told}; the order in which they are stored decides, as in pycocotools.",)


def _left_out(pair: Pair) -> bool:
    """Whether images were left out of what rests on a whole data set; load is put on with a few of them."""
    return pair.agreement is not None and pair.images.attempted < pair.images.in_dataset


def summarise(
    assessments: Sequence[Assessment],
    *,
    dataset: Dataset,
    phase: str,
    run_id: str,
    command: str,
    error: ParityError | None,
    not_run: Sequence[str] = (),
    notes: Sequence[str] = (),
    partial: bool = False,
) -> Report:
    """The report of a whole run. A run that was ended early can fail, but never pass.

    notes: what a reader should know first. partial: whether images were left out on purpose.
    """
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
        partial=partial or any(_left_out(pair) for pair in pairs),
        dataset=dataset.name,
        unjudged={name: who for assessment in assessments for name, who in assessment.unjudged.items()},
        notes=[
            *notes,
            *sections.notes(pairs),
            *(note for assessment in assessments for note in assessment.notes),
            *(f"{name}: not run, since the run stopped." for name in not_run),
        ],
        error=str(error) if error else None,
        pairs=pairs,
    )


def in_turn(
    models: Sequence[str], one: Callable[[str], tuple[Assessment, ParityError | None]]
) -> tuple[list[Assessment], ParityError | None]:
    """One model after the other, until something stops them: what there is by then, and what it was.

    Raises the ParityError of the first model when there is nothing of it.
    """
    assessments: list[Assessment] = []
    for name in models:
        try:
            assessment, error = one(name)
        except ParityError as problem:
            if not assessments:
                raise
            return assessments, problem  # the models before it are judged and reported all the same
        assessments.append(assessment)
        if error:
            return assessments, error
    return assessments, None
