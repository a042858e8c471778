"""`parity repository check`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parity.cli.common import DebugOption, errors
from parity.errors import UsageError

if TYPE_CHECKING:
    from parity.config import RunFile
    from parity.progress import Step
    from parity.repository.check import Target

FAIL = 10
"""The verdict's exit code for FAIL (parity.gate.EXIT_CODES, whose import would take longer than a check)."""

RUN_FILE = Path("parity.toml")
REPOSITORY = Path("model_repository")


def check_command(
    path: Annotated[
        Path | None,
        typer.Argument(help="The model repository.", show_default="the run file's, else model_repository"),
    ] = None,
    run_file: Annotated[
        Path | None,
        typer.Option(
            help="What heads, classes and weights are held to.", show_default="parity.toml if there"
        ),
    ] = None,
    no_run_file: Annotated[bool, typer.Option("--no-run-file", help="Take no run file at all.")] = False,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Only this model; may be repeated.")
    ] = None,
    tensorrt: Annotated[
        str | None, typer.Option(metavar="VERSION", help="TensorRT of the server, such as 10.13.")
    ] = None,
    compute_capability: Annotated[
        str | None, typer.Option(metavar="X.Y", help="Of the server's GPU, such as 9.0.")
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(help="Report to compare digests with.", show_default="the newest in reports/"),
    ] = None,
    store: Annotated[
        list[Path] | None,
        typer.Option("--store", help="Folder that links may lead to; may be repeated.", metavar="FOLDER"),
    ] = None,
    allow_unbuilt: Annotated[
        bool, typer.Option("--allow-unbuilt", help="A plan that was never built is no error.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors.")] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON, and only that.")
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Find what is wrong with a model repository before any server starts; needs no GPU and no torch.

    Exit code: 0 without errors, 10 with some, 2 usage, 4 when onnx or tritonclient is not installed.
    """
    with errors(debug):
        from parity.repository.check import Request, Severity, check
        from parity.repository.check.document import to_json
        from parity.repository.check.text import to_text

        config = _run_file(run_file, unwanted=no_run_file)
        request = Request(
            repository=path or (config.model_repository if config is not None else REPOSITORY),
            models=tuple(model or ()),
            run_file=config,
            target=_target(tensorrt, compute_capability),
            evidence=evidence,
            allow_unbuilt=allow_unbuilt,
            stores=tuple(store or ()),
        )
        result = check(request, _Bars())
        failed = result.count(Severity.ERROR) > 0 or (strict and result.count(Severity.WARNING) > 0)
        typer.echo(to_json(result, failed=failed) if json_output else to_text(result, failed=failed))
        if failed:
            raise typer.Exit(FAIL)


class _Bars:
    """Bars that are loaded with the first one: a check of small files takes less time than their library."""

    @contextmanager
    def step(self, label: str, total: int) -> Iterator[Step]:
        """One step with a bar of its own."""
        from parity.bars import RichProgress

        with RichProgress() as progress, progress.step(label, total) as step:
            yield step


def _run_file(given: Path | None, *, unwanted: bool) -> RunFile | None:
    if unwanted and given is not None:
        raise UsageError(
            "both --run-file and --no-run-file", where="the command line", expected="one of them"
        )
    if unwanted or (given is None and not RUN_FILE.is_file()):
        return None
    from parity.config import load

    return load(given or RUN_FILE, None, None)


def _target(tensorrt: str | None, compute_capability: str | None) -> Target:
    from parity.repository.check import Target

    for option, value, pattern, example in (
        ("--tensorrt", tensorrt, r"\d{1,4}(\.\d{1,6}){0,3}", "10.13 or 10.13.3.9"),
        ("--compute-capability", compute_capability, r"\d{1,2}\.\d", "9.0"),
    ):
        if value is not None and not re.fullmatch(pattern, value, re.ASCII):
            raise UsageError(f"{value!r}", where=option, expected=f"a version such as {example}")
    return Target(tensorrt=tensorrt, compute_capability=compute_capability)
