"""Pictures are written small and whole, and read only from inside the report's folder."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from parity.errors import EvidenceError
from parity.report.gallery import MAX_EMBEDDED_BYTES, embedded, save_picture


def test_thumbnail_size_and_colour(tmp_path: Path) -> None:
    image = np.zeros((300, 900, 3), np.uint8)
    image[..., 2] = 200
    assert save_picture(image, tmp_path / "pictures" / "a.jpg") == (480, 160)
    read = cv2.imread(str(tmp_path / "pictures" / "a.jpg"))
    assert read is not None
    assert read.shape == (160, 480, 3)
    assert abs(int(read[80, 240, 2]) - 200) < 5
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["a.jpg"]


def test_small_and_odd_pictures_are_not_enlarged(tmp_path: Path) -> None:
    assert save_picture(np.zeros((1, 1, 3), np.uint8), tmp_path / "a.jpg") == (1, 1)
    assert save_picture(np.zeros((1, 5000, 3), np.uint8), tmp_path / "b.jpg") == (480, 1)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3)),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, image: np.ndarray) -> None:
    with pytest.raises(EvidenceError):
        save_picture(image, tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


def test_other_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError):
        save_picture(np.zeros((4, 4, 3), np.uint8), tmp_path / "a.html")


def test_embedding(tmp_path: Path) -> None:
    save_picture(np.zeros((4, 4, 3), np.uint8), tmp_path / "pictures" / "1.jpg")
    assert embedded(tmp_path, "pictures/1.jpg").uri.startswith("data:image/jpeg;base64,/9j/")


def test_what_is_not_embedded(tmp_path: Path) -> None:
    root = tmp_path / "run"
    save_picture(np.zeros((4, 4, 3), np.uint8), tmp_path / "secret.jpg")
    save_picture(np.zeros((4, 4, 3), np.uint8), root / "1.jpg")
    (root / "text.jpg").write_text("not a picture")
    (root / "large.jpg").write_bytes(b"\xff\xd8\xff" + bytes(MAX_EMBEDDED_BYTES))
    (root / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (root / "loop.jpg").symlink_to(root / "loop.jpg")
    leaving = [
        "../secret.jpg",
        str(tmp_path / "secret.jpg"),
        "a/../../secret.jpg",
        "link.jpg",
        "a\\..\\b.jpg",
        "",
    ]
    for name in leaving:
        assert not embedded(root, name).uri
        assert "refused" in embedded(root, name).reason
    for missing in ("text.jpg", "large.jpg", "loop.jpg", "nothing.jpg", "nul\x00.jpg", ".", None):
        assert not embedded(root, missing).uri
        assert embedded(root, missing).reason
