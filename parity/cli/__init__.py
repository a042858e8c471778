"""The command `parity`: the only place that prints or exits."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Annotated, NoReturn

import typer

from parity import __version__
from parity.cli import compare, config, drill, load, plan, run
from parity.cli.ledger import ledger
from parity.cli.policy import policy
from parity.cli.repository import repository

__all__ = ["app", "main"]

app = typer.Typer(
    help="Decides whether an object detector may move from PyTorch to an engine behind NVIDIA Triton.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"parity {__version__}")
        raise typer.Exit


@app.callback()
def _application(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Options before the command."""


app.command("run")(run.run_command)
app.command("serve")(run.serve_command)
app.command("config")(config.config_command)
app.command("compare")(compare.compare_command)
app.command("load")(load.load_command)
app.command("drill")(drill.drill_command)
app.command("plan")(plan.plan_command)
app.add_typer(policy, name="policy")
app.add_typer(repository, name="repository")
app.add_typer(ledger, name="ledger")


def main() -> None:
    """Entry point of the command."""
    # Numba's default of 3 makes a first call a second longer and the kernels no faster: benchmarks/README.md.
    os.environ.setdefault("NUMBA_OPT", "1")
    signal.signal(signal.SIGTERM, _terminate)
    app()


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    """Turn SIGTERM into an ordinary exit, so that every server is stopped on the way out."""
    raise SystemExit(128 + number)
