"""The ledger for a terminal, within 80 columns, and as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from parity.ledger.chain import Stored
from parity.ledger.findings import Finding
from parity.ledger.verify import Verification
from parity.outcome import Outcome
from parity.visible import one_line

WIDTH = 80
SCHEMA_VERSION = "1.0"
_STYLES = {Outcome.PASS: "bold green", Outcome.FAIL: "bold red", Outcome.INCONCLUSIVE: "bold yellow"}


def to_table(stored: Sequence[Stored]) -> str:
    """One row a record, oldest first; below it the reason of every override, and the last digest.

    key: the first digits of the id that the first signature names, which nothing here has checked.
    """
    table = Table()
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("made (UTC)", no_wrap=True)
    table.add_column("phase", overflow="fold", min_width=11)
    table.add_column("outcome", no_wrap=True)
    table.add_column("models", overflow="fold")
    table.add_column("key", no_wrap=True)
    for record in stored:
        entry = record.entry
        table.add_row(
            str(entry.sequence),
            entry.time.strftime("%Y-%m-%d %H:%M"),
            Text(one_line(entry.phase)),
            Text(entry.outcome.value, _STYLES[entry.outcome]),
            Text(one_line(", ".join(entry.models))),
            _key(record),
        )
    console = Console(width=WIDTH, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(table)
    lines = [captured.get().rstrip("\n")]
    lines += [
        _wrapped(f"#{record.entry.sequence} OVERRIDE by {record.entry.user}: ", record.entry.override)
        for record in stored
        if record.entry.override is not None
    ]
    lines += [f"last: {record.digest}" for record in stored[-1:]]
    return "\n".join(lines)


def _key(record: Stored) -> Text:
    signatures = record.envelope.signatures
    return Text(one_line(signatures[0].keyid[:8]) if signatures else "none")


def to_json(stored: Sequence[Stored], findings: Sequence[Finding]) -> str:
    """All records with their digests, and what is wrong; ASCII, so that nothing in it moves a cursor."""
    records = [
        {
            "file": record.file,
            "digest": record.digest,
            "keyids": [signature.keyid for signature in record.envelope.signatures],
            **record.entry.model_dump(mode="json"),
        }
        for record in stored
    ]
    document = {
        "schema_version": SCHEMA_VERSION,
        "records": records,
        "findings": [vars(finding) for finding in findings],
    }
    return json.dumps(document, indent=2)


def to_summary(verification: Verification, folder: Path) -> str:
    """What was checked and everything that is wrong; its last line says which of the two it is."""
    stored, findings = verification.stored, verification.findings
    lines = [_wrapped(f"{_counted(len(stored), 'record')} in ", str(folder))]
    if stored:
        lines.append(f"last: {stored[-1].digest}")
    signed = f"{verification.signed} of {len(stored)} signed"
    checked = "checked" if verification.signatures_checked else "not checked, since no --key was given"
    lines.append(f"signatures: {signed}; {checked}")
    lines.append(f"evidence: {_counted(verification.files, 'file')}, checked")
    for finding in findings:
        lines.append(_wrapped(f"{finding.code}  ", finding.file))
        lines.append(_wrapped("  found     ", finding.found))
        lines.append(_wrapped("  expected  ", finding.expected))
    lines.append(f"WRONG: {_counted(len(findings), 'finding')}" if findings else "nothing is wrong")
    return "\n".join(lines)


def _wrapped(before: str, text: str) -> str:
    indent = " " * (len(before) if len(before) < 20 else 6)
    return textwrap.fill(
        one_line(before + text) if not before.startswith(" ") else before + one_line(text),
        WIDTH,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
