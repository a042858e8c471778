"""index.html: the page that a reviewer trusts and a manager understands, made from report.json alone.

One file, nothing loaded from anywhere: style and script are inline and named by their digests in the
page's own content security policy, so that no text of the report can ever run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from parity.errors import EvidenceError, join_problems
from parity.files import write_whole
from parity.report import drawing, formats, gallery, serving
from parity.report.document import ClassAccuracy, CriterionResult, Outcome, Pair, Report
from parity.report.rehearsal import wording
from parity.report.schema import contradictions
from parity.report.tables import tables_of
from parity.report.text import one_line, redacted, visible, with_code, without_secrets, without_verdict
from parity.serving.evidence import load_name

_TEMPLATES = Path(__file__).parent / "templates"
_URGENCY = {Outcome.FAIL: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASS: 2}
_DIGEST = re.compile(r"^(?:sha256:)?[0-9a-f]{64}$")
_TIME = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00)$")
_MAX_DIGESTS = 8
_MAX_DEPTH = 8

METRICS = (
    ("AP", "AP", "mean over IoU .50 to .95"),
    ("AP50", "AP50", "IoU .50"),
    ("AP75", "AP75", "IoU .75"),
    ("APs", "AP small", "up to 32\u00b2 px"),
    ("APm", "AP medium", "32\u00b2 to 96\u00b2 px"),
    ("APl", "AP large", "over 96\u00b2 px"),
    ("AR1", "AR1", "1 detection an image"),
    ("AR10", "AR10", "10 detections an image"),
    ("AR100", "AR100", "100 detections an image"),
)


ESTIMATE_GROUPS = (
    ("operating_point", "At the production threshold", "IoU .50"),
    ("agreement", "Agreement", "the reference as the truth"),
    ("confidence", "Confidence", "line of score changes on mean scores of matched pairs"),
    ("noise_floor", "Noise floor", "the reference against a repeat of itself"),
)


@dataclass(frozen=True, kw_only=True)
class Node:
    """One entry of the provenance tree: a value, or children."""

    key: str
    value: str | None = None
    digest: bool = False
    children: tuple[Node, ...] = ()


def render_html(report: Report, folder: Path) -> str:
    """The whole page. `folder` is where the pictures named in the report lie.

    Raises EvidenceError when the report says PASS against its own content.
    """
    problems = contradictions(report)
    if problems:
        raise EvidenceError(join_problems(problems), where=report.run_id, expected="a report without them")
    report = without_secrets(report)
    style, script = _own("_style.css"), _own("_script.js")
    pairs = sorted(enumerate(report.pairs, start=1), key=lambda item: _URGENCY[item[1].verdict])
    return (
        _environment()
        .get_template("index.html.j2")
        .render(
            report=report,
            headline=headline(report),
            rehearsal=wording(report),
            pairs=[(f"model-{number}", pair) for number, pair in pairs],
            picture=lambda name: _picture(folder, name),
            tables=tables_of(report),
            style=style,
            script=script,
            policy=f"default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
            f"style-src '{_source(style)}'; script-src '{_source(script)}'",
        )
    )


def write_html(report: Report, folder: Path) -> Path:
    """Write `folder`/index.html, whole or not at all, and return its path."""
    path = folder / "index.html"
    write_whole(path, render_html(report, folder))
    return path


def headline(report: Report) -> str:
    """The run's verdict in one sentence, without the word PASS, FAIL or INCONCLUSIVE itself."""
    pairs = report.pairs
    if not pairs:
        stopped = "The run stopped before anything was compared" if report.error else "Nothing was compared"
        return f"{stopped}, so nothing can be concluded."
    if len(pairs) == 1:
        return without_verdict(pairs[0].sentence)
    deciding = [pair.model for pair in pairs if pair.verdict is report.verdict]
    names = ", ".join(deciding)
    if not deciding:
        return "The run as a whole comes to another verdict than its models."
    if report.verdict is Outcome.PASS:
        all_of = "Both" if len(pairs) == 2 else f"All {len(pairs)}"
        return f"{all_of} models are within their limits: {names}."
    verb = "failed" if report.verdict is Outcome.FAIL else "could not be decided"
    return f"{len(deciding)} of {len(pairs)} models {verb}: {names}."


def ordered_criteria(criteria: list[CriterionResult]) -> list[CriterionResult]:
    """FAIL first, then INCONCLUSIVE, then PASS; the policy's order within each."""
    return sorted(criteria, key=lambda criterion: _URGENCY[criterion.outcome])


def ordered_classes(classes: list[ClassAccuracy]) -> list[ClassAccuracy]:
    """The most changed class first; undefined ones last."""

    def change(entry: ClassAccuracy) -> tuple[bool, float, int]:
        value = entry.difference.value
        return (value is None, 0.0 if value is None else -abs(value), entry.category_id)

    return sorted(classes, key=change)


