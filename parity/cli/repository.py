"""`parity repository`: the commands around the Triton model repository."""

from __future__ import annotations

import typer

from parity.cli.repository_build import build_command

repository = typer.Typer(help="Build the engines of the Triton model repository.", no_args_is_help=True)
repository.command("build")(build_command)


@repository.callback()
def _repository() -> None:
    """Keep `build` a command of its own while it is the only one."""
