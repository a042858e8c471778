"""What is wrong with one side's detections: each kind of problem counted, with the first few named."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parity.dataset.annotations import Annotations
from parity.errors import EvidenceError, join_problems

LARGEST_PIXEL = 1e12
"""No picture is that wide; areas and float32 corners of boxes within it stay finite."""

FEW = 5
"""How many culprits of a kind are named."""

EXPECTED = "a JSON list of objects with image_id, category_id, bbox [x, y, width, height] and score"


class Findings:
    """Collects problems, so that all of them are reported at once, each with its remedy."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.lines: list[str] = []
        self.remedies: list[str] = []

    def add(self, line: str, remedy: str = "") -> None:
        """Note one kind of problem."""
        self.lines.append(line)
        if remedy and remedy not in self.remedies:
            self.remedies.append(remedy)

    def error(self) -> EvidenceError:
        """All that was noted, as one error."""
        return EvidenceError(
            join_problems(self.lines), where=str(self.where), remedy="; ".join(self.remedies)
        )

    def raise_if_any(self) -> None:
        """Raise EvidenceError when anything was noted."""
        if self.lines:
            raise self.error()


def listed(items: Iterable[object], count: int) -> str:
    """The first few of `count` items as text, and how many more there are."""
    shown = [shortened(item) for item in islice(items, FEW)]
    rest = f" and {count - len(shown):,} more" if count > len(shown) else ""
    return ", ".join(shown) + rest


def shortened(item: object) -> str:
    """An item as one short piece of text."""
    text = item if isinstance(item, str) else repr(item)
    return text if len(text) <= 80 else f"{text[:77]}..."


def detections(count: int, rest: str = "") -> str:
    """`1 detection`, `1,234 detections`."""
    return f"{count:,} detection{'' if count == 1 else 's'}{rest}"


def check_numbers(findings: Findings, scores: NDArray[np.float64], boxes: NDArray[np.float64]) -> None:
    """Note scores outside 0 to 1, boxes of negative size and absurd ones; zero-size boxes are legal."""
    form = "write boxes as x, y, width, height in pixels"
    for name, values, bad, remedy in (
        ("score outside 0 to 1", scores, ~((scores >= 0) & (scores <= 1)), "write scores as fractions"),
        ("negative width or height", boxes, (boxes[:, 2:] < 0).any(axis=1), form),
        ("bbox too large", boxes, ~(np.abs(boxes) < LARGEST_PIXEL).all(axis=1), form),
    ):
        rows = np.flatnonzero(bad)
        if len(rows):
            shown = (f"[{row}] ({values[row].tolist()})" for row in rows)
            findings.add(f"{detections(len(rows))} with a {name}: {listed(shown, len(rows))}", remedy)


def check_categories(findings: Findings, ids: NDArray[np.int64], annotations: Annotations) -> None:
    """Note category ids that the annotations do not have, and what they look like instead."""
    distinct, counts = np.unique(ids, return_counts=True)
    known = np.array(list(annotations.categories), np.int64)
    unknown = ~np.isin(distinct, known)
    if not unknown.any():
        return
    strange = distinct[unknown].tolist()
    findings.add(
        f"{detections(int(counts[unknown].sum()))} with {len(strange)} unknown category "
        f"id{'' if len(strange) == 1 else 's'}: {listed(strange, len(strange))}",
        _category_remedy(strange, distinct.tolist(), sorted(annotations.categories)),
    )


def _category_remedy(strange: list[int], used: list[int], known: list[int]) -> str:
    for shift in (-1, 1):
        if all(number + shift in known for number in strange):
            return (
                f"the category ids look shifted: the unknown ones exist in the annotations {shift:+d}; "
                "Ultralytics writes class index + 1 for any data but COCO's own"
            )
    for first in (0, 1):
        if used[0] >= first and used[-1] < len(known) + first:
            return (
                f"the category ids look like class numbers from {first}; map them to the ids of the "
                f"annotations, whose {len(known)} categories go from {known[0]} to {known[-1]}"
            )
    return "write the category ids of the annotations, or give the annotations that the detector was made for"
