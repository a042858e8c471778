"""The command `parity`: the only place that prints or exits."""

from __future__ import annotations

import errno
import os
import secrets
import shlex
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from platformdirs import user_cache_path

from parity import __version__
from parity.config import RunFile, hint, load
from parity.errors import EvidenceError, ParityError, UsageError
from parity.gate import EXIT_CODES

FORESEEN = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
}
"""What a file system may answer without parity being wrong."""

app = typer.Typer(
    help="Decides whether an object detector may move from PyTorch to an engine behind NVIDIA Triton.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

RunFileArgument = Annotated[Path, typer.Argument(help="The run file.", show_default=True)]
ModelOption = Annotated[list[str] | None, typer.Option("--model", help="Only this model; may be repeated.")]
CacheOption = Annotated[
    Path | None, typer.Option("--cache", help="Folder for exports and environments.", envvar="PARITY_CACHE")
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"parity {__version__}")
        raise typer.Exit


@app.callback()
def _application(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Options before the command."""


@app.command("run")
def run_command(
    run_file: RunFileArgument = Path("parity.toml"),
    model: ModelOption = None,
    dataset: Annotated[str | None, typer.Option(help="Another of the run file's data sets.")] = None,
    limit_images: Annotated[int | None, typer.Option(min=1, help="Only the first N images.")] = None,
    out: Annotated[Path, typer.Option(help="Folder that the run's folder is made in.")] = Path("reports"),
    cache: CacheOption = None,
    debug: DebugOption = False,
) -> None:
    """Compare every model's reference with its candidate and give the verdict.

    Exit code: 0 PASS, 10 FAIL, 11 INCONCLUSIVE, 2 usage, 3 evidence or data set, 4 runner or server.
    """
    with _errors(debug, out):
        from parity import pipeline, policies, runners
        from parity.sides import Request
        from parity.terminal import RichProgress, show

        config = load(run_file, runners.SETTINGS, policies.phases())
        config = _with_dataset(config, dataset)
        request = Request(
            run_file=config,
            models=_models(config, model),
            images=limit_images,
            folder=_new_folder(out, config.phase),
            cache=_cache(cache),
            command=shlex.join(["parity", *sys.argv[1:]]),
        )
        with RichProgress() as progress:
            result = pipeline.run(request, progress)
        try:
            show(result.report, result.folder / "index.html")
        except BrokenPipeError:  # the reader left, as `head` does; the verdict's code still counts
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if result.error:
            raise result.error
        raise typer.Exit(EXIT_CODES[result.report.verdict])


@app.command("serve")
def serve_command(
    run_file: RunFileArgument = Path("parity.toml"),
    model: ModelOption = None,
    cache: CacheOption = None,
    debug: DebugOption = False,
) -> None:
    """Keep the embedded Triton running with the run file's models until Ctrl-C."""
    with _errors(debug):
        from parity import policies, runners, serve
        from parity.terminal import RichProgress, say

        config = load(run_file, runners.SETTINGS, policies.phases())
        with RichProgress() as progress:
            stack, server = serve.start(config, _models(config, model), _cache(cache), progress)
        with stack:
            triton = server.triton
            say(f"Triton {triton.version} is ready; Ctrl-C stops it.")
            say(
                f"  gRPC     {triton.grpc_url}\n  HTTP     {triton.http_url}\n  metrics  {triton.metrics_url}"
            )
            say(f"  log      {triton.log_path}")
            with suppress(KeyboardInterrupt):  # Ctrl-C is how it is meant to end
                serve.wait(server)


def main() -> None:
    """Entry point of the command."""
    signal.signal(signal.SIGTERM, _terminate)
    app()


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    """Turn SIGTERM into an ordinary exit, so that every server is stopped on the way out."""
    raise SystemExit(128 + number)


@contextmanager
def _errors(debug: bool, out: Path | None = None) -> Iterator[None]:
    """Print foreseen errors as one message and exit with their code. out: where a run writes."""
    try:
        yield
    except ParityError as error:
        _fail(error, debug)
    except KeyboardInterrupt:
        typer.echo("interrupted; servers are stopped", err=True)
        raise typer.Exit(130) from None
    except OSError as error:
        if error.errno not in FORESEEN:
            raise
        place = str(error.filename2 or error.filename or out or "the file system")
        _fail(
            EvidenceError(
                f"cannot be used: {error.strerror}",
                where=place,
                remedy="make room, or name another folder with --out or --cache; what was written is whole",
            ),
            debug,
        )


def _fail(error: ParityError, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exception(error)
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(error.exit_code) from None


def _models(config: RunFile, wanted: list[str] | None) -> tuple[str, ...]:
    for name in wanted or ():
        if name not in config.models:
            raise UsageError(f"no model is called {name!r}{hint(name, config.models)}", where="--model")
    return tuple(dict.fromkeys(wanted)) if wanted else tuple(config.models)


def _with_dataset(config: RunFile, wanted: str | None) -> RunFile:
    if wanted is None:
        return config
    if wanted not in config.datasets:
        raise UsageError(
            f"no data set is called {wanted!r}{hint(wanted, config.datasets)}", where="--dataset"
        )
    return config.model_copy(update={"dataset": wanted})


def _cache(given: Path | None) -> Path:
    return (given or user_cache_path("parity")).resolve()


def _new_folder(out: Path, phase: str) -> Path:
    """A folder name of its own, even for runs that start together; it is made with the first evidence."""
    nearest = out.resolve()
    while not os.path.lexists(nearest):
        nearest = nearest.parent
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise UsageError(
            f"nothing can be written in {nearest}: {error.strerror}",
            where=f"--out {out}",
            expected="a folder that reports can be written in",
        ) from error
    stamp = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
    return (out / f"{stamp}-{phase}-{secrets.token_hex(2)}").resolve()
