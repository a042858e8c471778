"""`parity ledger`: show, verify and export the chain of verdicts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from parity.cli.common import DebugOption, errors, folder_of, tell
from parity.errors import EvidenceError, UsageError

ledger = typer.Typer(help="Show, verify and export the chain of verdicts.", no_args_is_help=True)

LedgerOption = Annotated[
    Path,
    typer.Option("--ledger", help="The ledger's folder.", parser=folder_of, metavar="FOLDER"),
]
KeyOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--key", metavar="PUB.pem", help="Ed25519 public key that may sign records; may be repeated."
    ),
]
DEFAULT = Path("ledger")


@ledger.command("show")
def show_command(
    folder: LedgerOption = DEFAULT,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON, and only that.")
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Print every verdict, oldest first, and what is wrong with their chain.

    Exit code: 0, or 3 when there is no ledger or something is wrong with it.
    """
    with errors(debug):
        from parity.ledger.chain import examine, raise_if_damaged
        from parity.ledger.text import to_json, to_table

        if not folder.is_dir():
            raise EvidenceError("no such folder", where=str(folder), expected="a ledger")
        chain = examine(folder)
        if json_output:
            tell(to_json(chain.stored, chain.findings))
            if chain.findings:
                raise typer.Exit(EvidenceError.exit_code)
            return
        tell(to_table(chain.stored) if chain.stored else "no record")
        raise_if_damaged(folder, chain.findings)


@ledger.command("verify")
def verify_command(
    folder: LedgerOption = DEFAULT,
    key: KeyOption = None,
    evidence_root: Annotated[
        Path | None,
        typer.Option(
            help="Folder that evidence paths are relative to.",
            show_default="the one that the ledger lies in",
            parser=folder_of,
            metavar="DIR",
        ),
    ] = None,
    anchor: Annotated[
        list[str] | None,
        typer.Option(
            "--anchor",
            metavar="DIGEST",
            help="Digest that was written down elsewhere, which a record must have; may be repeated.",
        ),
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Find everything that is wrong with the chain, its signatures and the evidence.

    Exit code: 0 when nothing is, 3 with findings, of which an empty ledger is one.
    """
    with errors(debug):
        from parity.ledger.keys import public_key
        from parity.ledger.text import to_summary
        from parity.ledger.verify import verify

        verification = verify(
            folder,
            keys=[public_key(path) for path in key or ()],
            evidence_root=_existing(evidence_root),
            anchors=[_digest(digest) for digest in anchor or ()],
        )
        tell(to_summary(verification, folder))
        if verification.findings:
            raise typer.Exit(EvidenceError.exit_code)


@ledger.command("export")
def export_command(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    folder: LedgerOption = DEFAULT,
    debug: DebugOption = False,
) -> None:
    """Write all records into one file: a DSSE envelope a line, oldest first.

    Exit code: 0, or 3 when something is wrong with the ledger, and then nothing is written.
    """
    with errors(debug):
        from parity.ledger.verify import export

        if target.resolve().is_relative_to(folder.resolve()):
            raise UsageError("inside the ledger", where=str(target), remedy="name a file elsewhere")
        count = export(folder, target)
        tell(f"{count:,} record{'' if count == 1 else 's'}: {target}")


def _existing(root: Path | None) -> Path | None:
    if root is not None and not root.is_dir():
        raise UsageError("no such folder", where=f"--evidence-root {root}", expected="the evidence's root")
    return root


def _digest(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise UsageError(
            f"no digest: {text[:80]!r}", where="--anchor", expected="64 hexadecimal digits in lower case"
        )
    return text
