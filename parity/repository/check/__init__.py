"""The static check of a model repository: no GPU, no server, no network is run.

    folders -> what they hold -> findings of each topic -> one result

Every topic is one small file whose `check` takes a model as it was read and notes what is wrong with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from parity.config import RunFile, hint
from parity.errors import UsageError
from parity.progress import Progress
from parity.repository.check import build, configuration, contract, decoding, graph, layout, metadata
from parity.repository.check import evidence as evidence_of
from parity.repository.check.classes import class_names
from parity.repository.check.digests import Digests
from parity.repository.check.evidence import Evidence
from parity.repository.check.files import Unreadable, is_there
from parity.repository.check.findings import CODES, Finding, Notes, Severity
from parity.repository.check.folders import subfolders
from parity.repository.check.links import Reach, note_escape
from parity.repository.check.reading import begin_digests, read_subject
from parity.repository.check.subject import Subject, Target

__all__ = ["CODES", "Finding", "Request", "Result", "Severity", "Target", "check"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to check, and against what.

    models: only these, () for all. run_file: None leaves heads and class names to other sources. evidence: a
    report or its folder; None takes the newest under `reports`. allow_unbuilt: a plan that was never built is
    for information only, for repositories that keep engines out of version control. stores: where links
    of the repository may lead, too.
    """

    repository: Path
    models: tuple[str, ...] = ()
    run_file: RunFile | None = None
    target: Target = field(default_factory=Target)
    evidence: Path | None = None
    reports: Path = Path("reports")
    allow_unbuilt: bool = False
    stores: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Result:
    """Everything that was found. models: name and number of versions of those that were checked.

    findings: by model in the order of names, what concerns the whole repository first; errors first.
    """

    repository: Path
    models: dict[str, int]
    findings: tuple[Finding, ...]

    def count(self, severity: Severity) -> int:
        """How many findings of this severity there are."""
        return sum(finding.severity is severity for finding in self.findings)


def check(request: Request, progress: Progress | None = None) -> Result:
    """Check a repository; everything that is wrong is in the result. progress: told of large files' digests.

    Raises UsageError for a path that is no folder, a model that is not there, or a report that does not
    exist; RunnerError when onnx or tritonclient is not installed.
    """
    repository = request.repository.resolve()
    if not _is_folder(repository):
        raise UsageError(
            "no folder" if is_there(repository) else "no such folder",
            where=str(request.repository),
            expected="a Triton model repository: <model>/config.pbtxt, <model>/<version>/model.plan",
        )
    notes = Notes()
    evidence = Evidence(request.evidence, request.reports)
    folders = _folders(repository, request, notes)
    categories = _categories(request, notes)
    findings = list(notes.findings)
    models: dict[str, int] = {}
    reach = _reach(repository, request)
    folders = [folder for folder in folders if not _leads_out(folder, reach, findings)]
    with Digests(reach, progress) as digests:
        begin_digests(folders, digests)
        read = []
        for folder in folders:  # all are read first, so that digests are computed while others are parsed
            notes = Notes(folder.name)
            subject = read_subject(
                repository,
                folder,
                notes,
                model=None if request.run_file is None else request.run_file.models.get(folder.name),
                categories=categories,
                target=request.target,
                reach=reach,
                digests=digests,
            )
            read.append((subject, notes))
        for subject, notes in read:
            _check_model(subject, evidence, request, notes)
            models[subject.name] = len(subject.versions)
            findings += notes.findings
    order = list(Severity)
    findings.sort(key=lambda f: (f.model, order.index(f.severity)))
    return Result(repository=request.repository, models=models, findings=tuple(findings))


def _reach(repository: Path, request: Request) -> Reach:
    for store in request.stores:
        if not _is_folder(store):
            raise UsageError(
                "no folder",
                where=f"--store {store}",
                expected="a folder that links of the repository lead to",
            )
    weights = () if request.run_file is None else [m.weights for m in request.run_file.models.values()]
    return Reach(repository, *request.stores, *weights)


def _leads_out(folder: Path, reach: Reach, findings: list[Finding]) -> bool:
    """Whether a model's folder is a link that is not followed, which is then a finding."""
    target, notes = reach.escape(folder), Notes(folder.name)
    if target is not None:
        note_escape(target, folder.name, notes)
        findings += notes.findings
    return target is not None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _check_model(subject: Subject, evidence: Evidence, request: Request, notes: Notes) -> None:
    layout.check(subject, notes, allow_unbuilt=request.allow_unbuilt)
    build.check(subject, notes)
    configuration.check(subject, notes)
    metadata.check(subject, notes)
    contract.check(subject, notes)
    decoding.check(subject, notes)
    graph.check(subject, notes)
    evidence_of.check(subject, evidence, notes)
    shown = subject.shown(subject.folder)
    if request.run_file is not None and subject.model is None:
        notes.add(
            "NOT_IN_RUN_FILE",
            shown,
            f"no [models.{subject.name}]",
            expected="a model of this name in the run file",
            fix="add it, or rename the folder",
        )
    if subject.target == Target() and any(version.has_plan for version in subject.versions):
        notes.add(
            "NO_TARGET",
            shown,
            "neither --tensorrt nor --compute-capability",
            expected="the server that the plans are for",
            fix="name both, such as --tensorrt 10.13 --compute-capability 9.0",
        )


def _folders(repository: Path, request: Request, notes: Notes) -> list[Path]:
    try:
        folders = subfolders(repository)
    except Unreadable as error:
        raise UsageError(error.found, where=str(request.repository)) from error
    known = [folder.name for folder in folders]
    unknown = [name for name in request.models if name not in known]
    if unknown:
        raise UsageError(
            f"no model is called {unknown[0]!r}{hint(unknown[0], known) if known else ''}", where="--model"
        )
    if not folders:
        notes.add(
            "NO_MODELS",
            ".",
            "no folder",
            expected="one folder a model",
            fix="name the folder that holds the models' folders",
        )
    if request.run_file is not None and not request.models:
        for name in request.run_file.models:
            if name not in known:
                notes.add(
                    "MODEL_MISSING",
                    ".",
                    f"no folder {name!r}",
                    expected="one for every model of the run file",
                    fix="add it, or take the model out of the run file",
                )
    return [folder for folder in folders if not request.models or folder.name in request.models]


def _categories(request: Request, notes: Notes) -> tuple[str, ...] | None:
    if request.run_file is None:
        return None
    config = request.run_file.datasets[request.run_file.dataset]
    try:
        return class_names(config)
    except Unreadable as error:
        notes.add(
            "UNREADABLE",
            str(error.path),
            error.found,
            expected="the run file's data set, for its class names",
            fix="correct [datasets] in the run file, or leave the run file out with --no-run-file",
        )
        return None
