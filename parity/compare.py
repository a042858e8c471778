"""Compares two files of detections on the same annotations: a run without runners."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from pydantic import ValidationError

from parity import detections
from parity.assess import Options, assess, summarise
from parity.comparands import NoPictures, coverage, dataset_of, side_of
from parity.criteria import CRITERIA
from parity.dataset.annotations import read_annotations
from parity.errors import EvidenceError, UsageError, join_problems
from parity.imagesets import Choice, choose
from parity.pipeline import Result
from parity.policies import Policy
from parity.policies import load as load_policy
from parity.progress import Progress
from parity.provenance import environment
from parity.report import write_report
from parity.report.folder import check_folder, staged
from parity.results import Results, read

PHASE = "comparison"
OPTIONS = {
    "limit_percent": "--limit",
    "confidence": "--confidence",
    "resamples": "--resamples",
    "score": "--score-threshold",
}
"""What the parameters of criteria that a caller may set are called on the command line."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What is compared, and how.

    folder: where report and tables go. limit: percent of the reference's AP. confidence: 0.5 to 1.
    max_detections: COCO's last maxDets. score_floor: detections under it are left out.
    score_threshold: that of production, 0 to below 1, where precision, recall and F1 are measured.
    group: field of the annotations' images by which whole groups are resampled.
    repeat: results of a second run of the reference.
    """

    reference: Path
    candidate: Path
    annotations: Path
    folder: Path
    command: str
    repeat: Path | None = None
    images: Choice = "same"
    resamples: int = 1000
    seed: int = 0
    limit: float = 0.1
    confidence: float = 0.95
    max_detections: int = 100
    score_floor: float = 0.0
    score_threshold: float = 0.5
    group: str | None = None
    evaluator: str = "parity"


def compare(request: Comparison, progress: Progress) -> Result:
    """Judge the candidate's file by the reference's and write the report.

    Raises ParityError for input that cannot be compared, before anything is written.
    """
    timings: dict[str, float] = {}
    started = perf_counter()
    files = {"reference": request.reference, "candidate": request.candidate}
    if request.repeat is not None:
        files["repeat"] = request.repeat
    check_folder(request.folder, [*files.values(), request.annotations])
    policy = _policy(request)
    oracle = _oracle(request.evaluator)
    with progress.step("reading annotations and results", 1 + len(files)) as step:
        annotations = read_annotations(request.annotations, request.group)
        step.advance()
        found: dict[str, Results] = {}
        for role, path in files.items():
            found[role] = read(path, annotations)
            step.advance()
    annotated = frozenset(image.image_id for image in annotations.images)
    chosen = choose(
        annotated,
        coverage(found["reference"]),
        coverage(found["candidate"]),
        request.images,
    )
    if "repeat" in found:
        again = choose(annotated, coverage(found["reference"]), coverage(found["repeat"]), request.images)
        lacking = len(chosen.images - again.images)
        if lacking:
            raise EvidenceError(
                f"no answers for {lacking} of the {len(chosen.images)} images compared",
                where=str(request.repeat),
                expected="a second run of the reference over the same images",
            )
    if any(results.predictions is not None for results in found.values()):
        finite = {"finite_outputs": CRITERIA["finite_outputs"].parameters()}
        policy = replace(policy, criteria={**policy.criteria, **finite})
    dataset = dataset_of(annotations)
    sides = {role: side_of(results, dataset, chosen, request.score_floor) for role, results in found.items()}
    timings["reading"] = perf_counter() - started
    started = perf_counter()
    name = model_name(request.reference, request.candidate)
    assessment = assess(
        model=name,
        dataset=dataset,
        reader=NoPictures(),
        policy=policy,
        reference=sides["reference"],
        candidate=sides["candidate"],
        repeat=sides.get("repeat"),
        options=Options(
            seed=request.seed,
            groups=annotations.groups,
            max_detections=request.max_detections,
            silent=chosen.silent,
            **oracle,
        ),
        provenance=_provenance(found, request),
        timings=timings,
        folder=request.folder,
        progress=progress,
    )
    assessment.pair.timings["comparing"] = round(perf_counter() - started, 3)
    report = summarise(
        [assessment],
        dataset=dataset,
        phase=policy.phase,
        run_id=request.folder.name,
        command=request.command,
        error=None,
        notes=[*chosen.notes, *_notes(request, found)],
        partial=chosen.partial,
    )
    with progress.step("writing the report", len(sides) + 1) as step, staged(request.folder) as folder:
        for role, side in sides.items():
            detections.write(side.predictions, folder / "evidence" / name, role)
            step.advance()
        write_report(report, [assessment.images], [assessment.differences], folder)
        step.advance()
    return Result(report=report, folder=request.folder, error=None)


def model_name(reference: Path, candidate: Path) -> str:
    """What the report calls the pair: the candidate's file name, or its folder's where both are alike."""
    stem = candidate.name.split(".")[0]
    if stem and stem != reference.name.split(".")[0]:
        return stem
    return candidate.resolve().parent.name or stem or "candidate"


def _policy(request: Comparison) -> Policy:
    """The policy of comparisons with what the command line says otherwise."""
    policy = load_policy(PHASE)
    criteria, problems = dict(policy.criteria), []
    for name, wanted in (
        (
            "map_variance",
            {
                "limit_percent": request.limit,
                "confidence": request.confidence,
                "resamples": request.resamples,
            },
        ),
        ("operating_point", {"score": request.score_threshold}),
    ):
        own = criteria[name]
        try:
            criteria[name] = type(own).model_validate({**own.model_dump(), **wanted})
        except ValidationError as error:
            problems += [_described(dict(detail)) for detail in error.errors()]
    if problems:
        raise UsageError(join_problems(problems), where="command line")
    return replace(policy, criteria=criteria)


def _described(detail: dict[str, Any]) -> str:
    """One of pydantic's findings by the name of the option; one about several options names itself."""
    message = str(detail["msg"]).removeprefix("Value error, ")
    if not detail["loc"]:
        return message
    return f"{OPTIONS[str(detail['loc'][0])]} {detail['input']}: {message}"


def _oracle(wanted: str) -> dict[str, Any]:
    """The options that have somebody else's values reported."""
    if wanted == "parity":
        return {}
    from parity.accuracy.oracle import pycocotools_version, with_pycocotools

    return {
        "oracle": with_pycocotools,
        "oracle_name": f"pycocotools {pycocotools_version()}; intervals by parity",
    }


def _provenance(found: dict[str, Results], request: Comparison) -> dict[str, Any]:
    facts: dict[str, Any] = {
        role: {"file": results.path.name, "kind": results.kind, "sha256": results.sha256}
        for role, results in found.items()
    }
    facts["settings"] = {
        "images": request.images,
        "max_detections": request.max_detections,
        "score_floor": request.score_floor,
        "score_threshold": request.score_threshold,
        "group": request.group,
        "annotations": request.annotations.name,
    }
    facts["environment"] = environment()
    return facts


def _notes(request: Comparison, found: dict[str, Results]) -> list[str]:
    notes = []
    if request.score_floor > 0:
        notes.append(f"Detections with a score under {request.score_floor:g} were left out on both sides.")
    if request.max_detections != 100:
        notes.append(f"AP and AR100 use up to {request.max_detections} detections an image and class.")
    if request.group is not None:
        notes.append(f"Resampled were groups of images with the same {request.group}, not single images.")
    if found["reference"].sha256 == found["candidate"].sha256:
        notes.append("Both sides are the same file.")
    return notes
