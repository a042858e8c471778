"""Drawing with a memory: every stroke also records which object owns the pixels it covers.

The street generator draws far objects first and near ones over them. The owner map then holds, for
every pixel, the object that is really visible there, so that boxes are tight around what can be seen
and the occluded share of an object is known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
SUPERSAMPLING = 2
"""Scenes are drawn this many times larger and averaged down, which gives soft edges and half-pixel boxes."""


@dataclass(frozen=True)
class Frame:
    """Where an object stands: its box in canvas pixels, and whether it is mirrored."""

    left: float
    top: float
    width: float
    height: float
    mirrored: bool = False

    def point(self, u: float, v: float) -> tuple[int, int]:
        """Canvas pixel of the relative position (u, v), both 0 to 1 inside the box."""
        u = 1.0 - u if self.mirrored else u
        return round(self.left + u * self.width), round(self.top + v * self.height)


class Canvas:
    """A BGR picture and, in `owner`, the number of the object on top at each pixel (0: background)."""

    def __init__(self, width: int, height: int) -> None:
        self.pixels: NDArray[np.uint8] = np.zeros((height, width, 3), np.uint8)
        self.owner: NDArray[np.int32] = np.zeros((height, width), np.int32)
        self.covered: dict[int, int] = {}

    def polygon(self, frame: Frame, owner: int, points: list[tuple[float, float]], colour: Colour) -> None:
        """Fill the polygon through `points`, given relative to `frame`."""
        corners = np.array([frame.point(u, v) for u, v in points], np.int32)
        cv2.fillPoly(self.pixels, [corners], colour, cv2.LINE_AA)
        cv2.fillPoly(self.owner, [corners], owner)

    def box(
        self, frame: Frame, owner: int, u1: float, v1: float, u2: float, v2: float, colour: Colour
    ) -> None:
        """Fill an upright rectangle, given relative to `frame`."""
        self.polygon(frame, owner, [(u1, v1), (u2, v1), (u2, v2), (u1, v2)], colour)

    def ellipse(
        self, frame: Frame, owner: int, u: float, v: float, ru: float, rv: float, colour: Colour
    ) -> None:
        """Fill an upright ellipse with centre (u, v) and radii (ru, rv), relative to `frame`."""
        axes = (max(1, round(ru * frame.width)), max(1, round(rv * frame.height)))
        cv2.ellipse(self.pixels, frame.point(u, v), axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
        cv2.ellipse(self.owner, frame.point(u, v), axes, 0, 0, 360, owner, -1)

    def line(
        self,
        frame: Frame,
        owner: int,
        start: tuple[float, float],
        end: tuple[float, float],
        thickness: float,
        colour: Colour,
    ) -> None:
        """Stroke a line; `thickness` is relative to the frame's height."""
        pixels = max(1, round(thickness * frame.height))
        ends = frame.point(*start), frame.point(*end)
        cv2.line(self.pixels, *ends, colour, pixels, cv2.LINE_AA)
        cv2.line(self.owner, *ends, owner, pixels)

    def ring(
        self, frame: Frame, owner: int, u: float, v: float, radius: float, thickness: float, colour: Colour
    ) -> None:
        """Stroke a circle; radius and thickness are relative to the frame's height."""
        pixels = max(1, round(radius * frame.height)), max(1, round(thickness * frame.height))
        cv2.circle(self.pixels, frame.point(u, v), pixels[0], colour, pixels[1], cv2.LINE_AA)
        cv2.circle(self.owner, frame.point(u, v), pixels[0], owner, pixels[1])

    def close(self, owner: int) -> None:
        """Remember how many pixels the object covers before nearer ones hide some of them."""
        self.covered[owner] = int(np.count_nonzero(self.owner == owner))

    def visible_box(self, owner: int) -> tuple[float, float, float, float, float] | None:
        """`x, y, width, height` of what is visible, in output pixels, and its share of the whole object.

        None when nothing of the object can be seen.
        """
        rows, columns = np.nonzero(self.owner == owner)
        if rows.size == 0:
            return None
        left, right = int(columns.min()), int(columns.max()) + 1
        top, bottom = int(rows.min()), int(rows.max()) + 1
        s = SUPERSAMPLING
        share = rows.size / max(1, self.covered[owner])
        return left / s, top / s, (right - left) / s, (bottom - top) / s, share


def shade(colour: Colour, factor: float) -> Colour:
    """The same colour, lighter (`factor` > 1) or darker."""
    b, g, r = (int(np.clip(channel * factor, 0, 255)) for channel in colour)
    return b, g, r
