"""What a verdict leaves behind: the record, and its place in the chain."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from typing_extensions import Self

from parity.ledger.canonical import encode, sha256
from parity.outcome import Outcome
from parity.redaction import redacted

FORMAT: Literal[1] = 1
LONGEST = 65_536
"""Characters of a text."""

_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


def _relative(path: str) -> str:
    """The path, if it is spelled as one below a folder."""
    if "\0" in path or any(part in {"", ".", ".."} for part in path.split("/")):
        raise ValueError("not a path below a folder")
    return path


def _encodable(text: object) -> object:
    """A text without lone surrogates, with which Python spells arguments that are not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode() if isinstance(text, str) else text


def now() -> str:
    """The time in UTC, with microseconds."""
    return datetime.now(timezone.utc).strftime(_TIME)


def _time(text: str) -> str:
    """The time, if it is spelled as `now` spells it."""
    if datetime.strptime(text, _TIME).strftime(_TIME) != text:  # noqa: DTZ007
        raise ValueError("not a UTC time with microseconds")
    return text


Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(max_length=LONGEST), BeforeValidator(_encodable)]
Name = Annotated[str, Field(min_length=1, max_length=256)]
RelativePath = Annotated[str, Field(max_length=4096), AfterValidator(_relative)]
Time = Annotated[str, AfterValidator(_time)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FileDigest(_Strict):
    """One file. path: with `/`, relative to the root that the field names it for."""

    path: RelativePath
    sha256: Digest


class RepositoryDigest(_Strict):
    """A model repository as it lay on disk: every file, and folders without any, sorted by path.

    An empty folder counts, since Triton takes one with a number for a version. digest: SHA-256 of the
    canonical JSON of the two lists.
    """

    digest: Digest
    files: tuple[FileDigest, ...] = Field(min_length=1)
    empty_folders: tuple[RelativePath, ...] = ()

    @classmethod
    def of(cls, files: Mapping[str, str], empty_folders: tuple[str, ...] = ()) -> RepositoryDigest:
        """From SHA-256 by path."""
        rows = tuple(FileDigest(path=path, sha256=digest) for path, digest in sorted(files.items()))
        folders = tuple(sorted(empty_folders))
        return cls(digest=_digest(rows, folders), files=rows, empty_folders=folders)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        paths = [file.path for file in self.files]
        if sorted(set(paths)) != paths or sorted(set(self.empty_folders)) != list(self.empty_folders):
            raise ValueError("paths are not sorted, or not once each")
        if _digest(self.files, self.empty_folders) != self.digest:
            raise ValueError("the digest is not that of the files")
        return self

    def models(self) -> dict[str, str]:
        """A digest for each model's folder, by its name; files beside the folders belong to none."""
        within = [file.path for file in self.files if "/" in file.path]
        return {name: self._of_model(name) for name in sorted(map(_top, (*within, *self.empty_folders)))}

    def _of_model(self, name: str) -> str:
        files = tuple(file for file in self.files if _top(file.path) == name)
        return _digest(files, tuple(path for path in self.empty_folders if _top(path) == name))


def _top(path: str) -> str:
    return path.split("/", 1)[0]


def _digest(files: tuple[FileDigest, ...], empty_folders: tuple[str, ...]) -> str:
    rows = [[file.path, file.sha256] for file in files]
    return sha256(encode({"empty_folders": list(empty_folders), "files": rows}))


class DatasetDigest(_Strict):
    """The data set. images: over names and digests of all images. annotations: of the annotation files."""

    name: Name
    images: Digest
    annotations: Digest


class PolicyDigest(_Strict):
    """The policy. sha256: of its text, as it was read."""

    name: Name
    sha256: Digest


class CriterionRecord(_Strict):
    """One criterion's outcome. model: empty for all of them. observed, limit: in `unit`."""

    model: Annotated[str, Field(max_length=256)] = ""
    name: Name
    outcome: Outcome
    observed: float | None = None
    limit: float | None = None
    unit: Text = ""
    message: Text


class Record(_Strict):
    """One verdict and everything that it rests on.

    models: that were judged. evidence: files, relative to the evidence root. rests_on: digests of earlier
    records. versions: by package. created: UTC, as `now` gives it. override: why a step was taken against
    the verdict, None where it was not; the outcome stays the verdict's.

    PASS over a criterion that did not pass, over none, or without evidence is no record.
    """

    format: Literal[1] = FORMAT
    phase: Name
    outcome: Outcome
    models: tuple[Name, ...] = Field(min_length=1)
    criteria: tuple[CriterionRecord, ...]
    repository: RepositoryDigest
    dataset: DatasetDigest | None
    policy: PolicyDigest
    evidence: tuple[FileDigest, ...]
    rests_on: tuple[Digest, ...] = ()
    versions: dict[str, str]
    created: Time = Field(default_factory=now)
    user: Name
    host: Name
    override: Annotated[Text, Field(min_length=1)] | None = None
    command: Text

    @property
    def time(self) -> datetime:
        """When it was made, with its time zone."""
        return datetime.strptime(self.created, _TIME).replace(tzinfo=timezone.utc)

    @model_validator(mode="after")
    def _earned(self) -> Self:
        outcomes = {criterion.outcome for criterion in self.criteria}
        if Outcome.FAIL in outcomes and self.outcome is not Outcome.FAIL:
            raise ValueError(f"{self.outcome.value} over a criterion that failed")
        if self.outcome is Outcome.PASS and outcomes != {Outcome.PASS}:
            raise ValueError("PASS without a criterion, or over one that did not pass")
        if self.outcome is Outcome.PASS and not self.evidence:
            raise ValueError("PASS without evidence")
        return self

    def without_secrets(self) -> Self:
        """The same record with secrets in its texts replaced by `[redacted]`."""
        criteria = tuple(
            criterion.model_copy(update={"message": _clean(criterion.message)}) for criterion in self.criteria
        )
        override = None if self.override is None else _clean(self.override)
        changed = {"criteria": criteria, "command": _clean(self.command), "override": override}
        return self.model_copy(update=changed)


def _clean(text: str) -> str:
    return redacted(text)[:LONGEST]


class Entry(Record):
    """A record in its place. sequence: from 1. previous: digest of the record before, None for the first."""

    sequence: int = Field(ge=1)
    previous: Digest | None


def who(environ: Mapping[str, str] = os.environ) -> tuple[str, str]:
    """User and host: PARITY_USER and PARITY_HOST, else what the system says, else `unknown`."""
    user, host = environ.get("PARITY_USER", ""), environ.get("PARITY_HOST", "")
    return (user or _user())[:256], (host or socket.gethostname() or "unknown")[:256]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        return f"uid {os.getuid()}"
