"""`parity repository build`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from parity.cli.common import CacheOption, DebugOption, cache_folder, errors, folder_of, selected, writable
from parity.errors import UsageError
from parity.visible import visible

if TYPE_CHECKING:
    from parity.config import RunFile
    from parity.repository.build import Options, Placed
    from parity.repository.builders import ToDo
    from parity.repository.manifest import BatchProfile

NOTHING_BUILT = 11
"""The exit code of INCONCLUSIVE: a script that goes on after 0 must not go on."""

ConverterName = Literal["auto", "onnxruntime", "modelopt"]
PrecisionName = Literal["fp32", "fp16", "int8"]


def build_command(
    run_file: Annotated[Path, typer.Option("--run-file", help="The run file.")] = Path("parity.toml"),
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Only this model; may be repeated.")
    ] = None,
    precision: Annotated[PrecisionName, typer.Option(help="Types in the graph.")] = "fp16",
    converter: Annotated[
        ConverterName, typer.Option(help="What makes FP16; auto: ModelOpt where it is installed.")
    ] = "auto",
    builder: Annotated[
        str | None,
        typer.Option(
            help="engine-file, tensorrt, trtexec, tensorrt-rtx or container.", show_default="what is at hand"
        ),
    ] = None,
    compute_capability: Annotated[
        list[str] | None, typer.Option(help="GPU to build for, such as 8.9; may be repeated.")
    ] = None,
    profile: Annotated[str, typer.Option(help="Batch sizes: least, usual, most.")] = "1,4,8",
    workspace: Annotated[
        int | None, typer.Option(min=1, help="Most scratch memory in MiB.", show_default="the library's")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Repository to write to.", show_default="the run file's", parser=folder_of, metavar="PATH"
        ),
    ] = None,
    version: Annotated[int, typer.Option(min=1, help="Version folder to write.")] = 1,
    engine: Annotated[
        Path | None, typer.Option(help="Take this engine: Ultralytics' .engine or a plan.")
    ] = None,
    onnx: Annotated[
        Path | None, typer.Option(help="What --engine was built from.", show_default="the .onnx beside it")
    ] = None,
    image: Annotated[str | None, typer.Option(help="Image of the container command.")] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Write the embedded Triton's repository instead.")
    ] = False,
    cache: CacheOption = None,
    debug: DebugOption = False,
) -> None:
    """Build engines from weights, and put them in the model repository with a manifest.

    Exit code: 0 built; 2 usage; 3 weights, graph or engine do not fit; 4 the builder is missing or failed;
    11 nothing was built, a command to paste was printed.
    """
    with errors(debug, out):
        from parity import policies, runners
        from parity.config import load
        from parity.repository.build import Options
        from parity.repository.builders import Wish
        from parity.repository.builders.container import IMAGE

        config = load(run_file, runners.SETTINGS, policies.phases())
        names = selected(config, model)
        if out is not None:
            out = writable(out, "models").resolve()
        if embedded:
            _embedded(config, names, precision, out, cache_folder(cache))
            return
        if precision == "int8":
            raise UsageError(
                "engines are built in fp32 or fp16", where="--precision int8", remedy="add --embedded"
            )
        if engine is not None and len(names) != 1:
            raise UsageError(f"{len(names)} models", where="--engine", expected="one model, named by --model")
        options = Options(
            precision=precision,
            converter=None if converter == "auto" else converter,
            builder=builder,
            profile=_profile(profile),
            workspace_mib=workspace,
            wish=Wish(capabilities=_capabilities(compute_capability or []), engine=engine),
            repository=out,
            version=version,
            onnx=onnx,
            image=image or IMAGE,
            cache=cache_folder(cache),
        )
        if not _engines(config, names, options):
            raise typer.Exit(NOTHING_BUILT)


def _engines(config: RunFile, names: tuple[str, ...], options: Options) -> bool:
    """Build one after the other, each told as soon as it is in its place; whether all were built."""
    from parity.bars import RichProgress
    from parity.repository.build import build
    from parity.repository.builders import ToDo
    from parity.terminal import say

    complete = True
    for name in names:
        with RichProgress() as progress:
            result = build(config, name, options, progress)
        if isinstance(result, ToDo):
            complete = False
            _explain(name, result)
            for command in result.commands:
                say(command)
        else:
            _tell(result)
    return complete


def _explain(name: str, todo: ToDo) -> None:
    """Say that nothing was built, and why no builder of this machine did it."""
    lines = [f"{name}: nothing was built."]
    if todo.passed_over:
        lines = [f"{name}: nothing was built, since no builder can here:"]
        lines += [f"  {builder}: {reason}" for builder, reason in todo.passed_over.items()]
    for line in [*lines, "Where there is a GPU, run:"]:
        typer.echo(visible(line), err=True)


def _tell(placed: Placed) -> None:
    from parity.terminal import say, short

    manifest = placed.manifest
    halves = len(manifest.tensor_types.get("FP16", ()))
    batches = manifest.profile
    say(
        f"{manifest.model}: {short(placed.plan)}, {placed.plan.stat().st_size / 2**20:.1f} MiB in "
        f"{manifest.seconds:.1f} s by {manifest.builder}, {manifest.runtime} {manifest.tensorrt_version} for "
        f"{', '.join(manifest.compute_capabilities)}"
    )
    say(
        f"  {manifest.precision} ({halves} FP16 tensors), batch {batches.min} to {batches.max}, best at "
        f"{batches.opt}; SHA-256 {manifest.plan_sha256}"
    )
    if manifest.runtime == "tensorrt-rtx":
        say("  TENSORRT-RTX: Triton does not load this plan; it proves that the graph builds, no more.")


def _embedded(
    config: RunFile, names: tuple[str, ...], precision: PrecisionName, out: Path | None, cache: Path
) -> None:
    from parity.bars import RichProgress
    from parity.serve import write_repository
    from parity.terminal import say, short

    with RichProgress() as progress:
        folder = write_repository(config, names, precision, out, cache, progress)
    for name in names:
        say(f"{name}: {short(folder / name)}, {precision} ONNX in Triton's Python backend (a rehearsal)")


def _profile(text: str) -> BatchProfile:
    from parity.repository.manifest import BatchProfile

    parts = [part.strip() for part in text.split(",")]
    sizes = [int(part) for part in parts if part.isdecimal() and len(part) < 6]
    if len(parts) != 3 or len(sizes) != 3 or not 1 <= sizes[0] <= sizes[1] <= sizes[2]:
        raise UsageError(
            f"{text!r}", where="--profile", expected="three batch sizes that do not fall, such as 1,4,8"
        )
    return BatchProfile(min=sizes[0], opt=sizes[1], max=sizes[2])


def _capabilities(wanted: list[str]) -> tuple[str, ...]:
    from parity.repository.manifest import CAPABILITY_PATTERN

    wrong = [each for each in wanted if not re.fullmatch(CAPABILITY_PATTERN, each)]
    if wrong:
        raise UsageError(", ".join(map(repr, wrong)), where="--compute-capability", expected="such as 8.9")
    return tuple(dict.fromkeys(wanted))
