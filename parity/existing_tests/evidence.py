"""What is known of tests that there are already: the document that `existing_tests` judges.

It comes from JUnit XML, of which there is no standard: counts are those of the test cases that are in the
files, and what a file says of itself is held to them.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

MOST_NAMED = 100
"""Tests of a kind that are kept by name; counts are over all of them."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Suite(_Part):
    """One suite with test cases of its own, or without any at all."""

    name: str
    tests: int = Field(ge=0, description="Test cases, each of them in one of the next four counts.")
    passed: int = Field(ge=0)
    failed: int = Field(ge=0)
    errors: int = Field(ge=0)
    skipped: int = Field(ge=0)
    contradiction: str = Field(
        "", description="What the suite says of itself that its test cases do not bear out; empty if nothing."
    )


class ResultFile(_Part):
    """One JUnit XML file."""

    path: str
    sha256: str
    started: datetime | None = Field(
        description="The earliest that a suite of it says it started; null where none does. UTC."
    )
    suites: tuple[Suite, ...]


class TestsEvidence(_Part):
    """All files that were named; names are `suite: class.test`."""

    __test__: ClassVar[bool] = False  # by its name pytest would take it for tests

    files: tuple[ResultFile, ...]
    failures: tuple[str, ...] = Field(
        description="Tests that failed or ended in an error, the first of them."
    )
    skips: tuple[str, ...] = Field(description="Tests that were skipped, the first of them.")

    @property
    def suites(self) -> tuple[Suite, ...]:
        """Of all files, in their order."""
        return tuple(suite for file in self.files for suite in file.suites)

    @property
    def oldest(self) -> datetime | None:
        """When the first of the files was begun; None where one of them does not tell, or without files."""
        times = [file.started for file in self.files]
        known = [time for time in times if time is not None]
        return min(known) if known and len(known) == len(times) else None
