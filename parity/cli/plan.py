"""`parity plan`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parity.cli.common import (
    STDOUT,
    DebugOption,
    errors,
    folder_of,
    new_folder,
    tell,
    writable,
    writable_file,
)
from parity.errors import UsageError

if TYPE_CHECKING:
    from parity.dataset.annotations import Annotations
    from parity.planning import Plan

SIMULATION = ("confidence", "resamples", "seed", "detections")
"""Options that only a simulation listens to."""

ASSUMED_SIZE = (640, 480)
"""Of images whose size the annotations leave out; only simulated boxes depend on it."""


def plan_command(
    context: typer.Context,
    annotations: Annotated[Path, typer.Option(help="COCO annotations of the data set to plan for.")],
    source: Annotated[
        Path | None, typer.Option("--from", help="report.json of an earlier comparison, or its folder.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Which of the report's models.")] = None,
    limit: Annotated[float, typer.Option(help="Percent of the reference's AP.")] = 0.1,
    confidence: Annotated[float, typer.Option(min=0.5, max=0.999, help="Of simulated intervals.")] = 0.95,
    resamples: Annotated[int, typer.Option(min=100, max=100_000, help="Of simulated comparisons.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulation.")] = 0,
    detections: Annotated[int, typer.Option(min=1, max=1000, help="Simulated detections an image.")] = 100,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for plan.json and plan.svg.",
            show_default="a new one in reports/",
            parser=folder_of,
            metavar="PATH",
        ),
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", help="Also write plan.json here; - prints only it.")
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Say beforehand which AP variance a data set of this size can prove, and how many images a limit takes.

    From the interval of an earlier report, or, without one, from simulated detections on the annotations
    with three assumed kinds of drift. Exit code: 0, or 11 when nothing can be said.
    """
    with errors(debug, out):
        from parity.criteria import Outcome
        from parity.dataset.annotations import read_annotations
        from parity.files import write_whole
        from parity.gate import EXIT_CODES
        from parity.planning import plan_from_report, plot
        from parity.report.schema import read_json
        from parity.statistics import least_resamples
        from parity.terminal import show_plans

        if not 0 < limit <= 100:
            raise UsageError(f"{limit:g} percent", where="--limit", expected="a number over 0, up to 100")
        least = least_resamples(confidence)
        if source is None and resamples < least:
            raise UsageError(
                f"{resamples} with --confidence {confidence:g}",
                where="--resamples",
                expected=f"at least {least}",
            )
        _check_source(context, source)
        copy = writable_file(json_file, [annotations, *([] if source is None else [source])])
        found = read_annotations(annotations)
        if source is None:
            plans = _simulated(found, limit, confidence, resamples, seed, detections)
        else:
            report = read_json(source / "report.json" if source.is_dir() else source)
            plans = [plan_from_report(report, len(found.images), limit, model)]
        folder = new_folder(Path("reports"), "plan") if out is None else writable(out).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        document = json.dumps([asdict(plan) for plan in plans], indent=2, allow_nan=False) + "\n"
        write_whole(folder / "plan.json", document)
        plot(plans, folder / "plan.svg")
        if json_file == STDOUT:
            tell(document.rstrip("\n"))
        else:
            if copy is not None:
                write_whole(copy, document)
            show_plans(plans, found.path.stem, folder / "plan.svg")
        if not any(plan.rows for plan in plans):
            raise typer.Exit(EXIT_CODES[Outcome.INCONCLUSIVE])


def _check_source(context: typer.Context, source: Path | None) -> None:
    """Refuse options that only the other way of planning would listen to."""
    deaf = SIMULATION if source is not None else ("model",)
    given = [f"--{name}" for name in deaf if _is_given(context, name)]
    if given:
        raise UsageError(
            f"{', '.join(given)} {'with' if source is not None else 'without'} --from",
            where="command line",
            expected="options of the simulation without --from, and --model with it",
            remedy="the interval of a report has its own confidence and resamples; leave these options out",
        )


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _simulated(
    found: Annotations, limit: float, confidence: float, resamples: int, seed: int, detections: int
) -> list[Plan]:
    from parity.bars import RichProgress
    from parity.planning import plan_by_simulation
    from parity.simulation import DRIFTS

    sizes = {
        image.image_id: (image.width or ASSUMED_SIZE[0], image.height or ASSUMED_SIZE[1])
        for image in found.images
    }
    with (
        RichProgress() as progress,
        progress.step("simulated comparisons", resamples * len(DRIFTS)) as step,
    ):
        return plan_by_simulation(
            found.ground_truth,
            sizes,
            found.categories,
            limit_percent=limit,
            confidence=confidence,
            resamples=resamples,
            seed=seed,
            per_image=detections,
            step=step,
        )
