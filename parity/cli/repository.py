"""`parity repository`: commands on the Triton model repository."""

from __future__ import annotations

import typer

from parity.cli.repository_build import build_command
from parity.cli.repository_check import check_command

repository = typer.Typer(help="Check and build the Triton model repository.", no_args_is_help=True)
repository.command("check")(check_command)
repository.command("build")(build_command)
