"""What engine, configuration and client must agree on: tensors, the head's output, the class names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from parity.heads import expected_shape, shape_fits
from parity.repository.check.findings import Notes
from parity.repository.check.subject import Subject, Version
from parity.repository.manifest import Tensor
from parity.repository.messages import enum_name

Dims = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Declared:
    """A tensor as the configuration has it. dims: what the engine sees, so after a reshape."""

    place: str
    name: str
    datatype: str
    dims: Dims


def check(subject: Subject, notes: Notes) -> None:
    """Note where the configuration's tensors cannot be the engine's, or not what clients decode."""
    _check_class_names(subject, notes)
    if subject.config is None:
        return
    repeats = _check_repeated_batch(subject, notes)
    for version in subject.versions:
        for kind in ("input", "output"):
            _check_tensors(subject, version, kind, repeats, notes)
    _check_input_size(subject, repeats, notes)
    _check_head(subject, repeats, notes)


def _declared(subject: Subject, kind: str) -> list[_Declared]:
    tensors: Any = getattr(subject.config, kind)
    return [
        _Declared(
            place=f"{kind}[{i}]",
            name=tensor.name,
            datatype=_type_name(tensor),
            dims=tuple(tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims),
        )
        for i, tensor in enumerate(tensors)
    ]


def _type_name(tensor: Any) -> str:
    return enum_name(tensor, "data_type").removeprefix("TYPE_")


def _engine_tensors(version: Version, kind: str) -> tuple[str, list[tuple[str, str, Dims | None]]] | None:
    """Name, type and dims without the batch of the engine's tensors, and who says so."""
    if version.manifest is not None:
        tensors: tuple[Tensor, ...] = getattr(version.manifest, f"{kind}s")
        return "build.json", [(t.name, t.datatype, t.dims) for t in tensors]
    if version.graph is not None:
        graph = getattr(version.graph, f"{kind}s")
        return "the graph", [(t.name, t.datatype, None if t.dims is None else t.dims[1:]) for t in graph]
    return None


def _check_repeated_batch(subject: Subject, notes: Notes) -> set[str]:
    """Tensors whose dims begin with the batch, which max_batch_size already stands for."""
    repeated: set[str] = set()
    if subject.config is None or subject.config.max_batch_size < 1:
        return repeated
    for kind, length in (("input", 4), ("output", 3)):
        for tensor in _declared(subject, kind):
            if len(tensor.dims) != length:
                continue
            repeated.add(tensor.name)
            notes.add(
                "BATCH_CONFIG",
                subject.config_file,
                f"dims {list(tensor.dims)} of {tensor.name!r}",
                line=subject.places.line(f"{tensor.place}.dims"),
                expected=f"{list(tensor.dims[1:])}: max_batch_size stands for the batch",
                fix="leave the batch out of the dims",
            )
    return repeated


def _check_tensors(subject: Subject, version: Version, kind: str, repeats: set[str], notes: Notes) -> None:
    engine = _engine_tensors(version, kind)
    if engine is None:
        return
    by, tensors = engine
    by = f"as {by} of version {version.path.name} has it"
    declared = {tensor.name: tensor for tensor in _declared(subject, kind)}
    if set(declared) != {name for name, _, _ in tensors}:
        notes.add(
            "IO_NAME",
            subject.config_file,
            f"{kind} {', '.join(sorted(declared)) or 'none'}",
            line=subject.places.line(f"{kind}.name"),
            expected=f"{', '.join(sorted(name for name, _, _ in tensors))}, {by}",
            fix="write the engine's names, or export it with these",
        )
    for name, datatype, dims in tensors:
        tensor = declared.get(name)
        if tensor is None:
            continue
        if tensor.datatype != datatype:
            notes.add(
                "IO_DTYPE",
                subject.config_file,
                f"{name!r} is {tensor.datatype}",
                line=subject.places.line(f"{tensor.place}.data_type"),
                expected=f"{datatype}, {by}",
                fix="write the engine's type, or build it with FP32 inputs and outputs",
            )
        if dims is not None and name not in repeats and not _fit(tensor.dims, dims):
            notes.add(
                "IO_SHAPE",
                subject.config_file,
                f"{name!r} is {list(tensor.dims)}",
                line=subject.places.line(f"{tensor.place}.dims"),
                expected=f"{list(dims)}, {by}",
                fix="write the engine's dims, or build it for these",
            )


def _fit(one: Dims, other: Dims) -> bool:
    return len(one) == len(other) and all(a == b or -1 in (a, b) for a, b in zip(one, other, strict=True))


def _check_input_size(subject: Subject, repeats: set[str], notes: Notes) -> None:
    if subject.source is None:
        return
    by, source = subject.source
    wanted = (3, *source.input_size)
    for tensor in _declared(subject, "input"):
        dims = tensor.dims[1:] if tensor.name in repeats else tensor.dims
        if not _fit(dims, wanted):
            notes.add(
                "IO_SHAPE",
                subject.config_file,
                f"{tensor.name!r} is {list(dims)}",
                line=subject.places.line(f"{tensor.place}.dims"),
                expected=f"{list(wanted)}: RGB, height and width as {by} says",
                fix="correct the dims, or input_size",
            )


def _outputs(subject: Subject, repeats: set[str]) -> Iterator[tuple[str, int | None, list[Dims]]]:
    """The shapes of an image's outputs wherever they are stated: file, line, dims of each."""
    declared = _declared(subject, "output")
    dims = [tensor.dims[1:] if tensor.name in repeats else tensor.dims for tensor in declared]
    yield subject.config_file, subject.places.line("output.dims"), dims
    for version in subject.versions:
        if version.manifest is not None:
            yield subject.manifest_file(version), None, [t.dims for t in version.manifest.outputs]
        elif version.graph is not None and all(t.dims is not None for t in version.graph.outputs):
            yield subject.graph_file(version), None, [(t.dims or ())[1:] for t in version.graph.outputs]


def _check_head(subject: Subject, repeats: set[str], notes: Notes) -> None:
    head, classes = subject.head, len(subject.names)
    if head is None or not classes:
        return
    wanted = expected_shape(head, classes)
    for file, line, outputs in _outputs(subject, repeats):
        if len(outputs) == 1 and _may_fit(outputs[0], head, classes):
            continue
        code, is_what = "HEAD_MISMATCH", _what_gives(outputs, classes)
        if head == "rtdetr" and len(outputs) == 1 and _fit(outputs[0], (-1, 4 + classes)):
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


def _may_fit(dims: Dims, head: str, classes: int) -> bool:
    """Whether the head can give these dims, where -1 may be anything."""
    wanted = expected_shape(head, classes)  # type: ignore[arg-type]  # a Head that was compared as text
    filled = tuple(w if d == -1 else d for d, w in zip(dims, wanted, strict=False))
    return len(dims) == 2 and shape_fits(filled, head, classes)  # type: ignore[arg-type]


def _what_gives(outputs: list[Dims], classes: int) -> str:
    if len(outputs) != 1:
        return f"{len(outputs)} outputs"
    if _fit(outputs[0], (4 + classes, -1)):
        return "the one-to-many head"
    if _fit(outputs[0], (-1, 6)):
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
