"""`parity run` and `parity serve`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parity.cli.common import (
    CacheOption,
    DebugOption,
    RunsOption,
    cache_folder,
    errors,
    finish,
    new_folder,
    selected,
)
from parity.cli.triton_options import ALL, resolved, triton_options
from parity.errors import UsageError

if TYPE_CHECKING:
    from parity.config import RunFile

RunFileArgument = Annotated[Path, typer.Argument(help="The run file.", show_default=True)]
ModelOption = Annotated[list[str] | None, typer.Option("--model", help="Only this model; may be repeated.")]


@triton_options(*ALL)
def run_command(
    run_file: RunFileArgument = Path("parity.toml"),
    model: ModelOption = None,
    dataset: Annotated[str | None, typer.Option(help="Another of the run file's data sets.")] = None,
    limit_images: Annotated[int | None, typer.Option(min=1, help="Only the first N images.")] = None,
    out: RunsOption = Path("reports"),
    cache: CacheOption = None,
    debug: DebugOption = False,
    *,
    options: Mapping[str, Any],
) -> None:
    """Compare every model's reference with its candidate and give the verdict.

    Exit code: 0 PASS, 10 FAIL, 11 INCONCLUSIVE, 2 usage, 3 evidence or data set, 4 runner or server.
    """
    with errors(debug, out):
        from parity import pipeline, policies, runners
        from parity.bars import RichProgress
        from parity.config import load
        from parity.sides import Request

        config = load(run_file, runners.SETTINGS, policies.phases())
        config = with_dataset(config, dataset)
        models = selected(config, model)
        settings = resolved(
            config,
            models,
            options,
        )
        request = Request(
            run_file=settings.run_file,
            models=models,
            images=limit_images,
            folder=new_folder(out, config.phase),
            cache=cache_folder(cache),
            command=shlex.join(["parity", *sys.argv[1:]]),
            stand_ins=settings.stand_ins,
            notes=settings.notes,
        )
        with RichProgress() as progress:
            result = pipeline.run(request, progress)
        finish(result)


def serve_command(
    run_file: RunFileArgument = Path("parity.toml"),
    model: ModelOption = None,
    cache: CacheOption = None,
    debug: DebugOption = False,
) -> None:
    """Keep the embedded Triton running with the run file's models until Ctrl-C."""
    with errors(debug):
        from parity import policies, runners, serve
        from parity.bars import RichProgress
        from parity.config import load
        from parity.terminal import say

        config = load(run_file, runners.SETTINGS, policies.phases())
        with RichProgress() as progress:
            stack, server = serve.start(config, selected(config, model), cache_folder(cache), progress)
        with stack:
            triton = server.triton
            say(f"Triton {triton.version} is ready; Ctrl-C stops it.")
            say(
                f"  gRPC     {triton.grpc_url}\n  HTTP     {triton.http_url}\n  metrics  {triton.metrics_url}"
            )
            say(f"  log      {triton.log_path}")
            with suppress(KeyboardInterrupt):  # Ctrl-C is how it is meant to end
                serve.wait(server)


def with_dataset(config: RunFile, wanted: str | None) -> RunFile:
    """The run file with another of its data sets. Raises UsageError when it has none of that name."""
    if wanted is None:
        return config
    from parity.config import hint

    if wanted not in config.datasets:
        raise UsageError(
            f"no data set is called {wanted!r}{hint(wanted, config.datasets)}", where="--dataset"
        )
    return config.model_copy(update={"dataset": wanted})
