"""The input tensor equals Ultralytics' to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.runners.preprocess import letterbox_placement, place, preprocess, render, stretch_placement

SIZES = [
    (240, 320),
    (320, 240),
    (300, 300),
    (200, 480),
    (400, 270),
    (256, 256),
    (10, 999),
    (999, 10),
    (33, 17),
]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def ultralytics_tensor(pixels: np.ndarray, size: tuple[int, int], stretch: bool) -> np.ndarray:
    torch = pytest.importorskip("torch")
    augment = pytest.importorskip("ultralytics.data.augment")
    image = augment.LetterBox(size, auto=False, scale_fill=stretch, stride=32)(image=pixels)
    tensor = torch.from_numpy(image).unsqueeze(0).permute(0, 3, 1, 2).contiguous().flip(1)
    return np.asarray(tensor.float().div_(255)[0].numpy())


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize("size", [(256, 256), (320, 640)])
def test_tensor_equals_ultralytics_to_the_bit(
    height: int, width: int, resize: str, size: tuple[int, int]
) -> None:
    pixels = picture(height, width)
    ours, _ = preprocess(pixels, size, resize)  # type: ignore[arg-type]
    theirs = ultralytics_tensor(pixels, size, resize == "stretch")
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def test_channels_come_out_as_rgb() -> None:
    blue = np.zeros((32, 32, 3), np.uint8)
    blue[:, :, 0] = 255  # BGR
    tensor, _ = preprocess(blue, (32, 32), "letterbox")
    assert tensor[2].min() == 1.0
    assert tensor[:2].max() == 0.0


def test_bars_of_the_letterbox_are_grey_114() -> None:
    placement = letterbox_placement(10, 20, (64, 64))
    canvas = render(np.zeros((10, 20, 3), np.uint8), placement)
    assert canvas.shape == (64, 64, 3)
    assert set(np.unique(canvas)) == {0, 114}
    assert (canvas[0] == 114).all()


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([(256, 256), (640, 640), (320, 640)]))
def test_placements_always_fill_the_input(height: int, width: int, size: tuple[int, int]) -> None:
    for placement in (letterbox_placement(height, width, size), stretch_placement(height, width, size)):
        assert placement.resized[0] + placement.left + placement.right == size[1]
        assert placement.resized[1] + placement.top + placement.bottom == size[0]
        assert min(placement.left, placement.top, placement.right, placement.bottom) >= 0
        assert min(placement.resized) >= 1


def test_place_follows_the_rule_by_name() -> None:
    assert place(10, 20, (64, 64), "stretch").resized == (64, 64)
    assert place(10, 20, (64, 64), "letterbox").resized == (64, 32)
