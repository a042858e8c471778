"""`parity load`."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

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
from parity.cli.run import ModelOption, RunFileArgument, with_dataset
from parity.cli.triton_options import REACHED, switched_on, triton_options
from parity.errors import UsageError

if TYPE_CHECKING:
    from parity.load.plan import Load
    from parity.serving.evidence import SideName

T = TypeVar("T")

MEASURING = (
    "concurrency",
    "rate",
    "arrivals",
    "work",
    "turns",
    "requests",
    "seconds",
    "images",
    "seed",
)
"""Options that say how to measure, and mean nothing where files are read instead."""


class _Work(str, Enum):
    IMAGE = "image"
    TENSOR = "tensor"


class _Arrivals(str, Enum):
    CONSTANT = "constant"
    POISSON = "poisson"


@triton_options(*REACHED)
def load_command(
    context: typer.Context,
    run_file: RunFileArgument = Path("parity.toml"),
    model: ModelOption = None,
    dataset: Annotated[str | None, typer.Option(help="Another of the run file's data sets.")] = None,
    concurrency: Annotated[
        str, typer.Option(help="Closed loops: requests at a time, with commas between; empty for none.")
    ] = "1,2,4,8,16",
    rate: Annotated[
        list[float] | None, typer.Option(help="An open loop: requests a second; may be repeated.")
    ] = None,
    arrivals: Annotated[_Arrivals, typer.Option(help="Of open loops.")] = _Arrivals.POISSON,
    work: Annotated[
        _Work, typer.Option(help="What the clock is over: file to boxes, or the request alone.")
    ] = _Work.IMAGE,
    turns: Annotated[int, typer.Option(min=1, help="How often each side has each load, in turn.")] = 3,
    requests: Annotated[int, typer.Option(min=1, help="Least requests of a step.")] = 1000,
    seconds: Annotated[float, typer.Option(min=1, help="Longest measured part of a step.")] = 60.0,
    images: Annotated[int, typer.Option(min=1, help="Images that are sent over and over.")] = 256,
    seed: Annotated[int, typer.Option(min=0, help="Of arrivals and samples.")] = 0,
    perf_analyzer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SIDE=FILE",
            help="Read a CSV or profile export of perf_analyzer for that side, and measure nothing.",
        ),
    ] = None,
    out: RunsOption = Path("reports"),
    cache: CacheOption = None,
    debug: DebugOption = False,
    *,
    options: Mapping[str, Any],
) -> None:
    """Put load on every model's reference and candidate in turn, and judge how they serve.

    Exit code: 0 PASS, 10 FAIL, 11 INCONCLUSIVE, 2 usage, 3 evidence or data set, 4 runner or server.
    """
    with errors(debug, out):
        from parity import load_pipeline, policies, runners
        from parity.bars import RichProgress
        from parity.config import load
        from parity.load.plan import LoadPlan, StepRules
        from parity.sides import Request

        config = with_dataset(load(run_file, runners.SETTINGS, policies.phases()), dataset)
        models = selected(config, model)
        if perf_analyzer:
            _refuse_measuring(context)
        if not math.isfinite(seconds):
            raise UsageError(f"{seconds} seconds", where="--seconds", expected="a number, such as 60")
        plan = LoadPlan(
            loads=_loads(concurrency, rate or (), arrivals),
            turns=turns,
            work=work.value,
            rules=replace(StepRules(), least_requests=requests, most_s=seconds),
            most_images=images,
            seed=seed,
        )
        settings = switched_on(config, models, options)
        request = Request(
            run_file=settings.run_file,
            models=models,
            images=None,
            folder=new_folder(out, f"{config.phase}-load"),
            cache=cache_folder(cache),
            command=shlex.join(["parity", *sys.argv[1:]]),
            notes=settings.notes,
        )
        asked = load_pipeline.LoadRequest(request=request, plan=plan, files=_files(perf_analyzer or ()))
        with RichProgress() as progress:
            result = load_pipeline.run(asked, progress)
        finish(result)


def _loads(concurrency: str, rates: Sequence[float], arrivals: _Arrivals) -> tuple[Load, ...]:
    """Closed loops, then open ones. Raises UsageError that names the option."""
    from parity.load.plan import closed, opened

    loads = [_named("--concurrency", closed, number) for number in _numbers(concurrency)]
    loads += [_named("--rate", opened, each, arrivals.value) for each in rates]
    twice = [load.label for load in loads if loads.count(load) > 1]
    if not loads or twice:
        raise UsageError(
            f"a load twice: {twice[0]}" if twice else "no load",
            where="--concurrency and --rate",
            expected="different loads, at least one",
        )
    return tuple(loads)


def _named(option: str, make: Callable[..., T], *arguments: Any) -> T:
    """What a function makes of an option. Raises its UsageError with the option's name."""
    try:
        return make(*arguments)
    except UsageError as error:
        raise UsageError(error.found, where=option, expected=error.expected) from error


def _refuse_measuring(context: typer.Context) -> None:
    """Raise UsageError for options that would be passed over where perf_analyzer's files are read."""
    sources = {name: context.get_parameter_source(name) for name in MEASURING}
    given = [f"--{name}" for name, source in sources.items() if source and source.name != "DEFAULT"]
    if given:
        raise UsageError(
            f"given together with {', '.join(given)}",
            where="--perf-analyzer",
            expected="files, or loads to measure; the loads of a file are its own",
            remedy="leave out one or the other",
        )


def _files(given: Sequence[str]) -> tuple[tuple[SideName, Path], ...]:
    """Sides and files of SIDE=FILE. Raises UsageError for anything else."""
    from parity.load.run import ORDER

    found: list[tuple[SideName, Path]] = []
    for text in given:
        name, _, path = text.partition("=")
        side: SideName | None = next((each for each in ORDER if each == name), None)
        if side is None or not path:
            raise UsageError(
                f"{text!r}", where="--perf-analyzer", expected="reference=FILE or candidate=FILE"
            )
        found.append((side, Path(path)))
    return tuple(found)


def _numbers(text: str) -> list[int]:
    """Whole numbers with commas between. Raises UsageError for anything else."""
    try:
        return [int(part) for part in text.split(",")] if text.strip() else []
    except ValueError as error:
        raise UsageError(
            f"{text!r} is not a list of whole numbers", where="--concurrency", expected="such as 1,2,4,8,16"
        ) from error
