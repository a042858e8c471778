"""The job in one sentence: a data set goes through two runners into detection tables, which are matched
and measured, judged by a policy's criteria, and written down as one report.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parity import detections
from parity.assess import Assessment, assess, summarise
from parity.collect import Collected, collect
from parity.config import RunFile
from parity.dataset import Dataset, OpenCvReader, load
from parity.errors import EvidenceError, ParityError
from parity.policies import load as load_policy
from parity.progress import Progress
from parity.provenance import environment
from parity.report import write_report
from parity.report.document import Report
from parity.runners import Runner, RunnerContext, create


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a run was asked for. images: how many of the data set, None for all. folder: where it goes."""

    run_file: RunFile
    models: tuple[str, ...]
    images: int | None
    folder: Path
    cache: Path
    command: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """The report, where it lies, and what ended the run early, if anything did."""

    report: Report
    folder: Path
    error: ParityError | None


def run(request: Request, progress: Progress) -> Result:
    """Run every model of the request and write the report.

    Raises ParityError when a run cannot begin; what ends it early is in the result, beside what was
    computed until then.
    """
    policy = load_policy(request.run_file.phase)
    config = request.run_file.datasets[request.run_file.dataset]
    dataset = load(request.run_file.dataset, config, progress)
    reader = OpenCvReader(config)
    for name in request.models:
        check_class_names(name, request.run_file.models[name].names, dataset)

    assessments: list[Assessment] = []
    error: ParityError | None = None
    for name in request.models:
        reference, candidate, facts = answer(request, name, dataset, reader, progress)
        assessments.append(
            assess(
                model=name,
                dataset=dataset,
                reader=reader,
                policy=policy,
                reference=reference.predictions,
                candidate=candidate.predictions,
                provenance=facts,
                folder=request.folder,
                progress=progress,
            )
        )
        error = reference.error or candidate.error
        if error:
            break
    report = summarise(
        assessments,
        dataset=dataset,
        phase=policy.phase,
        run_id=request.folder.name,
        command=request.command,
        error=error,
    )
    write_report(report, [a.images for a in assessments], [a.differences for a in assessments], request.folder)
    return Result(report=report, folder=request.folder, error=error)


def answer(
    request: Request, name: str, dataset: Dataset, reader: OpenCvReader, progress: Progress
) -> tuple[Collected, Collected, dict[str, Any]]:
    """Both sides' answers of one model, stored as they come, and what exactly ran.

    Both runners are made ready before either begins, so that a missing server costs no waiting.
    """
    model = request.run_file.models[name]
    images = dataset.images[: request.images]
    categories = dataset.category_of_class(model.names)
    evidence = request.folder / "evidence" / name
    sides: dict[str, Collected] = {}
    facts: dict[str, Any] = {}
    with ExitStack() as stack:
        runners: dict[str, Runner] = {}
        for role in ("candidate", "reference"):
            context = RunnerContext(
                name=name,
                model=model,
                reader=reader,
                score_floor=request.run_file.score_floor,
                max_detections=request.run_file.max_detections,
                sample=dataset.images,
                cache=request.cache,
                repository=request.run_file.model_repository,
                logs=evidence,
                progress=progress,
            )
            runners[role] = stack.enter_context(create(request.run_file.side(name, role), context))
        for role in ("reference", "candidate"):
            facts[role] = runners[role].provenance()
            sides[role] = collect(runners[role], images, categories, progress, f"{name}: {role}")
            detections.write(sides[role].predictions, evidence, role)
    facts["environment"] = environment()
    return sides["reference"], sides["candidate"], facts


def check_class_names(model: str, names: tuple[str, ...], dataset: Dataset) -> None:
    """Raise EvidenceError unless model and data set have the same classes, in whatever order."""
    ours, theirs = set(names), set(dataset.categories.values())
    if ours != theirs:
        raise EvidenceError(
            f"only the model has {sorted(ours - theirs)}, only the data set has {sorted(theirs - ours)}",
            where=f"class names of model {model!r} and data set {dataset.name!r}",
            expected="the same names on both",
            remedy="mend `names` in the run file or the categories of the data set",
        )
