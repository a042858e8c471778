"""What engine and configuration must agree on: names, types and shapes of the tensors."""

from __future__ import annotations

from parity.repository.check.findings import Notes
from parity.repository.check.subject import Subject, Version
from parity.repository.check.tensors import LENGTHS, Declared, Dims, Stated, declared, fit, stated


def check(subject: Subject, notes: Notes) -> None:
    """Note where the configuration's tensors cannot be the engine's, or the images' size is another."""
    if subject.config is None:
        return
    for kind in LENGTHS:
        _check_repeated_batch(subject, kind, notes)
        for version in subject.versions:
            _check_tensors(subject, version, kind, notes)
    _check_input_size(subject, notes)


def _check_repeated_batch(subject: Subject, kind: str, notes: Notes) -> None:
    for tensor in declared(subject, kind):
        if tensor.repeats:
            notes.add(
                "BATCH_CONFIG",
                subject.config_file,
                f"dims {list(tensor.dims)} of {tensor.name!r}",
                line=subject.places.line(f"{tensor.place}.dims"),
                expected=f"{list(tensor.dims[1:])}: max_batch_size stands for the batch",
                fix="leave the batch out of the dims",
            )


def _check_tensors(subject: Subject, version: Version, kind: str, notes: Notes) -> None:
    """Hold the declared tensors to manifest and graph; what both tell alike is told once."""
    before: list[Stated] = []
    for source, tensors in stated(version, kind):
        by = f"as {source} of version {version.path.name} has it"
        if not before or {t.name for t in tensors} != {t.name for t in before}:
            _check_names(subject, kind, tensors, by, notes)
        known = {tensor.name: tensor for tensor in declared(subject, kind)}
        for tensor in tensors:
            if tensor.name in known:
                told = next((t for t in before if t.name == tensor.name), None)
                _check_tensor(subject, known[tensor.name], tensor, told, by, notes)
        before = tensors


def _check_names(subject: Subject, kind: str, tensors: list[Stated], by: str, notes: Notes) -> None:
    found, wanted = ({t.name for t in declared(subject, kind)}, {t.name for t in tensors})
    if found != wanted:
        notes.add(
            "IO_NAME",
            subject.config_file,
            f"{kind} {', '.join(sorted(found)) or 'none'}",
            line=subject.places.line(f"{kind}.name"),
            expected=f"{', '.join(sorted(wanted))}, {by}",
            fix="write the engine's names, or export it with these",
        )


def _check_tensor(
    subject: Subject, found: Declared, wanted: Stated, told: Stated | None, by: str, notes: Notes
) -> None:
    """One tensor. told: what another source said of it, which is not said again."""
    if found.datatype != wanted.datatype and (told is None or told.datatype != wanted.datatype):
        notes.add(
            "IO_DTYPE",
            subject.config_file,
            f"{found.name!r} is {found.datatype}",
            line=subject.places.line(f"{found.place}.data_type"),
            expected=f"{wanted.datatype}, {by}",
            fix="write the engine's type, or build it with FP32 inputs and outputs",
        )
    # A shape that repeats the batch has a finding of its own.
    if wanted.dims is None or found.repeats or fit(found.dims, wanted.dims):
        return
    if told is None or told.dims is None or not fit(told.dims, wanted.dims):
        notes.add(
            "IO_SHAPE",
            subject.config_file,
            f"{found.name!r} is {list(found.dims)}",
            line=subject.places.line(f"{found.place}.dims"),
            expected=f"{list(wanted.dims)}, {by}",
            fix="write the engine's dims, or build it for these",
        )


def _check_input_size(subject: Subject, notes: Notes) -> None:
    if subject.source is None:
        return
    by, source = subject.source
    wanted: Dims = (3, *source.input_size)
    for tensor in declared(subject, "input"):
        if not fit(tensor.of_one, wanted):
            notes.add(
                "IO_SHAPE",
                subject.config_file,
                f"{tensor.name!r} is {list(tensor.of_one)}",
                line=subject.places.line(f"{tensor.place}.dims"),
                expected=f"{list(wanted)}: RGB, height and width as {by} says",
                fix="correct the dims, or input_size",
            )
