"""Options that say how Triton is reached, the same for every command that has a candidate."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from parity.config import RunFile
    from parity.environment import Resolved

PANEL = "Triton (each wins over the run file, and that over the environment)"

TritonOption = Annotated[
    bool | None,
    typer.Option(
        "--triton/--no-triton",
        help="Ask Triton, or have the reference answer in its place.",
        rich_help_panel=PANEL,
        show_default="TRITON_ENABLED, else on",
    ),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--triton-url",
        metavar="HOST:PORT",
        help="gRPC of a running server.",
        rich_help_panel=PANEL,
        show_default="TRITON_URL, else a server of its own",
    ),
]
HttpUrlOption = Annotated[
    str | None,
    typer.Option(
        "--triton-http-url",
        metavar="HOST:PORT",
        help="HTTP of a running server.",
        rich_help_panel=PANEL,
        show_default="TRITON_HTTP_URL, else a server of its own",
    ),
]
ProtocolOption = Annotated[
    str | None,
    typer.Option(
        "--triton-protocol",
        metavar="grpc|http",
        help="What is spoken to it.",
        rich_help_panel=PANEL,
        show_default="TRITON_PROTOCOL, else grpc",
    ),
]
TritonModelOption = Annotated[
    str | None,
    typer.Option(
        "--triton-model",
        metavar="NAME",
        help="The model's name there.",
        rich_help_panel=PANEL,
        show_default="TRITON_MODEL, else the run file's name",
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        help="Of one attempt of a request.",
        rich_help_panel=PANEL,
        show_default="TRITON_TIMEOUT, else 30",
    ),
]
RetriesOption = Annotated[
    int | None,
    typer.Option(
        "--retries",
        metavar="COUNT",
        help="Further attempts that a request may have.",
        rich_help_panel=PANEL,
        show_default="TRITON_MAX_RETRIES, else 3",
    ),
]
ThresholdOption = Annotated[
    float | None,
    typer.Option(
        "--score-threshold",
        metavar="SCORE",
        help="That of production, where F1 and flips are measured.",
        rich_help_panel=PANEL,
        show_default="TRITON_CONFIDENCE_THRESHOLD, else the policy's",
    ),
]


def switched_on(config: RunFile, models: tuple[str, ...]) -> Resolved:
    """Run file and environment put together, for commands without these options that need the candidate.

    Raises UsageError where it is switched off: the reference, asked in its place, would be held to itself.
    """
    found = resolved(config, models)
    if found.stand_ins:
        from parity.errors import UsageError

        raise UsageError(
            f"Triton is switched off for {', '.join(sorted(found.stand_ins))}",
            where="TRITON_ENABLED, or `enabled` in the run file",
            expected="a candidate to ask",
            remedy="switch it on for this command; `parity drill` switches it off and on by itself",
        )
    return found


def resolved(config: RunFile, models: tuple[str, ...], **options: Any) -> Resolved:
    """Run file, environment and these options put together, for these models.

    options: by key of the run file, None for what was not given. Raises UsageError naming everything wrong.
    """
    from parity.environment import resolve

    return resolve(config, models, os.environ, options)
