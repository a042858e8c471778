"""The job in one sentence.

A data set goes through two runners into detection tables, which are matched and measured, judged by a
policy's criteria, and written down as one report.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from parity.assess import Assessment, Options, Side, assess, in_turn, summarise
from parity.dataset import OpenCvReader, load
from parity.errors import ParityError
from parity.policies import for_run
from parity.progress import Progress
from parity.report import write_report
from parity.report.document import Report
from parity.sides import Request, answer, check_model


@dataclass(frozen=True, kw_only=True)
class Result:
    """The report, where it lies, and what ended the run early, if anything did."""

    report: Report
    folder: Path
    error: ParityError | None


def run(request: Request, progress: Progress) -> Result:
    """Run every model of the request and write the report.

    Raises ParityError when a run cannot begin, and leaves nothing behind then; what ends it early is in the
    result, beside what was computed until then.
    """
    try:
        return _run(request, progress)
    except BaseException:
        if not any(request.folder.rglob("*.parquet")):
            shutil.rmtree(request.folder, ignore_errors=True)
        raise


def _run(request: Request, progress: Progress) -> Result:
    policy = for_run(request.run_file).at_threshold(request.run_file.score_threshold)
    config = request.run_file.datasets[request.run_file.dataset]
    dataset = load(request.run_file.dataset, config, progress)
    reader = OpenCvReader(config)
    for name in request.models:
        check_model(name, request.run_file.models[name], dataset)

    def one(name: str) -> tuple[Assessment, ParityError | None]:
        timings: dict[str, float] = {}
        answers = answer(request, name, dataset, reader, timings, progress)
        assessment = assess(
            model=name,
            dataset=dataset,
            reader=reader,
            policy=policy,
            reference=Side.of(answers.reference.predictions),
            candidate=Side.of(answers.candidate.predictions),
            repeat=None if answers.repeat is None else Side.of(answers.repeat.predictions),
            options=Options(),
            provenance=answers.facts,
            timings=timings,
            folder=request.folder,
            progress=progress,
        )
        return assessment, answers.error

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
    write_report(
        report, [a.images for a in assessments], [a.differences for a in assessments], request.folder
    )
    return Result(report=report, folder=request.folder, error=error)
