"""Digests of what lies on disk: the model repository as it would be served, and evidence files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from parity.errors import EvidenceError, join_problems
from parity.ledger.chain import Stored
from parity.ledger.findings import Finding
from parity.ledger.record import FileDigest, RepositoryDigest
from parity.progress import Progress
from parity.repository.check.digests import Digests
from parity.repository.check.files import Unreadable
from parity.repository.check.links import Reach

MOST_FILES = 100_000
MOST_SHOWN = 20
GIT = ".git"
"""Git's own folder in the repository's root, which changes with every fetch and holds no model."""


def repository_digest(
    repository: Path, stores: Sequence[Path] = (), progress: Progress | None = None
) -> RepositoryDigest:
    """Digest every file of the model repository as it lies on disk now, whatever its name.

    Links are followed within the repository and the stores. Raises EvidenceError that names everything that
    cannot be read, leads elsewhere or is no file; a repository without files is an error too.
    """
    found = _Found()
    reach = Reach(repository, *stores)
    _walk(repository, "", reach, found, (), skip=GIT)
    digests = _digest_all(repository, found, reach, progress)
    if not digests and not found.problems:
        found.problems.append("no file")
    _raise(found.problems, repository, "a model repository that can be read whole")
    return RepositoryDigest.of(digests, tuple(found.empty))


def evidence_digests(
    root: Path, paths: Iterable[Path], progress: Progress | None = None
) -> tuple[FileDigest, ...]:
    """Digests of files, and of all files in folders, sorted by path relative to the root.

    Raises EvidenceError that names everything that is missing, empty or outside the root.
    """
    found = _Found()
    reach = Reach(root)
    top = Path(os.path.abspath(root))  # noqa: PTH100  (links stay, so that names are the ones that were given)
    for path in paths:
        below = os.path.relpath(os.path.abspath(path), top)  # noqa: PTH100
        if below == ".." or below.startswith("../"):
            found.problems.append(f"{path}: outside {root}")
        elif _is_folder(path):
            before = len(found.files)
            _walk(path, "" if below == "." else f"{below}/", reach, found, ())
            if len(found.files) == before:
                found.problems.append(f"{path}: a folder without files")
        else:
            found.files.append(below)
    found.files = sorted(set(found.files))
    digests = _digest_all(top, found, reach, progress)
    _raise(found.problems, root, "evidence that can be read whole")
    return tuple(FileDigest(path=path, sha256=digest) for path, digest in digests.items())


def check_evidence(stored: Sequence[Stored], root: Path, progress: Progress | None = None) -> list[Finding]:
    """What of the records' evidence is gone or changed; each file is read once."""
    resting: dict[FileDigest, list[str]] = {}
    for record in stored:
        for file in record.entry.evidence:
            resting.setdefault(file, []).append(record.file)
    findings = []
    with Digests(Reach(root), progress) as digests:
        for file in resting:
            digests.begin(root / file.path)
        for file, records in resting.items():
            try:
                now = digests.of(root / file.path)
            except Unreadable as error:
                code, found = "EVIDENCE_GONE", error.found
            else:
                if now == file.sha256:
                    continue
                code, found = "EVIDENCE_CHANGED", f"SHA-256 {now[:16]}..."
            more = f" and {len(records) - 1} more" if len(records) > 1 else ""
            expected = f"{file.sha256[:16]}..., as in {records[0]}{more}"
            findings.append(Finding(code=code, file=file.path, found=found, expected=expected))
    return findings


@dataclass
class _Found:
    """Paths relative to a root."""

    files: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def _walk(
    folder: Path, prefix: str, reach: Reach, found: _Found, above: tuple[str, ...], skip: str = ""
) -> None:
    """Collect what lies below a folder. above: the folders that it lies in, with their links resolved."""
    real = os.path.realpath(folder)
    shown = prefix.rstrip("/") or str(folder)
    escaped = reach.escape(folder)
    if escaped is not None:
        found.problems.append(f"{shown}: a link to {escaped}, out of reach")
        return
    if real in above:
        found.problems.append(f"{shown}: a link to a folder that it lies in")
        return
    try:
        paths = sorted(path for path in folder.iterdir() if path.name != skip)
    except OSError as error:
        found.problems.append(f"{shown}: cannot be read: {error.strerror}")
        return
    if not paths and prefix:
        found.empty.append(prefix.rstrip("/"))
    for path in paths:
        if len(found.files) >= MOST_FILES:
            found.problems.append(f"{shown}: more than {MOST_FILES:,} files")
            return
        if not _is_text(path.name):
            found.problems.append(f"{shown}: the name {path.name!r} is not UTF-8")
        elif _is_folder(path):
            _walk(path, f"{prefix}{path.name}/", reach, found, (*above, real))
        else:
            found.files.append(prefix + path.name)


def _digest_all(root: Path, found: _Found, reach: Reach, progress: Progress | None) -> dict[str, str]:
    """Digests by path; what cannot be read is a problem."""
    result = {}
    with Digests(reach, progress) as digests:
        for path in found.files:
            digests.begin(root / path)
        for path in found.files:
            try:
                result[path] = digests.of(root / path)
            except Unreadable as error:
                found.problems.append(f"{path}: {error.found}")
    return result


def _is_folder(path: Path) -> bool:
    """Whether it is known for a folder; what cannot be looked at is told of when it is read as a file."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _is_text(name: str) -> bool:
    """Whether a name can be written into a record; others are bytes that are not UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _raise(problems: list[str], where: Path, expected: str) -> None:
    if problems:
        more = [f"and {len(problems) - MOST_SHOWN} more"] if len(problems) > MOST_SHOWN else []
        raise EvidenceError(join_problems(problems[:MOST_SHOWN] + more), where=str(where), expected=expected)
