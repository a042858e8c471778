"""`parity policy`: what a phase asks for, and whether a team's own file is fit to ask it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parity.cli.common import DebugOption, errors, tell

policy = typer.Typer(help="Show what a phase asks for, and check a policy of your own.", no_args_is_help=True)
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and only that.")]


@policy.command("show")
def show_command(
    phase: Annotated[str, typer.Argument(help="A phase, such as canary-10.")],
    json_output: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show a phase's criteria, the sentence of the rollout plan that each stands for, and the requirements.

    Exit code: 0, or 2 for an unknown phase.
    """
    with errors(debug):
        from parity import policies
        from parity.policy_view import policy_json, policy_text

        found = policies.load(phase)
        tell(policy_json(found) if json_output else policy_text(found))


@policy.command("check")
def check_command(
    file: Annotated[Path, typer.Argument(help="The policy's TOML file.")],
    json_output: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Check a policy of your own, and show what it comes to with what it extends.

    What it lets through and the phase's built-in policy does not takes `allow_looser = "reason"`, which every
    report will print. Exit code: 0, or 2 with everything that is wrong.
    """
    with errors(debug):
        from parity import policies
        from parity.policy_view import policy_json, policy_text

        found = policies.read(file)
        tell(policy_json(found) if json_output else policy_text(found))
