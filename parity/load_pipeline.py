"""`parity load` in one sentence.

Both served paths of each model answer in quiet and then under the same loads in turn; what that shows is
judged by those of the policy's criteria that need it, and written down as one report.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from parity import gate
from parity.answers import unusable
from parity.assess import Assessment, in_turn, sections, summarise
from parity.criteria import PairEvidence
from parity.criteria.metrics_available import MetricsAvailableParameters
from parity.dataset import Dataset, OpenCvReader, load
from parity.errors import EvidenceError, ParityError, UsageError
from parity.files import write_whole
from parity.load.plan import LoadPlan
from parity.load.run import ORDER
from parity.load_evidence import Gathered, gather
from parity.load_imported import imported
from parity.load_sides import check_served
from parity.pipeline import Result
from parity.policies import Policy, for_run
from parity.progress import Progress
from parity.report import write_report
from parity.report.document import ImageCounts, ImageFailure, Pair, Report
from parity.serving.evidence import ServingEvidence, SideName
from parity.sides import Request, check_model

EVIDENCE = "serving.json"


@dataclass(frozen=True, kw_only=True)
class LoadRequest:
    """What was asked for: as for a run, and the loads.

    files: of perf_analyzer, by side; where there are any they are read, and no load is put on anything.
    """

    request: Request
    plan: LoadPlan
    files: tuple[tuple[SideName, Path], ...] = ()


def run(asked: LoadRequest, progress: Progress) -> Result:
    """Measure how every model of the request is served, and write the report.

    Raises ParityError when nothing can begin; what ends it early is in the result, beside what was measured
    until then. So is a report that cannot be written: what was measured can still be told.
    """
    request = asked.request
    policy = for_run(request.run_file)
    config = request.run_file.datasets[request.run_file.dataset]
    _check(asked)
    dataset = load(request.run_file.dataset, config, progress)
    for name in request.models:
        check_model(name, request.run_file.models[name], dataset)

    def one(name: str) -> tuple[Assessment, ParityError | None]:
        timings: dict[str, float] = {}
        keep = _keeper(_place(request.folder, name))
        gathered = (
            imported(asked.files)
            if asked.files
            else gather(
                request,
                asked.plan,
                name,
                dataset,
                OpenCvReader(config),
                timings,
                progress,
                keep,
                metrics=policy.parameters(MetricsAvailableParameters, "metrics_available").metrics,
            )
        )
        keep(gathered.evidence)
        return _judge(name, dataset, policy, gathered, timings), gathered.error

    assessments, error = in_turn(request.models, one)
    report = summarise(
        assessments,
        dataset=dataset,
        phase=policy.phase,
        run_id=request.folder.name,
        command=request.command,
        error=error,
        not_run=request.models[len(assessments) :],
        notes=[*policy.notes, *request.notes],
    )
    return Result(report=report, folder=request.folder, error=_write(report, request.folder, error))


def _write(report: Report, folder: Path, error: ParityError | None) -> ParityError | None:
    """Write evidence and report; what ended the run, also when that is a disk that takes no more."""
    try:
        for pair in report.pairs:
            if pair.serving is not None:
                _store(_place(folder, pair.model), pair.serving)
        write_report(report, [], [], folder)
    except OSError as problem:
        before = f"; before that, {error.where}: {error.found}" if error else ""
        return EvidenceError(
            f"the report could not be written: {problem.strerror or problem}{before}",
            where=str(folder),
            remedy="make room, or name another folder with --out; the table is all that is left of this load",
        )
    return error


def _place(folder: Path, model: str) -> Path:
    return folder / "evidence" / model / EVIDENCE


def _store(path: Path, evidence: ServingEvidence) -> None:
    """Write evidence there, whole, in the place of what was known before."""
    write_whole(path, evidence.model_dump_json(indent=1) + "\n")


def _keeper(path: Path) -> Callable[[ServingEvidence], None]:
    """Stores what there is so far where that can be done: a full disk is no reason to end a load."""

    def keep(evidence: ServingEvidence) -> None:
        with suppress(OSError):
            _store(path, evidence)

    return keep


def _check(asked: LoadRequest) -> None:
    """Raise UsageError for what no evidence could come of."""
    request = asked.request
    if not asked.files:
        for name in request.models:
            check_served(request.run_file, name)
    elif len(request.models) != 1:
        raise UsageError(
            f"the files could be of {', '.join(request.models)}",
            where="--perf-analyzer",
            remedy="say which with --model",
        )


def _judge(
    name: str, dataset: Dataset, policy: Policy, gathered: Gathered, timings: dict[str, float]
) -> Assessment:
    judged, others = gate.part(policy, "serving")
    criteria = [
        *gate.held_back(policy, gathered.facts.get("candidate", {})),
        *gate.judge(judged, PairEvidence.of_serving(gathered.evidence)),
    ]
    verdict = gate.verdict([criterion.outcome for criterion in criteria])
    pair = Pair(
        model=name,
        verdict=verdict,
        sentence=sections.sentence(name, verdict, criteria),
        images=_counts(dataset, gathered),
        accuracy=None,
        agreement=None,
        estimates=[],
        serving=gathered.evidence,
        criteria=criteria,
        worst_images=[],
        timings={step: round(seconds, 3) for step, seconds in timings.items()},
        provenance={**gathered.facts, "dataset": sections.dataset_facts(dataset)},
    )
    return Assessment(
        pair=pair,
        images=pd.DataFrame(),
        differences=pd.DataFrame(),
        notes=tuple(f"{name}: {line}" for line in gathered.problems),
        unjudged=others,
    )


def _counts(dataset: Dataset, gathered: Gathered) -> ImageCounts:
    """What became of the quiet requests, image by image."""
    failures: list[ImageFailure] = []
    failed = dict.fromkeys(ORDER, 0)
    for image in gathered.images:
        for side in ORDER:
            result = gathered.quiet[side].get(image.image_id)
            problem = "no answer" if result is None else unusable(result)
            if not problem:
                continue
            failed[side] += 1
            failures.append(
                ImageFailure(
                    image_id=image.image_id,
                    file_name=image.file_name,
                    side=side,
                    status="not_attempted" if result is None else result.status.value,
                    message=problem,
                )
            )
    bad = {failure.image_id for failure in failures}
    return ImageCounts(
        in_dataset=len(dataset.images),
        attempted=len(gathered.images),
        answered_by_both=len(gathered.images) - len(bad),
        failed_on_reference=failed["reference"],
        failed_on_candidate=failed["candidate"],
        failures=failures[: sections.MOST_FAILURES_NAMED],
    )
