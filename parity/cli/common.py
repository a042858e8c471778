"""What the commands have in common: options, errors, and where results go."""

from __future__ import annotations

import errno
import os
import secrets
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from platformdirs import user_cache_path

from parity.errors import EvidenceError, ParityError, UsageError
from parity.visible import visible

if TYPE_CHECKING:
    from parity.config import RunFile
    from parity.pipeline import Result

STDOUT = "-"

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


def folder_of(name: str | Path) -> Path:
    """The folder of an option; an empty name, as of a variable that was not set, would be the current one."""
    if not str(name):
        raise typer.BadParameter("an empty name; expected a folder, such as . for the current one")
    return Path(name)


CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        help="Folder for exports and environments.",
        envvar="PARITY_CACHE",
        parser=folder_of,
        metavar="PATH",
    ),
]
RunsOption = Annotated[
    Path, typer.Option("--out", help="Folder that a new one is made in.", parser=folder_of, metavar="PATH")
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@contextmanager
def errors(debug: bool, out: Path | None = None) -> Iterator[None]:
    """Print foreseen errors as one message and exit with their code. out: where a run writes."""
    try:
        yield
    except ParityError as error:
        _fail(error, debug)
    except KeyboardInterrupt:
        typer.echo("interrupted; nothing is left running", err=True)
        raise typer.Exit(130) from None
    except RuntimeError as error:
        if "Symlink loop" not in str(error):  # which is how pathlib tells of one before Python 3.13
            raise
        loop = UsageError("a link that leads to itself", where=str(error), remedy="name a file or folder")
        _fail(loop, debug)
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
    # What files and servers say is shown, never obeyed: no escape sequence reaches the terminal.
    for line in f"error: {error}".split("\n"):
        typer.echo(visible(line), err=True)
    raise typer.Exit(error.exit_code) from None


def cache_folder(given: Path | None) -> Path:
    """Where exports and environments are kept."""
    return (given or user_cache_path("parity")).resolve()


def new_folder(out: Path, phase: str) -> Path:
    """A folder name of its own, even for runs that start together; it is made with the first evidence."""
    stamp = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
    return (writable(out) / f"{stamp}-{phase}-{secrets.token_hex(2)}").resolve()


def selected(config: RunFile, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The models that --model names, once each, or all. Raises UsageError for unknown ones."""
    for name in wanted or ():
        if name not in config.models:
            from parity.config import hint

            raise UsageError(f"no model is called {name!r}{hint(name, config.models)}", where="--model")
    return tuple(dict.fromkeys(wanted)) if wanted else tuple(config.models)


def writable_file(wanted: str | None, inputs: Sequence[Path] = ()) -> Path | None:
    """The file of --json; None without one or for standard output. Raises UsageError if it can't be."""
    if wanted is None or wanted == STDOUT:
        return None
    path = Path(wanted)
    if any(_is_part(path.resolve(), each.resolve()) for each in inputs):
        raise UsageError("one of the inputs", where=f"--json {wanted}", remedy="name another file")
    if path.is_dir() or not path.resolve().parent.is_dir():
        raise UsageError(
            "a folder" if path.is_dir() else "its folder does not exist",
            where=f"--json {wanted}",
            expected="a file in a folder that exists, or - for standard output",
        )
    return path


def _is_part(path: Path, given: Path) -> bool:
    """Whether a file is an input, lies in an input's folder, or is the table beside a table."""
    tables = (".detections.parquet", ".images.parquet")
    role = next((given.name.removesuffix(end) for end in tables if given.name.endswith(end)), None)
    beside = path.parent == given.parent and role is not None and path.name in [role + end for end in tables]
    return path == given or beside or (given.is_dir() and path.is_relative_to(given))


def tell(text: str) -> None:
    """Print a document; a reader that leaves, as `head` does, changes nothing about the exit code."""
    from parity.terminal import say

    try:
        say(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def writable(out: Path, what: str = "reports") -> Path:
    """The folder, which need not exist yet. Raises UsageError when nothing, of `what`, can be written."""
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
            expected=f"a folder that {what} can be written in",
        ) from error
    return out


def finish(result: Result, *, quiet: bool = False) -> NoReturn:
    """Show a result's table and leave with the verdict's exit code, or raise what ended the run early."""
    from parity.gate import EXIT_CODES
    from parity.terminal import show

    if not quiet:
        try:
            page = result.folder / "index.html"
            show(result.report, page if page.is_file() else None)
        except BrokenPipeError:  # the reader left, as `head` does; the verdict's code still counts
            _discard_output()
    if result.error:
        raise result.error
    raise typer.Exit(EXIT_CODES[result.report.verdict])
