"""The result as JSON, and the JSON Schema of it.

`python -m parity.repository.check.document` writes the schema into the package again after a change.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from parity.files import write_whole
from parity.repository.check import Result, Severity

SCHEMA_VERSION: Literal["1.0"] = "1.0"
SCHEMA_PATH = Path(__file__).parents[2] / "schemas" / "repository-check.schema.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FindingRow(_Part):
    """One finding; docs/repository-check.md explains the codes."""

    code: str
    severity: Literal["error", "warning", "info"]
    model: str = Field(description="Empty for the repository as a whole.")
    file: str = Field(description="Relative to the repository, or as given when it lies elsewhere.")
    line: int | None = Field(description="From 1; null where a line means nothing.")
    found: str
    expected: str
    fix: str


class ModelRow(_Part):
    """One model that was checked."""

    name: str
    versions: int


class Document(_Part):
    """What `parity repository check --json` prints."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    repository: str
    failed: bool = Field(description="Whether the command exits with 10.")
    errors: int
    warnings: int
    infos: int
    models: list[ModelRow]
    findings: list[FindingRow]


def to_json(result: Result, *, failed: bool) -> str:
    """The document as text, without a line feed at its end; ASCII, so that nothing in it moves a cursor."""
    document = Document(
        repository=str(result.repository),
        failed=failed,
        errors=result.count(Severity.ERROR),
        warnings=result.count(Severity.WARNING),
        infos=result.count(Severity.INFO),
        models=[ModelRow(name=name, versions=versions) for name, versions in result.models.items()],
        findings=[FindingRow(**{**vars(f), "severity": f.severity.value}) for f in result.findings],
    )
    return json.dumps(document.model_dump(), indent=2)


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the document: every field is there."""
    found = Document.model_json_schema(mode="serialization")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "parity repository check --json",
    }
    return {**head, **{key: value for key, value in found.items() if key not in head}}


if __name__ == "__main__":
    write_whole(SCHEMA_PATH, json.dumps(schema(), indent=2) + "\n")