def reasons(pair: Pair, metric: str) -> str:
    """Why something in a row of the accuracy table is undefined, each reason once."""
    accuracy = pair.accuracy
    if accuracy is None:
        return "accuracy was not measured"
    difference = accuracy.difference.get(metric)
    sides = {
        "reference": accuracy.reference.undefined.get(metric, ""),
        "candidate": accuracy.candidate.undefined.get(metric, ""),
    }
    found = {side: reason for side, reason in sides.items() if reason}
    if not found:
        # A difference of undefined sides has no reason of its own worth telling.
        return difference.reason if difference is not None else "the difference was not computed"
    if len(found) == 2 and len(set(found.values())) == 1:
        return sides["reference"]
    return "; ".join(f"{side}: {reason}" for side, reason in found.items())


def moment(created: str) -> str:
    """A UTC time for people; what is not ISO 8601 is shown as it is."""
    match = _TIME.match(created)
    return f"{match[1]} {match[2]} UTC" if match else created


def tree(value: Any, key: str = "", depth: int = 0) -> Node:
    """The provenance as nodes; what lies deeper than a reader would follow is one line of JSON."""
    if isinstance(value, dict) and value and depth < _MAX_DEPTH:
        return Node(key=key, children=tuple(tree(item, str(name), depth + 1) for name, item in value.items()))
    if isinstance(value, list | tuple) and value and depth < _MAX_DEPTH:
        if not any(isinstance(item, dict | list | tuple) for item in value):
            return Node(key=key, value=", ".join(map(_scalar, value)))
        children = tuple(tree(item, str(index), depth + 1) for index, item in enumerate(value, start=1))
        return Node(key=key, children=children)
    text = _scalar(value)
    return Node(key=key, value=text, digest=bool(_DIGEST.match(text)))


def digests(provenance: dict[str, Any]) -> list[tuple[str, str]]:
    """The first SHA-256 digests of a provenance with the path that leads to each."""
    found: list[tuple[str, str]] = []
    waiting = [(node, "") for node in tree(provenance).children]
    while waiting and len(found) < _MAX_DIGESTS:
        node, path = waiting.pop(0)
        name = f"{path} {node.key}".strip()
        if node.digest and node.value is not None:
            found.append((re.sub(r"[ _]?sha-?256$", "", name).replace("_", " ") or name, node.value))
        waiting = [(child, name) for child in node.children] + waiting
    return found


def _scalar(value: Any) -> str:
    if value is None:
        return formats.DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _picture(folder: Path, name: str | None) -> dict[str, Any]:
    picture = gallery.embedded(folder, name)
    # Base64 needs no escaping, and the hook below would search megabytes of it for control characters.
    return {"uri": Markup(picture.uri), "reason": picture.reason}  # noqa: S704 - see above


def serving_plots(pair: Pair) -> dict[str, Markup]:
    """The latency plots of a pair as data URIs, by loop; empty where nothing was answered under load."""
    drawn = {} if pair.serving is None else serving.latency_plots(pair.serving.steps)
    # Drawn from numbers alone, and shown as an image, in which nothing runs.
    return {loop: Markup(serving.as_uri(svg)) for loop, svg in drawn.items()}  # noqa: S704 - see above


def _own(name: str) -> Markup:
    # The package's own file, without anything of the report in it.
    return Markup((_TEMPLATES / name).read_text("utf-8"))  # noqa: S704 - see above


def _source(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _shown(value: Any) -> Any:
    """Runs on every value that a template prints, before escaping."""
    return visible(redacted(value)) if isinstance(value, str) and not hasattr(value, "__html__") else value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "fixed": formats.fixed,
        "points": formats.points,
        "span": formats.span,
        "apart": formats.apart,
        "unit": formats.with_unit,
        "count": formats.count,
        "seconds": formats.seconds,
        "moment": moment,
        "one_line": one_line,
        "with_code": with_code,
        "capital": formats.capital,
        "without_verdict": without_verdict,
        "by_urgency": ordered_criteria,
        "by_change": ordered_classes,
    }
    environment.globals |= {
        "METRICS": METRICS,
        "ESTIMATE_GROUPS": ESTIMATE_GROUPS,
        "reasons": reasons,
        "tree": tree,
        "digests": digests,
        "axis": drawing.axis,
        "overlay": drawing.overlay,
        "serving_plots": serving_plots,
        "gpu_use": serving.gpu_use,
        "load_of": load_name,
        "error_rate_bound": serving.error_rate_bound,
        "AXIS_WIDTH": drawing.AXIS_WIDTH,
        "AXIS_HEIGHT": drawing.AXIS_HEIGHT,
    }
    return environment
