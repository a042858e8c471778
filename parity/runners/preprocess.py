"""From pixels to the input tensor, equal to Ultralytics' to the bit. Pure functions.

Reference implementation: Ultralytics 8.4.190, `data/augment.py` (LetterBox) and `engine/predictor.py`
(preprocess). The candidate path may not import Ultralytics, so it is written anew here and held to it by
tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from parity.config import Resize

PADDING_VALUE = 114
"""Grey of the letterbox's bars."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where an image of `height` x `width` pixels lies in the network's input.

    resized: (width, height) after scaling. left, top, right, bottom: padding in input pixels.
    """

    height: int
    width: int
    resized: tuple[int, int]
    left: int
    top: int
    right: int
    bottom: int


def letterbox_placement(height: int, width: int, input_size: tuple[int, int]) -> Placement:
    """Scale by the smaller ratio and centre; odd padding goes to the right and the bottom.

    input_size: (height, width) of the network's input in pixels.
    """
    ratio = min(input_size[0] / height, input_size[1] / width)
    resized = max(round(width * ratio), 1), max(round(height * ratio), 1)
    pad_x, pad_y = (input_size[1] - resized[0]) / 2, (input_size[0] - resized[1]) / 2
    return Placement(
        height=height,
        width=width,
        resized=resized,
        left=round(pad_x - 0.1),
        top=round(pad_y - 0.1),
        right=round(pad_x + 0.1),
        bottom=round(pad_y + 0.1),
    )


def stretch_placement(height: int, width: int, input_size: tuple[int, int]) -> Placement:
    """Fill the whole input, whatever that does to the aspect ratio (RT-DETR)."""
    return Placement(
        height=height, width=width, resized=(input_size[1], input_size[0]), left=0, top=0, right=0, bottom=0
    )


PLACEMENTS = {"letterbox": letterbox_placement, "stretch": stretch_placement}


def place(height: int, width: int, input_size: tuple[int, int], resize: Resize) -> Placement:
    """The placement that the model's resize rule gives."""
    return PLACEMENTS[resize](height, width, input_size)


def render(pixels: NDArray[np.uint8], placement: Placement) -> NDArray[np.uint8]:
    """BGR uint8 (h, w, 3) scaled and padded to the input's size, still BGR uint8."""
    if (placement.width, placement.height) != placement.resized:
        pixels = cv2.resize(pixels, placement.resized, interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    p = placement
    if p.left or p.top or p.right or p.bottom:
        grey = (PADDING_VALUE,) * 3
        return cv2.copyMakeBorder(  # type: ignore[return-value]
            pixels, p.top, p.bottom, p.left, p.right, cv2.BORDER_CONSTANT, value=grey
        )
    return pixels


def to_tensor(pixels: NDArray[np.uint8], into: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """BGR uint8 (h, w, 3) to RGB float32 (3, h, w), divided by 255; in `into` if it is given."""
    planes = np.ascontiguousarray(pixels[:, :, ::-1].transpose(2, 0, 1))
    return np.asarray(np.divide(planes, np.float32(255), out=into, dtype=np.float32))


def preprocess(
    pixels: NDArray[np.uint8],
    input_size: tuple[int, int],
    resize: Resize,
    into: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.float32], Placement]:
    """The whole way: BGR uint8 (h, w, 3) to float32 (3, H, W) in 0 to 1, and how to map boxes back.

    into: where to put the tensor, (3, H, W); a new array by itself.
    """
    placement = place(pixels.shape[0], pixels.shape[1], input_size, resize)
    return to_tensor(render(pixels, placement), into), placement
