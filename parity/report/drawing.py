"""Geometry of the two drawings of the HTML page: an interval against its limit, and boxes on an image.

Only numbers are worked out here; the templates turn them into SVG.
"""

from __future__ import annotations

from dataclasses import dataclass

from parity.report.document import Box, CriterionResult, WorstImage

AXIS_WIDTH, AXIS_HEIGHT = 200.0, 30.0
_MARGIN = 10.0
# The picture's longer side is taken to be shown some 500 CSS pixels long: one unit is one such pixel.
_SHOWN_SIDE = 500.0
_LABEL_HEIGHT = 15.5
_LETTER = 6.4


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An interval against its limit; all values are x positions from 0 to AXIS_WIDTH."""

    limits: tuple[float, ...]
    allowed: tuple[float, float] | None
    bar: tuple[float, float]
    point: float | None
    zero: float | None


def axis(criterion: CriterionResult) -> Axis | None:
    """The drawing of one criterion, None when it has no interval or no limit.

    The allowed range is drawn where the limit has two sides.
    """
    if criterion.interval is None or criterion.limit is None:
        return None
    low, high = criterion.interval
    limit = criterion.limit
    values = [low, high, *([] if criterion.observed is None else [criterion.observed])]
    two_sided = criterion.sense == "within"
    limits = (-limit, limit) if two_sided else (limit,)
    least, most = min(*values, *limits), max(*values, *limits)
    margin = (most - least) * 0.08 or abs(limit) or 1.0
    least, most = least - margin, most + margin

    def position(value: float) -> float:
        return round(_MARGIN + (value - least) / (most - least) * (AXIS_WIDTH - 2 * _MARGIN), 2)

    return Axis(
        limits=tuple(position(value) for value in limits),
        allowed=(position(-limit), position(limit)) if two_sided else None,
        bar=(position(low), position(high)),
        point=None if criterion.observed is None else position(criterion.observed),
        zero=position(0.0) if least < 0 < most else None,
    )


@dataclass(frozen=True, kw_only=True)
class Label:
    """A box's label: its text and the top left corner and size of its plate, in pixels of the image."""

    text: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One box to draw; a number links it to its row in the list below the image."""

    box: Box
    number: int | None
    width: float
    height: float
    corners: str
    label: Label | None


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """All boxes of one image in drawing order.

    Agreeing ones first, so that differing ones lie on top; within both the candidate's last, so that its
    dashes show on the reference's solid line where boxes coincide.
    """

    unit: float
    marks: list[Mark]

    @property
    def differing(self) -> list[Mark]:
        """The numbered marks, in the order of their numbers."""
        numbered = [(mark.number, mark) for mark in self.marks if mark.number is not None]
        return [mark for _, mark in sorted(numbered, key=lambda item: item[0])]


def overlay(image: WorstImage) -> Overlay:
    """Boxes of one image with their labels placed so that they hide each other as little as possible."""
    unit = max(image.width, image.height, 1) / _SHOWN_SIDE
    ordered = sorted(image.boxes, key=lambda box: (-box.score, box.x1, box.y1))
    same = [box for box in ordered if box.kind == "matched"]
    marks = [_mark(box, None, None, unit) for box in same]
    taken: list[Label] = []
    for number, box in enumerate((box for box in ordered if box.kind != "matched"), start=1):
        label = _placed(box, f"{number} {box.kind}", image, unit, taken)
        taken.append(label)
        marks.append(_mark(box, number, label, unit))
    marks.sort(key=lambda mark: (mark.number is not None, mark.box.side == "candidate"))
    return Overlay(unit=round(unit, 4), marks=marks)


def _mark(box: Box, number: int | None, label: Label | None, unit: float) -> Mark:
    width, height = max(box.x2 - box.x1, 0.0), max(box.y2 - box.y1, 0.0)
    half = unit * (3.0 if number is not None else 2.0)
    squares = (
        f"M{x - half:.1f} {y - half:.1f}h{2 * half:.1f}v{2 * half:.1f}h{-2 * half:.1f}z"
        for x in (box.x1, box.x2)
        for y in (box.y1, box.y2)
    )
    corners = "".join(squares) if box.side == "reference" else ""
    return Mark(box=box, number=number, width=width, height=height, corners=corners, label=label)


def _placed(box: Box, text: str, image: WorstImage, unit: float, taken: list[Label]) -> Label:
    """The first place around the box that hides no label placed before, else the first place of all."""
    width, height = (len(text) * _LETTER + 8) * unit, _LABEL_HEIGHT * unit
    above, below = box.y1 - height - 2 * unit, box.y2 + 2 * unit
    inside_top, inside_bottom = box.y1 + 2 * unit, box.y2 - height - 2 * unit
    left, right = box.x1, box.x2 - width
    # The candidate's labels start below its box, because a moved pair shares the place above.
    rows = (above, below, inside_top, inside_bottom)
    if box.side == "candidate":
        rows = (below, above, inside_bottom, inside_top)
    places = [
        Label(
            text=text,
            x=round(min(max(x, 0.0), max(image.width - width, 0.0)), 2),
            y=round(min(max(y, 0.0), max(image.height - height, 0.0)), 2),
            width=round(width, 2),
            height=round(height, 2),
        )
        for y in rows
        for x in (left, right, box.x2 + 2 * unit, box.x1 - width - 2 * unit)
    ]
    return next((place for place in places if not any(_hide(place, other) for other in taken)), places[0])


def _hide(one: Label, other: Label) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )
