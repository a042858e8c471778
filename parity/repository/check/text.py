"""The result for a terminal: by model, errors first, within 80 columns."""

from __future__ import annotations

import textwrap
from itertools import groupby

from parity.repository.check import Finding, Result, Severity
from parity.visible import one_line

WIDTH = 80
_LABELS = (("found", "found"), ("expected", "expected"), ("fix", "to do"))


def to_text(result: Result, *, failed: bool) -> str:
    """All findings, and a last line that sums them up; control characters in it are made visible."""
    versions = sum(result.models.values())
    counted = f"{_counted(len(result.models), 'model')}, {_counted(versions, 'version')} in "
    parts = [_wrapped(counted, str(result.repository))]
    for model, findings in groupby(result.findings, key=lambda finding: finding.model):
        parts.append(f"\n{one_line(model) or 'the repository'}")
        parts += [_finding(finding) for finding in findings]
    for model in result.models:
        if not any(finding.model == model for finding in result.findings):
            parts.append(f"\n{one_line(model)}\n  nothing found")
    errors, warnings = (result.count(severity) for severity in (Severity.ERROR, Severity.WARNING))
    notes = result.count(Severity.INFO)
    summary = f"{_counted(errors, 'error')}, {_counted(warnings, 'warning')}, {notes} for information"
    parts.append(f"\n{'FAIL: ' if failed else ''}{summary}")
    return "\n".join(parts)


def _finding(finding: Finding) -> str:
    place = finding.file if finding.line is None else f"{finding.file}:{finding.line}"
    lines = [_wrapped(f"  {finding.severity.value} {finding.code}  ", place)]
    lines += [_wrapped(f"    {label:<10}", getattr(finding, name)) for name, label in _LABELS]
    return "\n".join(lines)


def _wrapped(before: str, text: str) -> str:
    indent = " " * (len(before) if len(before) < 20 else 6)
    return textwrap.fill(
        before + one_line(text), WIDTH, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
