"""`parity compare`."""

from __future__ import annotations

import shlex
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from parity.cli.common import (
    STDOUT,
    DebugOption,
    errors,
    finish,
    folder_of,
    new_folder,
    tell,
    writable,
    writable_file,
)
from parity.precompile import compiling_ahead


class ImagesChoice(str, Enum):
    """Values of --images."""

    SAME = "same"
    COMMON = "common"
    ALL = "all"


class EvaluatorChoice(str, Enum):
    """Values of --evaluator."""

    PARITY = "parity"
    PYCOCOTOOLS = "pycocotools"


def compare_command(
    reference: Annotated[Path, typer.Argument(help="Results of the path that serves today.")],
    candidate: Annotated[Path, typer.Argument(help="Results of the path that wants to replace it.")],
    annotations: Annotated[Path, typer.Option(help="COCO annotations (instances_*.json).")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the report.",
            show_default="a new one in reports/",
            parser=folder_of,
            metavar="PATH",
        ),
    ] = None,
    limit: Annotated[float, typer.Option(help="Percent of the reference's AP.")] = 0.1,
    confidence: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    resamples: Annotated[int, typer.Option(help="Of the paired bootstrap.")] = 1000,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the resamples; the same seed gives the same report.")
    ] = 0,
    max_dets: Annotated[
        int, typer.Option(min=1, max=100_000, help="Detections an image and class that count.")
    ] = 100,
    score_floor: Annotated[float, typer.Option(min=0, max=1, help="Leave out detections under it.")] = 0.0,
    score_threshold: Annotated[
        float, typer.Option(help="That of production, where F1 and flips are measured.")
    ] = 0.5,
    group: Annotated[
        str | None, typer.Option(help="Field of the annotations' images by which whole groups are resampled.")
    ] = None,
    images: Annotated[
        ImagesChoice, typer.Option(help="What to do when the sides do not name the same images.")
    ] = ImagesChoice.SAME,
    repeat: Annotated[
        Path | None, typer.Option(help="Results of a second run of the reference, for the noise floor.")
    ] = None,
    evaluator: Annotated[
        EvaluatorChoice, typer.Option(help="Whose COCO values to report.")
    ] = EvaluatorChoice.PARITY,
    json_file: Annotated[
        str | None, typer.Option("--json", help="Also write report.json here; - prints only it.")
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Compare two files of detections: COCO results, Ultralytics' predictions.json, or parity's Parquet.

    Needs neither torch nor Triton. Exit code: 0 PASS, 10 FAIL, 11 INCONCLUSIVE, 2 usage, 3 input.
    """
    with errors(debug, out), compiling_ahead():
        from parity.bars import RichProgress
        from parity.compare import Comparison, compare
        from parity.files import write_whole

        folder = new_folder(Path("reports"), "comparison") if out is None else writable(out).resolve()
        inputs = [reference, candidate, annotations, *([] if repeat is None else [repeat])]
        copy = writable_file(json_file, [*inputs, folder])
        request = Comparison(
            reference=reference,
            candidate=candidate,
            annotations=annotations,
            folder=folder,
            command=shlex.join(["parity", *sys.argv[1:]]),
            repeat=repeat,
            images=images.value,
            resamples=resamples,
            seed=seed,
            limit=limit,
            confidence=confidence,
            max_detections=max_dets,
            score_floor=score_floor,
            score_threshold=score_threshold,
            group=group,
            evaluator=evaluator.value,
        )
        with RichProgress() as progress:
            result = compare(request, progress)
        document = (folder / "report.json").read_text(encoding="utf-8")
        if json_file == STDOUT:
            tell(document.rstrip("\n"))
        elif copy is not None:
            write_whole(copy, document)
        finish(result, quiet=json_file == STDOUT)
