"""Every kind of bad picture gets its status; good ones come out as OpenCV decodes them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from parity.config import DatasetConfig
from parity.dataset import ImageProblem, ImageRecord, OpenCvReader
from parity.detections import Status


def encoded(
    mode: str = "RGB", form: str = "JPEG", size: tuple[int, int] = (40, 30), **options: object
) -> bytes:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def record(path: Path, width: int = 40, height: int = 30) -> ImageRecord:
    return ImageRecord(image_id=1, file_name=path.name, path=path, width=width, height=height)


def status_of(tmp_path: Path, data: bytes, *, width: int = 40, height: int = 30, **limits: object) -> Status:
    path = tmp_path / "picture"
    path.write_bytes(data)
    with pytest.raises(ImageProblem) as caught:
        OpenCvReader(DatasetConfig(path=tmp_path, **limits)).read(record(path, width, height))
    assert caught.value.message
    return caught.value.status


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "WEBP"])
def test_good_images_decode_as_opencv_does(tmp_path: Path, form: str) -> None:
    data = encoded(form=form)
    path = tmp_path / "picture"
    path.write_bytes(data)
    pixels = OpenCvReader(DatasetConfig(path=tmp_path)).read(record(path))
    np.testing.assert_array_equal(pixels, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


def test_a_file_comes_as_it_is_within_the_same_limits(tmp_path: Path) -> None:
    data = encoded()
    path = tmp_path / "picture"
    path.write_bytes(data)
    reader = OpenCvReader(DatasetConfig(path=tmp_path))
    assert reader.file(record(path)) == data
    good = replace(record(path), sha256=hashlib.sha256(data).hexdigest())
    assert reader.file(good) == data
    for bad, status in (
        (record(path, width=41), Status.WRONG_SIZE),
        (record(tmp_path / "gone"), Status.MISSING),
        (replace(record(path), sha256="0" * 64), Status.CHANGED),
    ):
        with pytest.raises(ImageProblem) as caught:
            reader.file(bad)
        assert caught.value.status is status


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_truncated_is_unreadable(tmp_path: Path, form: str, share: float) -> None:
    data = encoded(form=form)
    assert status_of(tmp_path, data[: int(len(data) * share)]) is Status.UNREADABLE


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n" + bytes(40), bytes(5000)]
)
def test_not_an_image_is_unreadable(tmp_path: Path, data: bytes) -> None:
    assert status_of(tmp_path, data) is Status.UNREADABLE


@pytest.mark.parametrize(
    ("mode", "form", "kind"),
    [("L", "JPEG", "grey"), ("CMYK", "JPEG", "cmyk"), ("RGBA", "PNG", "rgba"), ("P", "PNG", "palette")],
)
def test_other_kinds_are_unsupported_until_accepted(tmp_path: Path, mode: str, form: str, kind: str) -> None:
    data = encoded(mode, form)
    assert status_of(tmp_path, data) is Status.UNSUPPORTED
    pixels = OpenCvReader(DatasetConfig(path=tmp_path, accept=(kind,))).read(record(tmp_path / "picture"))
    assert pixels.shape == (30, 40, 3)


@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 3)])
def test_16_bit_is_unsupported(tmp_path: Path, shape: tuple[int, ...]) -> None:
    data = cv2.imencode(".png", np.full(shape, 40_000, np.uint16))[1].tobytes()
    assert status_of(tmp_path, data) is Status.UNSUPPORTED


def test_one_pixel_is_unsupported(tmp_path: Path) -> None:
    assert status_of(tmp_path, encoded(size=(1, 1)), width=1, height=1) is Status.UNSUPPORTED


def test_limits_hold_before_decoding(tmp_path: Path) -> None:
    assert status_of(tmp_path, encoded(), max_megapixels=0.001) is Status.TOO_LARGE
    assert status_of(tmp_path, encoded(), max_megabytes=0.0001) is Status.TOO_LARGE


def test_a_bomb_is_too_large(tmp_path: Path) -> None:
    data = bytearray(encoded(form="PNG"))
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    path = tmp_path / "picture"
    path.write_bytes(bytes(data))
    with pytest.raises(ImageProblem) as caught:
        OpenCvReader(DatasetConfig(path=tmp_path)).read(record(path))
    assert caught.value.status in (Status.TOO_LARGE, Status.UNREADABLE)


def test_size_other_than_annotated_is_wrong_size(tmp_path: Path) -> None:
    assert status_of(tmp_path, encoded(), width=30, height=40) is Status.WRONG_SIZE


def test_exif_orientation_is_obeyed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "picture"
    path.write_bytes(encoded(exif=exif))
    pixels = OpenCvReader(DatasetConfig(path=tmp_path)).read(record(path, width=30, height=40))
    assert pixels.shape == (40, 30, 3)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImageProblem) as caught:
        OpenCvReader(DatasetConfig(path=tmp_path)).read(record(tmp_path / "nothing.jpg"))
    assert caught.value.status is Status.MISSING
