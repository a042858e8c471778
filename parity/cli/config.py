"""`parity config`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parity.cli.common import DebugOption, errors, selected, tell
from parity.cli.triton_options import ALL, resolved, triton_options
from parity.errors import UsageError

if TYPE_CHECKING:
    from parity.settings import Settings


@triton_options(*ALL)
def config_command(
    run_file: Annotated[Path, typer.Argument(help="The run file.", show_default=True)] = Path("parity.toml"),
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Only this model; may be repeated.")
    ] = None,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON, and only that.")
    ] = False,
    debug: DebugOption = False,
    *,
    options: Mapping[str, Any],
) -> None:
    """Show each setting of how Triton is reached, and what its value comes from.

    A default, the environment, the run file or the command line. Of a token only whether it is set.

    Exit code: 0, or 2 when a run could not start with these settings.
    """
    with errors(debug):
        from parity import policies, runners
        from parity.config import load
        from parity.settings import settings_of

        config = load(run_file, runners.SETTINGS, policies.phases())
        found = resolved(
            config,
            selected(config, model),
            options,
        )
        settings = settings_of(found, os.environ)
        tell(settings.to_json() if json_output else _table(settings))
        if settings.problems and not json_output:
            raise UsageError("\n".join(settings.problems))
        if settings.problems:
            raise typer.Exit(UsageError.exit_code)


def _table(settings: Settings) -> str:
    """At most 80 columns: the setting, its value, what that comes from; whose it is where models differ."""
    from parity.terminal import settings_table

    return "\n".join([settings_table(settings), *settings.notes])
