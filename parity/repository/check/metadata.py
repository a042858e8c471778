"""What clients are told of a model: its parameters and its labels."""

from __future__ import annotations

from typing import Any

from parity.repository.check.files import Unreadable, inside, read_text
from parity.repository.check.findings import Notes
from parity.repository.check.links import OutOfReach, note_escape
from parity.repository.check.subject import Subject

LARGEST_LABELS = 1 << 20
KEYS = ("head", "input_size", "resize", "names")
_HEADS = ("nms-free", "one-to-many", "rtdetr")
_RESIZES = ("letterbox", "stretch")


def check(subject: Subject, notes: Notes) -> None:
    """Note parameters that are missing or contradict what is known, and labels likewise."""
    if subject.config is None:
        return
    _check_parameters(subject, subject.config, notes)
    _check_labels(subject, subject.config, notes)


def _check_parameters(subject: Subject, config: Any, notes: Notes) -> None:
    missing = [key for key in KEYS if not subject.parameter(key)]
    if missing:
        notes.add(
            "METADATA_MISSING",
            subject.config_file,
            f"no parameter {', '.join(missing)}",
            line=subject.places.line("parameters"),
            expected="head, input_size (HEIGHTxWIDTH), resize and names (separated by commas)",
            fix="add them, so that clients need not guess",
        )
    for key, (wanted, by) in _wanted(subject, config).items():
        found = subject.parameter(key)
        if not found or found in wanted:
            continue
        notes.add(
            "METADATA",
            subject.config_file,
            f"{key} {_short(found)!r}",
            line=subject.places.parameter(key),
            expected=f"{' or '.join(_short(value) for value in wanted)}, {by}",
            fix="correct the parameter, or what contradicts it",
        )


def _wanted(subject: Subject, config: Any) -> dict[str, tuple[tuple[str, ...], str]]:
    """Values that each parameter may have, and by what."""
    if subject.source is not None:
        by, source = subject.source
        return {
            "head": ((source.head,), f"as {by} says"),
            "resize": ((source.resize,), f"as {by} says"),
            "input_size": (("x".join(map(str, source.input_size)),), f"as {by} says"),
            "names": ((",".join(source.names),), f"as {by} says"),
        }
    wanted = {"head": (_HEADS, "the heads there are"), "resize": (_RESIZES, "the rules there are")}
    image = next((tuple(tensor.dims) for tensor in config.input if len(tensor.dims) == 3), None)
    if image is not None and -1 not in image:
        wanted["input_size"] = ((f"{image[1]}x{image[2]}",), "the input's height and width")
    return wanted


def _check_labels(subject: Subject, config: Any, notes: Notes) -> None:
    for i, output in enumerate(config.output):
        name, line = output.label_filename, subject.places.line(f"output[{i}].label_filename")
        if not name:
            continue
        path = inside(subject.folder, name)
        if path is None:
            notes.add(
                "UNSAFE_PATH",
                subject.config_file,
                f"label_filename {_short(name)!r}",
                line=line,
                expected="a file inside the model's folder",
                fix="copy the labels into the folder, and name that file",
            )
            continue
        _check_label_file(subject, name, line, notes)
    if config.output and not any(output.label_filename for output in config.output):
        notes.add(
            "LABELS",
            subject.config_file,
            "no output has a label_filename",
            line=subject.places.line("output"),
            expected="a file with one class name a line",
            fix='write labels.txt, and label_filename: "labels.txt" at the output',
        )


def _check_label_file(subject: Subject, name: str, line: int | None, notes: Notes) -> None:
    try:
        path = subject.folder / name
        labels = tuple(read_text(path, LARGEST_LABELS, subject.reach.open).splitlines())
    except OutOfReach as error:
        note_escape(error.target, subject.shown(path), notes)
        return
    except Unreadable as error:
        notes.add(
            "LABELS",
            subject.config_file,
            f"{_short(name)}: {error.found}",
            line=line,
            expected="a UTF-8 text with one class name a line",
            fix="write the file, or correct label_filename",
        )
        return
    names = subject.names
    if names and labels != names:
        different = next((i for i, (a, b) in enumerate(zip(labels, names, strict=False)) if a != b), None)
        at = min(len(labels), len(names)) if different is None else different
        notes.add(
            "LABELS",
            subject.shown(subject.folder) + f"/{name}",
            f"{len(labels)} lines, here {_short(labels[at]) if at < len(labels) else 'the end'!r}",
            line=at + 1,
            expected=f"{len(names)} lines, here {_short(names[at]) if at < len(names) else 'the end'!r}",
            fix="write one class name a line, in the order of class index",
        )


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}..."
