"""What clients make of the output: the head's shape against the decode rule, and the class names."""

from __future__ import annotations

from collections.abc import Iterator

from parity.heads import expected_shape, shape_fits
from parity.repository.check.findings import Notes
from parity.repository.check.subject import Subject, Version
from parity.repository.check.tensors import Dims, declared, fit, stated


def check(subject: Subject, notes: Notes) -> None:
    """Note where an output is not what clients decode, or class names differ."""
    _check_class_names(subject, notes)
    if subject.config is not None:
        _check_head(subject, notes)


def _outputs(subject: Subject) -> Iterator[tuple[str, int | None, list[Dims]]]:
    """The shapes of an image's outputs wherever they are stated: file, line, dims of each.

    A graph that says what the manifest of its version says is left out.
    """
    dims = [tensor.of_one for tensor in declared(subject, "output")]
    yield subject.config_file, subject.places.line("output.dims"), dims
    for version in subject.versions:
        files = {"build.json": subject.manifest_file(version), "the graph": subject.graph_file(version)}
        before: list[Dims] | None = None
        for source, tensors in stated(version, "output"):
            shapes = [tensor.dims for tensor in tensors if tensor.dims is not None]
            if len(shapes) == len(tensors) and not (before is not None and _same(shapes, before)):
                yield files[source], None, shapes
            before = shapes


def _same(some: list[Dims], others: list[Dims]) -> bool:
    return len(some) == len(others) and all(fit(a, b) for a, b in zip(some, others, strict=True))


def _check_head(subject: Subject, notes: Notes) -> None:
    head, classes = subject.head, len(subject.names)
    if head is None or not classes:
        return
    wanted = expected_shape(head, classes)
    for file, line, outputs in _outputs(subject):
        if len(outputs) == 1 and _mayfit(outputs[0], head, classes):
            continue
        code, is_what = "HEAD_MISMATCH", _what_gives(outputs, classes)
        if head == "rtdetr" and len(outputs) == 1 and fit(outputs[0], (-1, 4 + classes)):
            code, is_what = "RTDETR_CONTRACT", "a score for each class, as older exports give it"
        notes.add(
            code,
            file,
            f"{', '.join(str(list(dims)) for dims in outputs) or 'no output'}: {is_what}",
            line=line,
            expected=f"{_described(wanted)}, which the rule {head!r} reads for {classes} classes",
            fix="export the head that the run file names, or name the head that was exported",
        )
    for version in subject.versions:
        _check_exporters_word(subject, version, head, notes)


def _mayfit(dims: Dims, head: str, classes: int) -> bool:
    """Whether the head can give these dims, where -1 may be anything."""
    wanted = expected_shape(head, classes)  # type: ignore[arg-type]  # a Head that was compared as text
    filled = tuple(w if d == -1 else d for d, w in zip(dims, wanted, strict=False))
    return len(dims) == 2 and shape_fits(filled, head, classes)  # type: ignore[arg-type]


def _what_gives(outputs: list[Dims], classes: int) -> str:
    if len(outputs) != 1:
        return f"{len(outputs)} outputs"
    if fit(outputs[0], (4 + classes, -1)):
        return "the one-to-many head"
    if fit(outputs[0], (-1, 6)):
        return "an end-to-end head"
    return "no head of this number of classes"


def _described(dims: tuple[int, int]) -> str:
    return f"[{', '.join('any' if dim == -1 else str(dim) for dim in dims)}]"


def _check_exporters_word(subject: Subject, version: Version, head: str, notes: Notes) -> None:
    """Ultralytics writes into the graph whether the head of a YOLO26 is end-to-end."""
    if version.graph is None or version.graph.end_to_end is None or head == "rtdetr":
        return
    if version.graph.end_to_end != (head == "nms-free"):
        notes.add(
            "HEAD_MISMATCH",
            subject.graph_file(version),
            f"exported with end2end {version.graph.end_to_end}",
            expected=f"{head == 'nms-free'} for the head {head!r}",
            fix="export the head that the run file names, or name the head that was exported",
        )


def _check_class_names(subject: Subject, notes: Notes) -> None:
    """Every source of class names against the first, and the data set's categories in whatever order."""
    sources = [] if subject.model is None else [("the run file", subject.model.names)]
    for version in subject.versions:
        if version.manifest is not None:
            sources.append((subject.manifest_file(version), version.manifest.names))
        if version.graph is not None and version.graph.names:
            sources.append((subject.graph_file(version), version.graph.names))
    for file, names in sources[1:]:
        by, wanted = sources[0]
        if names != wanted:
            notes.add(
                "CLASS_MAP",
                file,
                _difference(names, wanted),
                expected=f"{len(wanted)} names in the order of {by}",
                fix="build from the right weights, or correct `names` in the run file",
            )
    if subject.categories is not None and sources:
        by, names = sources[0]
        ours, theirs = set(names), set(subject.categories)
        if ours != theirs or len(names) != len(subject.categories):
            notes.add(
                "CLASS_MAP",
                by if subject.model is None else subject.shown(subject.folder),
                f"{len(names)} names" + _listed(" only here: ", ours - theirs),
                expected=f"the data set's {len(subject.categories)}"
                + _listed(" only there: ", theirs - ours),
                fix="correct `names` in the run file, or name the data set that the model is for",
            )


def _difference(names: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    if len(names) != len(wanted):
        return f"{len(names)} names"
    at = next(i for i, (a, b) in enumerate(zip(names, wanted, strict=True)) if a != b)
    return f"class {at} is {names[at]!r:.60}, not {wanted[at]!r:.60}"


def _listed(before: str, names: set[str]) -> str:
    shown = ", ".join(f"{name:.40}" for name in sorted(names)[:5])
    return f",{before}{shown}{'...' if len(names) > 5 else ''}" if names else ""
