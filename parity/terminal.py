"""What people see in a terminal: progress bars while a run goes on, one table at its end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from parity.criteria import CriterionResult, Outcome
from parity.report.document import Pair, Report
from parity.report.rehearsal import wording
from parity.report.text import one_line

if TYPE_CHECKING:
    from parity.planning import Plan
    from parity.serving.evidence import Drill
    from parity.settings import Settings

WIDTH = 80
STYLES = {Outcome.PASS: "bold green", Outcome.FAIL: "bold red", Outcome.INCONCLUSIVE: "bold yellow"}


class _Console(Console):
    """A console that leaves it to the caller what a reader that has left means; Rich would exit with 1."""

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError again."""
        raise BrokenPipeError


def say(line: str) -> None:
    """Print a line that belongs to the command's result."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def show(report: Report, page: Path | None) -> None:
    """Print the run's table, at most 80 columns wide, its verdict and where the report is, if anywhere."""
    console = _Console(width=min(WIDTH, Console().width), highlight=False)
    table = Table(title=_title(report), title_justify="left", title_style="bold", expand=False)
    table.add_column("model", overflow="ellipsis", max_width=14, no_wrap=True)
    table.add_column("criterion", no_wrap=True)
    table.add_column("observed", justify="right", no_wrap=True)
    table.add_column("limit", justify="right")
    table.add_column("outcome", no_wrap=True)
    for pair in report.pairs:
        for name, observed, limit, outcome in _rows(pair):
            table.add_row(Text(one_line(pair.model)), name, observed, limit, outcome)
        table.add_section()
    console.print(table)
    for pair in report.pairs:
        for criterion in pair.criteria:
            if criterion.outcome is not Outcome.PASS:
                console.print(
                    Text(f"{one_line(pair.model)}: {criterion.name}: {one_line(criterion.message)}")
                )
    if report.phase == "comparison":
        for note in report.notes:
            console.print(Text(one_line(note)))
    if report.unjudged:
        console.print(Text(f"not judged here: {', '.join(report.unjudged)}; see {_judges(report)}"))
    verdict = report.verdict.value, STYLES[report.verdict]
    console.print(Text.assemble("verdict: ", verdict, _over(report)))
    if page is not None:
        say(f"report: {short(page)}")


def _over(report: Report) -> str:
    """What a verdict is not the whole of, in brackets."""
    if report.error:
        return " (of what was computed; the run stopped)"
    return " (of the criteria judged here)" if report.unjudged else ""


def _judges(report: Report) -> str:
    """The commands that judge what this report does not, in words."""
    return " and ".join(sorted(set(report.unjudged.values())))


def show_plans(plans: Sequence[Plan], dataset: str, drawing: Path) -> None:
    """Print which variance the data set can prove, by source of the interval, and where the plot is."""
    console = _Console(width=min(WIDTH, Console().width), highlight=False)
    images, limit = plans[0].images, plans[0].limit_percent
    table = Table(
        title=f"{escape(one_line(dataset))}: {images:,} images", title_justify="left", title_style="bold"
    )
    table.add_column("source")
    table.add_column("AP change", justify="right")
    table.add_column("these images prove", justify="right")
    table.add_column(f"{limit:g} % takes", justify="right")
    for plan in plans:
        provable = plan.provable_percent(images) if images else None
        table.add_row(
            Text(one_line(plan.source)),
            "undefined" if plan.observed_percent is None else f"{plan.observed_percent:+.4f}%",
            "undefined" if provable is None else f"< {provable:.3g}%",
            "undefined" if plan.needed is None else f"{plan.needed:,} images",
        )
    console.print(table)
    for plan in plans:
        if plan.reason:
            console.print(Text(f"{one_line(plan.source)}: {one_line(plan.reason)}"))
    console.print("An extrapolation by 1/sqrt(images): it plans a comparison and proves nothing.")
    say(f"plot: {short(drawing)}")


def settings_table(settings: Settings) -> str:
    """The settings in at most 80 columns; whose one is only where models differ."""
    table = Table()
    table.add_column("setting", overflow="fold")
    table.add_column("value", overflow="fold")
    table.add_column("from", no_wrap=True)
    everyone = max((row.models for row in settings.rows), key=len, default=())
    for row in settings.rows:
        whose = f" ({', '.join(row.models)})" if row.models and row.models != everyone else ""
        table.add_row(Text(one_line(row.key + whose)), Text(one_line(row.shown)), row.origin)
    console = _Console(width=WIDTH, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip("\n")


def show_drill(drill: Drill, result: CriterionResult, path: Path) -> None:
    """Print the steps of a drill with the time that each took, its outcome, and where the evidence is."""
    console = _Console(width=min(WIDTH, Console().width), highlight=False)
    pair = f"{drill.candidate} -> {drill.reference} -> {drill.candidate}"
    table = Table(
        title=escape(f"{one_line(drill.model)}: rollback drill on {drill.images} images\n{one_line(pair)}"),
        title_justify="left",
        title_style="bold",
    )
    table.add_column("step", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("seen")
    for step in drill.steps:
        sign = Text("ok", "green") if step.ok else Text("no", "bold red")
        table.add_row(step.name, f"{step.seconds:.2f}", sign, Text(one_line(step.message)))
    console.print(table)
    console.print(Text(f"{result.name}: {one_line(result.message)}"))
    console.print(Text.assemble("verdict: ", (result.outcome.value, STYLES[result.outcome])))
    say(f"evidence: {short(path)}")


def _title(report: Report) -> str:
    lines = [f"{report.phase} on {escape(one_line(report.dataset))}"]
    if report.rehearsal:
        lines.append(wording(report).line)
    if report.partial:
        asked = max((pair.images.attempted for pair in report.pairs), default=0)
        whole = max((pair.images.in_dataset for pair in report.pairs), default=0)
        lines.append(f"PARTIAL: {asked} of {whole} images.")
    return "\n".join(lines)


def _rows(pair: Pair) -> Iterator[tuple[str, str, str, Text]]:
    """AP of both sides first, where it was measured, then one row a criterion."""
    if pair.accuracy is not None:
        sides = pair.accuracy.reference.AP, pair.accuracy.candidate.AP
        shown = " -> ".join("undefined" if value is None else f"{value:.4f}" for value in sides)
        yield "AP, ref -> cand", shown, "", Text("")
    for criterion in pair.criteria:
        yield (
            criterion.name,
            _observed(criterion),
            _limit(criterion),
            Text(criterion.outcome.value, STYLES[criterion.outcome]),
        )


def _observed(criterion: CriterionResult) -> str:
    if criterion.observed is None:
        return "undefined"
    unit = "%" if criterion.unit.startswith("%") else ""
    if criterion.sense == "within":
        return f"{criterion.observed:+.4f}{unit}"
    return f"{criterion.observed:.6g}{unit}"


def _limit(criterion: CriterionResult) -> str:
    if criterion.limit is None:
        return ""
    unit = "%" if criterion.unit.startswith("%") else ""
    sign = {"within": "< ", "at_least": ">= ", "at_most": "<= "}[criterion.sense]
    return f"{sign}{criterion.limit:g}{unit}"


def short(path: Path) -> str:
    """A path relative to where the reader is, where it lies under that."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
