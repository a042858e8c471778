"""Every failure that parity foresees, with the exit code that belongs to it.

A message says what was found, where, what was expected and what to do. The command line prints it
without a traceback; anything else that escapes is a crash and exits with 1.
"""

from __future__ import annotations


class ParityError(Exception):
    """Base of all foreseen failures; use one of the subclasses.

    found: what is wrong, as one clause. where: file, key, endpoint or image. expected: what would have
    been right. remedy: the next step for the reader.
    """

    exit_code = 1

    def __init__(self, found: str, *, where: str = "", expected: str = "", remedy: str = "") -> None:
        super().__init__(found)
        self.found = found
        self.where = where
        self.expected = expected
        self.remedy = remedy

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.found}" if self.where else self.found]
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.remedy:
            lines.append(f"  to do: {self.remedy}")
        return "\n".join(lines)


class UsageError(ParityError):
    """The command line or the run file is wrong."""

    exit_code = 2


class EvidenceError(ParityError):
    """Evidence or a data set is missing, damaged or does not fit the other side."""

    exit_code = 3


class RunnerError(ParityError):
    """A runner or a server failed."""

    exit_code = 4


def first_line(error: BaseException) -> str:
    """Another library's exception as one short line."""
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"


def join_problems(problems: list[str]) -> str:
    """One line for one problem, an indented list for several."""
    if len(problems) == 1:
        return problems[0]
    return f"{len(problems)} problems\n" + "\n".join(f"  - {problem}" for problem in problems)
