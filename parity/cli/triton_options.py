"""Options that say how Triton is reached, the same for every command that has a candidate.

`triton_options` gives a command those that it can have, so that they stand in this file alone.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True)
class _Option:
    """One option: its parameter in a command, the key of the run file that it is over, and its type."""

    parameter: str
    key: str
    annotation: Any


REACHED = (
    _Option(parameter="triton_url", key="url", annotation=UrlOption),
    _Option(parameter="triton_http_url", key="http_url", annotation=HttpUrlOption),
    _Option(parameter="triton_protocol", key="protocol", annotation=ProtocolOption),
    _Option(parameter="triton_model", key="model", annotation=TritonModelOption),
    _Option(parameter="timeout", key="timeout", annotation=TimeoutOption),
    _Option(parameter="retries", key="retries", annotation=RetriesOption),
)
"""Of every command with a candidate."""

ALL = (
    _Option(parameter="triton", key="enabled", annotation=TritonOption),
    *REACHED,
    _Option(parameter="score_threshold", key="score_threshold", annotation=ThresholdOption),
)
"""Of commands that may do without the candidate, and that judge detections."""


def triton_options(*options: _Option) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Have a command take these options, and get them as its argument `options`: by key, None where unset."""

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def wrapper(**arguments: Any) -> None:
            given = {option.key: arguments.pop(option.parameter) for option in options}
            command(**arguments, options=given)

        own = inspect.signature(command, eval_str=True).parameters.values()
        kept = [parameter for parameter in own if parameter.name != "options"]
        added = [
            inspect.Parameter(
                option.parameter,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=option.annotation,
            )
            for option in options
        ]
        # Typer reads what a command takes from its signature, and what that lacks from its annotations.
        signature = inspect.Signature([*kept, *added])
        wrapper.__signature__ = signature  # type: ignore[attr-defined]
        wrapper.__annotations__ = {each.name: each.annotation for each in signature.parameters.values()}
        return wrapper

    return decorated


def switched_on(config: RunFile, models: tuple[str, ...], options: Mapping[str, Any]) -> Resolved:
    """Run file, environment and options put together, for commands that need the candidate.

    Raises UsageError as `resolved` does, and where it is switched off: the reference, asked in its place,
    would be held to itself.
    """
    found = resolved(config, models, options)
    if found.stand_ins:
        from parity.errors import UsageError

        raise UsageError(
            f"Triton is switched off for {', '.join(sorted(found.stand_ins))}",
            where="TRITON_ENABLED, or `enabled` in the run file",
            expected="a candidate to ask",
            remedy="switch it on for this command; `parity drill` switches it off and on by itself",
        )
    return found


def resolved(config: RunFile, models: tuple[str, ...], options: Mapping[str, Any]) -> Resolved:
    """Run file, environment and these options put together, for these models.

    options: by key of the run file, None for what was not given. Raises UsageError naming everything wrong.
    """
    from parity.environment import resolve

    return resolve(config, models, os.environ, options)
