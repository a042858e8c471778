"""The eight classes of the street data set, each a function that draws one of them into its frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from demo.drawing import Canvas, Colour, Frame, shade

Draw = Callable[[Canvas, Frame, int, np.random.Generator], None]

RUBBER: Colour = (28, 28, 30)
GLASS: Colour = (150, 130, 105)


def _paint(rng: np.random.Generator) -> Colour:
    b, g, r = (int(v) for v in rng.integers(30, 235, 3))
    return b, g, r


def _wheel(canvas: Canvas, frame: Frame, owner: int, u: float, v: float, radius: float) -> None:
    ru = radius * frame.height / frame.width
    canvas.ellipse(frame, owner, u, v, ru, radius, RUBBER)
    canvas.ellipse(frame, owner, u, v, ru * 0.5, radius * 0.5, (150, 150, 150))


def person(canvas: Canvas, frame: Frame, owner: int, rng: np.random.Generator) -> None:
    """A standing or walking figure."""
    shirt, trousers = _paint(rng), shade(_paint(rng), 0.6)
    skin: Colour = [(140, 175, 220), (90, 125, 175), (55, 75, 110)][int(rng.integers(3))]
    stride = float(rng.uniform(0.02, 0.3))
    canvas.line(frame, owner, (0.5, 0.52), (0.5 - stride, 0.97), 0.085, trousers)
    canvas.line(frame, owner, (0.5, 0.52), (0.5 + stride, 0.97), 0.085, shade(trousers, 0.85))
    canvas.line(frame, owner, (0.38, 0.25), (0.38 - stride * 0.9, 0.52), 0.055, shade(shirt, 0.8))
    canvas.line(frame, owner, (0.62, 0.25), (0.62 + stride * 0.9, 0.52), 0.055, shade(shirt, 0.8))
    canvas.polygon(frame, owner, [(0.27, 0.2), (0.73, 0.2), (0.67, 0.57), (0.33, 0.57)], shirt)
    canvas.ellipse(frame, owner, 0.5, 0.095, 0.21, 0.09, skin)
    canvas.ellipse(frame, owner, 0.5, 0.055, 0.21, 0.05, shade(_paint(rng), 0.4))


def bicycle(canvas: Canvas, frame: Frame, owner: int, rng: np.random.Generator) -> None:
    """A bicycle from the side, without a rider."""
    paint = _paint(rng)
    for u in (0.23, 0.77):
        canvas.ring(frame, owner, u, 0.7, 0.27, 0.045, RUBBER)
    for start, end in (
        ((0.23, 0.7), (0.4, 0.3)),
        ((0.4, 0.3), (0.68, 0.3)),
        ((0.4, 0.3), (0.48, 0.72)),
        ((0.48, 0.72), (0.68, 0.3)),
        ((0.23, 0.7), (0.48, 0.72)),
        ((0.66, 0.14), (0.77, 0.7)),
    ):
        canvas.line(frame, owner, start, end, 0.06, paint)
    canvas.line(frame, owner, (0.33, 0.24), (0.46, 0.24), 0.08, RUBBER)
    canvas.line(frame, owner, (0.58, 0.12), (0.7, 0.12), 0.06, RUBBER)


def car(canvas: Canvas, frame: Frame, owner: int, rng: np.random.Generator) -> None:
    """A saloon or hatchback from the side."""
    paint = _paint(rng)
    rear = float(rng.uniform(0.08, 0.25))
    cabin = [(rear, 0.42), (rear + 0.12, 0.05), (0.66, 0.05), (0.8, 0.42)]
    canvas.polygon(frame, owner, cabin, shade(paint, 0.9))
    canvas.polygon(frame, owner, [(rear + 0.06, 0.4), (rear + 0.15, 0.12), (0.45, 0.12), (0.45, 0.4)], GLASS)
    canvas.polygon(frame, owner, [(0.49, 0.4), (0.49, 0.12), (0.64, 0.12), (0.74, 0.4)], GLASS)
    body = [(0.0, 0.45), (0.04, 0.38), (0.85, 0.4), (0.99, 0.5), (1.0, 0.8), (0.0, 0.8)]
    canvas.polygon(frame, owner, body, paint)
    canvas.box(frame, owner, 0.94, 0.5, 1.0, 0.6, (190, 240, 250))
    canvas.box(frame, owner, 0.0, 0.48, 0.05, 0.58, (40, 40, 200))
    for u in (0.2, 0.79):
        _wheel(canvas, frame, owner, u, 0.8, 0.19)


def bus(canvas: Canvas, frame: Frame, owner: int, rng: np.random.Generator) -> None:
    """A long box with a row of windows and a stripe."""
    paint = _paint(rng)
    canvas.box(frame, owner, 0.0, 0.02, 1.0, 0.87, paint)
    panes = int(rng.integers(4, 8))
    for i in range(panes):
        u = 0.03 + i * 0.82 / panes
        canvas.box(frame, owner, u, 0.15, u + 0.66 / panes, 0.48, GLASS)
    canvas.box(frame, owner, 0.87, 0.12, 0.99, 0.62, shade(GLASS, 1.2))
    canvas.box(frame, owner, 0.0, 0.6, 0.86, 0.66, shade(paint, 0.55))
    for u in (0.2, 0.8):
        _wheel(canvas, frame, owner, u, 0.87, 0.12)


def truck(canvas: Canvas, frame: Frame, owner: int, rng: np.random.Generator) -> None:
    """A lorry: a closed load in front of it a lower cab."""
    load, cab = _paint(rng), _paint(rng)
    split = float(rng.uniform(0.66, 0.74))
    canvas.box(frame, owner, 0.0, 0.02, split - 0.02, 0.8, load)
    for i in range(1, 4):
        u = split * i / 4
        canvas.line(frame, owner, (u, 0.04), (u, 0.78), 0.012, shade(load, 0.75))
    canvas.polygon(frame, owner, [(split, 0.25), (0.92, 0.25), (1.0, 0.55), (1.0, 0.85), (split, 0.85)], cab)
    canvas.polygon(
        frame, owner, [(split + 0.06, 0.32), (0.9, 0.32), (0.95, 0.52), (split + 0.06, 0.52)], GLASS
    )
    canvas.box(frame, owner, 0.0, 0.78, 1.0, 0.86, (50, 50, 50))
    for u in (0.12, 0.27, 0.85):
        _wheel(canvas, frame, owner, u, 0.86, 0.13)


def traffic_light(canvas: Canvas, frame: Frame, owner: int, rng: np.random.Generator) -> None:
    """The housing with three lamps, one of them lit; its pole belongs to the background."""
    canvas.box(frame, owner, 0.0, 0.0, 1.0, 1.0, (35, 45, 40))
    lit = int(rng.integers(3))
    for i, colour in enumerate([(50, 50, 240), (50, 200, 245), (90, 220, 80)]):
        canvas.ellipse(
            frame, owner, 0.5, 0.19 + 0.31 * i, 0.32, 0.12, colour if i == lit else shade(colour, 0.3)
        )


def stop_sign(canvas: Canvas, frame: Frame, owner: int, rng: np.random.Generator) -> None:
    """A red octagon with a white edge and bar; its pole belongs to the background."""
    red = shade((45, 40, 205), float(rng.uniform(0.8, 1.1)))

    def octagon(radius: float) -> list[tuple[float, float]]:
        angles = np.pi / 8 + np.arange(8) * np.pi / 4
        scale = radius / np.cos(np.pi / 8)
        return [(0.5 + scale * float(np.cos(a)), 0.5 + scale * float(np.sin(a))) for a in angles]

    canvas.polygon(frame, owner, octagon(0.5), (235, 235, 235))
    canvas.polygon(frame, owner, octagon(0.44), red)
    canvas.box(frame, owner, 0.2, 0.42, 0.8, 0.58, (235, 235, 235))


def dog(canvas: Canvas, frame: Frame, owner: int, rng: np.random.Generator) -> None:
    """A dog from the side: four legs, a tail and a snout."""
    coat: Colour = [(60, 95, 140), (40, 45, 50), (190, 210, 225), (70, 110, 175)][int(rng.integers(4))]
    swing = float(rng.uniform(0.0, 0.07))
    for u, lean in ((0.22, -swing), (0.3, swing), (0.62, -swing), (0.7, swing)):
        canvas.line(frame, owner, (u, 0.6), (u + lean, 0.97), 0.09, shade(coat, 0.85))
    canvas.line(frame, owner, (0.18, 0.45), (0.03, 0.12), 0.08, coat)
    canvas.ellipse(frame, owner, 0.45, 0.5, 0.32, 0.2, coat)
    canvas.ellipse(frame, owner, 0.8, 0.28, 0.13, 0.2, coat)
    canvas.ellipse(frame, owner, 0.93, 0.34, 0.07, 0.09, shade(coat, 0.8))
    canvas.polygon(frame, owner, [(0.7, 0.2), (0.72, 0.0), (0.8, 0.14)], shade(coat, 0.6))


CLASSES: dict[str, Draw] = {
    "person": person,
    "bicycle": bicycle,
    "car": car,
    "bus": bus,
    "truck": truck,
    "traffic light": traffic_light,
    "stop sign": stop_sign,
    "dog": dog,
}
"""Class name to drawing function, in category order: the first has COCO category id 1."""

PROPORTIONS: dict[str, tuple[float, float]] = {
    "person": (0.42, 1.75),
    "bicycle": (1.75, 1.1),
    "car": (4.2, 1.5),
    "bus": (9.5, 3.1),
    "truck": (7.5, 3.2),
    "traffic light": (0.42, 1.05),
    "stop sign": (0.8, 0.8),
    "dog": (1.05, 0.75),
}
"""Width and height in metres; a scene's scale in pixels a metre depends on the distance."""
