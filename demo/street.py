"""Composes one street scene: background, clutter, objects by distance, weather of the camera.

`compose(seed)` is deterministic: the same seed gives the same pixels and the same annotations with the
same versions of NumPy and OpenCV. Nothing here is random but through the generator that is handed on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.drawing import SUPERSAMPLING, Canvas, Colour, Frame, shade
from demo.objects import CLASSES, PROPORTIONS

SIZES = ((320, 240), (240, 320), (384, 216), (300, 300), (416, 234), (360, 270), (270, 400), (480, 200))
"""Width and height in pixels: landscape, portrait, square and panoramic, so that letterboxing matters."""
LEAST_VISIBLE_SHARE = 0.3
LEAST_SIDE = 4.0
BACKGROUND = 0


@dataclass(frozen=True)
class Annotation:
    """One object: class name, `x, y, width, height` in pixels, and whether it is a crowd region."""

    name: str
    box: tuple[float, float, float, float]
    crowd: bool = False


@dataclass
class Scene:
    """A finished picture, BGR uint8 of shape (height, width, 3), and what is in it."""

    pixels: NDArray[np.uint8]
    annotations: list[Annotation] = field(default_factory=list)


def _colour(rng: np.random.Generator, low: int, high: int) -> Colour:
    base = int(rng.integers(low, high))
    b, g, r = (int(np.clip(base + v, 0, 255)) for v in rng.integers(-25, 26, 3))
    return b, g, r


def _backdrop(canvas: Canvas, rng: np.random.Generator, horizon: int) -> None:
    """Sky, houses with windows, pavement and road."""
    height, width = canvas.owner.shape
    top, bottom = np.array(_colour(rng, 60, 230)), np.array(_colour(rng, 120, 240))
    ramp = np.linspace(0, 1, horizon)[:, None, None]
    canvas.pixels[:horizon] = (top * (1 - ramp) + bottom * ramp).astype(np.uint8)
    x = 0
    while x < width:
        w = int(rng.integers(width // 9, width // 3))
        h = int(rng.integers(horizon // 4, max(horizon // 4 + 1, horizon)))
        house = Frame(x, horizon - h, w, h)
        wall = _colour(rng, 60, 200)
        canvas.box(house, BACKGROUND, 0, 0, 1, 1, wall)
        pane = shade(wall, float(rng.uniform(0.45, 1.4)))
        columns, rows = int(rng.integers(2, 6)), int(rng.integers(2, 6))
        for i in range(columns):
            for j in range(rows):
                u, v = (i + 0.25) / columns, (j + 0.25) / rows
                canvas.box(house, BACKGROUND, u, v, u + 0.5 / columns, v + 0.5 / rows, pane)
        x += w
    ground = Frame(0, horizon, width, height - horizon)
    road = _colour(rng, 55, 130)
    canvas.box(ground, BACKGROUND, 0, 0, 1, 1, road)
    canvas.box(ground, BACKGROUND, 0, 0, 1, 0.18, shade(road, 1.35))
    lane = float(rng.uniform(0.4, 0.7))
    for i in range(6):
        canvas.box(ground, BACKGROUND, i / 6, lane, i / 6 + 0.09, lane + 0.03, (215, 215, 215))


def _clutter(canvas: Canvas, rng: np.random.Generator, horizon: int) -> None:
    """Things that are no class: trees, bins, posts and posters, so that shape alone is not enough."""
    height, width = canvas.owner.shape
    for _ in range(int(rng.integers(2, 8))):
        size = float(rng.uniform(0.1, 0.4)) * height
        frame = Frame(float(rng.uniform(-0.1, 1.0)) * width, horizon - size * 0.8, size * 0.6, size)
        kind = int(rng.integers(4))
        if kind == 0:
            canvas.box(frame, BACKGROUND, 0.44, 0.5, 0.56, 1.0, (45, 65, 90))
            canvas.ellipse(frame, BACKGROUND, 0.5, 0.33, 0.5, 0.33, (50, int(rng.integers(80, 150)), 60))
        elif kind == 1:
            canvas.box(frame, BACKGROUND, 0.3, 0.7, 0.7, 1.0, _colour(rng, 30, 160))
        elif kind == 2:
            canvas.box(frame, BACKGROUND, 0.48, 0.0, 0.52, 1.0, (70, 70, 70))
            canvas.ellipse(frame, BACKGROUND, 0.5, 0.08, 0.2, 0.08, _colour(rng, 60, 240))
        else:
            canvas.box(frame, BACKGROUND, 0.1, 0.2, 0.9, 0.6, _colour(rng, 40, 230))
            canvas.box(frame, BACKGROUND, 0.2, 0.3, 0.8, 0.36, _colour(rng, 40, 230))


def _place(canvas: Canvas, rng: np.random.Generator, horizon: int, name: str, distance: float) -> Frame:
    """A frame for a `name` at a distance from 0 (far) to 1 (near), standing on the ground or on a pole."""
    height, width = canvas.owner.shape
    metres_wide, metres_high = PROPORTIONS[name]
    pixels_a_metre = height * (0.028 + 0.13 * distance**1.6) * float(rng.uniform(0.85, 1.2))
    w, h = metres_wide * pixels_a_metre, metres_high * pixels_a_metre
    foot = horizon + (height - horizon) * (0.06 + 0.9 * distance)
    left = float(rng.uniform(0.02, 0.98)) * width - w / 2
    mirrored = bool(rng.integers(2))
    if name in ("traffic light", "stop sign"):
        top = foot - 3.0 * pixels_a_metre
        pole = Frame(left, top, w, foot - top)
        canvas.box(pole, BACKGROUND, 0.44, 0.0, 0.56, 1.0, (85, 85, 85))
        return Frame(left, top, w, h, mirrored)
    return Frame(left, foot - h, w, h, mirrored)


def _crowd(canvas: Canvas, rng: np.random.Generator, horizon: int, owner: int) -> None:
    """A dense group of small figures that no annotator would separate."""
    height, width = canvas.owner.shape
    figure = height * float(rng.uniform(0.08, 0.14))
    left = float(rng.uniform(0.0, 0.6)) * width
    for _ in range(int(rng.integers(9, 16))):
        x = left + float(rng.uniform(0.0, 0.3)) * width
        y = horizon - figure * float(rng.uniform(0.5, 0.7))
        CLASSES["person"](canvas, Frame(x, y, figure * 0.3, figure), owner, rng)
    canvas.close(owner)


def _camera(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Light, blur and sensor noise, each of varying strength."""
    image: NDArray[Any] = pixels.astype(np.float32)
    image = image * float(rng.uniform(0.6, 1.15)) + float(rng.uniform(-12, 18))
    if rng.random() < 0.35:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.3)))
    texture = rng.normal(0.0, 1.0, (image.shape[0] // 4 + 1, image.shape[1] // 4 + 1)).astype(np.float32)
    grain = cv2.resize(texture, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_CUBIC)
    image += grain[:, :, None] * float(rng.uniform(0, 5))
    image += rng.normal(0.0, float(rng.uniform(0.5, 7.0)), image.shape).astype(np.float32)
    return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)


def compose(seed: int, *, empty: bool = False, crowd: bool = False) -> Scene:
    """Draw the scene that belongs to `seed`.

    empty: a street with no object of any class. crowd: add one crowd region (`iscrowd` in COCO).
    """
    rng = np.random.default_rng(seed)
    width, height = SIZES[int(rng.integers(len(SIZES)))]
    canvas = Canvas(width * SUPERSAMPLING, height * SUPERSAMPLING)
    horizon = round(canvas.owner.shape[0] * float(rng.uniform(0.35, 0.6)))
    _backdrop(canvas, rng, horizon)
    _clutter(canvas, rng, horizon)

    names: dict[int, str] = {}
    if crowd:
        names[1] = "person"
        _crowd(canvas, rng, horizon, 1)
    count = 0 if empty else 1 + int(rng.poisson(7.0))
    for distance in np.sort(rng.random(count)):
        owner = len(names) + 1
        name = list(CLASSES)[int(rng.integers(len(CLASSES)))]
        names[owner] = name
        frame = _place(canvas, rng, horizon, name, float(distance))
        CLASSES[name](canvas, frame, owner, rng)
        canvas.close(owner)

    annotations = []
    for owner, name in names.items():
        visible = canvas.visible_box(owner)
        if visible is None:
            continue
        x, y, w, h, share = visible
        is_crowd = crowd and owner == 1
        if is_crowd or (share >= LEAST_VISIBLE_SHARE and min(w, h) >= LEAST_SIDE):
            annotations.append(Annotation(name, (x, y, w, h), is_crowd))
    small = cv2.resize(canvas.pixels, (width, height), interpolation=cv2.INTER_AREA)
    return Scene(_camera(np.asarray(small, np.uint8), rng), annotations)
