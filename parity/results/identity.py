"""Which image of the annotations each detection belongs to.

COCO results carry the annotations' image ids. Ultralytics writes the stem of the image's file instead, as
an integer where the stem is a number (`int("000123")`), as a string elsewhere.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.dataset.annotations import Annotations
from parity.results.findings import Findings, detections, listed

Name = int | str
Stems = dict[Name, list[int]]


def resolve(
    names: Sequence[Name], file_names: Sequence[Any], annotations: Annotations, findings: Findings
) -> tuple[NDArray[np.int64], bool]:
    """The annotations' image id of every detection, int64 (n,), and whether stems named the images.

    names: the `image_id` of every detection. file_names: its `file_name`, None where it has none.
    Stems it is when an id is a string, when the file's own `file_name`s say so, or when no id is one of the
    annotations' and every one is a stem; otherwise ids are the annotations' ids, as COCO has it.
    Notes unknown and ambiguous names, whose detections get an arbitrary id.
    """
    known = {image.image_id for image in annotations.images}
    distinct = list(dict.fromkeys(names))
    numbers_only = all(isinstance(name, int) for name in distinct)
    stems: Stems = {}
    by_stem = not numbers_only
    signed = numbers_only and _named_by_stem(names, file_names)
    if by_stem or signed or not known.issuperset(distinct):
        stems = _stems(annotations)
    if numbers_only and stems and all(name in stems for name in distinct):
        by_stem = signed or known.isdisjoint(distinct)
    if not by_stem:
        unknown = [name for name in distinct if name not in known]
        _note_unknown(findings, names, unknown, _remedy(distinct, stems))
        targets = {name: name if name in known else 0 for name in distinct}
    else:
        unknown = [name for name in distinct if name not in stems]
        _note_unknown(
            findings,
            names,
            unknown,
            "compare with the annotations whose `file_name`s are the images that the detector ran on",
            what="file stem",
        )
        _note_ambiguous(findings, distinct, stems)
        targets = {name: stems.get(name, [0])[0] for name in distinct}
    return np.fromiter(map(targets.__getitem__, names), np.int64, len(names)), by_stem


def check_images(findings: Findings, ids: NDArray[np.int64], annotations: Annotations, what: str) -> None:
    """Note image ids of a table that the annotations do not have; `what` names the table's rows."""
    known = np.array([image.image_id for image in annotations.images], np.int64)
    distinct, counts = np.unique(ids, return_counts=True)
    unknown = ~np.isin(distinct, known)
    if unknown.any():
        strange = distinct[unknown].tolist()
        findings.add(
            f"{int(counts[unknown].sum()):,} {what} name {_counted(len(strange), 'unknown image id')}: "
            f"{listed(strange, len(strange))}",
            "compare with the annotations that the run used",
        )


def _named_by_stem(names: Sequence[Name], file_names: Sequence[Any]) -> bool:
    """Whether every detection's image_id is what Ultralytics makes of its file_name."""
    if not names or not all(isinstance(name, str) for name in file_names):
        return False
    pairs = set(zip(names, file_names, strict=True))
    return all(number is not None and _number(_stem(file)) == number for number, file in pairs)


def _stems(annotations: Annotations) -> Stems:
    """Image ids by stem, and by the number that Ultralytics makes of the stem."""
    stems: defaultdict[Name, list[int]] = defaultdict(list)
    for image in annotations.images:
        stem = _stem(image.file_name)
        stems[stem].append(image.image_id)
        number = _number(stem)
        if number is not None:
            stems[number].append(image.image_id)
    return dict(stems)


def _stem(file_name: str) -> str:
    return PurePosixPath(file_name.replace("\\", "/")).stem


def _number(stem: str) -> int | None:
    try:
        return int(stem) if stem.isnumeric() else None
    except ValueError:  # superscripts are numeric, and integers of 5,000 digits are refused
        return None


def _remedy(distinct: Collection[Name], stems: Stems) -> str:
    if stems and all(name in stems for name in distinct):
        return (
            "all image ids are stems of file names, but some are ids of other images too; "
            "write the annotations' ids, or keep Ultralytics' `file_name` beside each image_id"
        )
    return "compare with the annotations of the images that the detector ran on"


def _note_unknown(
    findings: Findings, names: Sequence[Name], unknown: list[Name], remedy: str, what: str = "image id"
) -> None:
    if not unknown:
        return
    counts = Counter(names)
    total = sum(counts[name] for name in unknown)
    findings.add(
        f"{detections(total)} with {_counted(len(unknown), what)} that the annotations do not have: "
        f"{listed((repr(name) for name in unknown), len(unknown))}",
        remedy,
    )


def _note_ambiguous(findings: Findings, distinct: Collection[Name], stems: Stems) -> None:
    ambiguous = [name for name in distinct if len(stems.get(name, ())) > 1]
    if ambiguous:
        shown = (f"{name!r} (images {listed(stems[name], len(stems[name]))})" for name in ambiguous)
        findings.add(
            f"{_counted(len(ambiguous), 'file stem')} of several images: {listed(shown, len(ambiguous))}",
            "write the annotations' image ids into the file",
        )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
