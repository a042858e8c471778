"""Turns an image file into pixels, or into the status that says why not.

Both sides of a comparison read through here, so that neither can be shown a picture that the other one
was not. Everything that can be known from the header is checked before any pixel is decoded.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from parity.config import DatasetConfig
from parity.dataset.model import ImageProblem, ImageRecord
from parity.detections import Status

FORMATS = ("JPEG", "PNG", "BMP", "WEBP")
LEAST_SIDE = 10
"""Pixels. Ultralytics leaves smaller images out of its data sets too (`data/utils.py`, verify_image)."""
KIND_OF_MODE = {
    "RGB": "rgb",
    "1": "grey",
    "L": "grey",
    "LA": "rgba",
    "RGBA": "rgba",
    "P": "palette",
    "CMYK": "cmyk",
    "I": "16-bit",
    "I;16": "16-bit",
    "I;16B": "16-bit",
}
EXIF_ORIENTATION = 0x0112
PNG_BIT_DEPTH_OFFSET = 24


@dataclass(frozen=True, kw_only=True)
class Header:
    """What an image file says about itself. width and height are upright, after EXIF orientation."""

    format: str
    kind: str
    width: int
    height: int


class OpenCvReader:
    """Reads images as OpenCV does in a service, within the limits of the data set's configuration."""

    def __init__(self, config: DatasetConfig) -> None:
        self.accepted = {"rgb", *config.accept}
        self.most_bytes = round(config.max_megabytes * 1e6)
        self.most_pixels = round(config.max_megapixels * 1e6)

    def read(self, image: ImageRecord) -> NDArray[np.uint8]:
        """BGR pixels, uint8 (height, width, 3), upright. Raises ImageProblem with status and reason."""
        data, header = self._usable(image)
        pixels = _decode(data, header)
        _check_digest(image, data)
        return pixels

    def file(self, image: ImageRecord) -> bytes:
        """The file as it is, for who decodes it elsewhere. Raises ImageProblem for all but bad pixel data."""
        data, _ = self._usable(image)
        _check_digest(image, data)
        return data

    def _usable(self, image: ImageRecord) -> tuple[bytes, Header]:
        """The file and what its header says, within the limits and as annotated."""
        data = self._bytes(image.path)
        header = read_header(data)
        if header.width * header.height > self.most_pixels:
            raise ImageProblem(
                Status.TOO_LARGE,
                f"{header.width}x{header.height} pixels, limit {self.most_pixels / 1e6:g} megapixels",
            )
        if min(header.width, header.height) < LEAST_SIDE:
            raise ImageProblem(
                Status.UNSUPPORTED,
                f"{header.width}x{header.height} pixels, the shorter side must be {LEAST_SIDE}",
            )
        if header.kind not in self.accepted:
            raise ImageProblem(
                Status.UNSUPPORTED,
                f"{header.kind} image; 8-bit RGB expected (`accept` in the run file can allow it)",
            )
        if (header.width, header.height) != (image.width, image.height):
            raise ImageProblem(
                Status.WRONG_SIZE,
                f"{header.width}x{header.height} pixels, annotated as {image.width}x{image.height}",
            )
        return data, header

    def _bytes(self, path: Path) -> bytes:
        try:
            size = path.stat().st_size
            if size > self.most_bytes:
                raise ImageProblem(Status.TOO_LARGE, f"{size} bytes, limit {self.most_bytes}")
            return path.read_bytes()
        except OSError as error:
            raise ImageProblem(Status.MISSING, f"cannot be read: {error.strerror}") from error


def read_header(data: bytes) -> Header:
    """Format, kind and upright size of an encoded image, without decoding its pixels.

    Raises ImageProblem for what is not an image, is truncated, or is in a format outside `FORMATS`.
    """
    if not data:
        raise ImageProblem(Status.UNREADABLE, "an empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                width, height = picture.size
                turned = picture.format == "JPEG" and picture.getexif().get(EXIF_ORIENTATION, 1) in (
                    5,
                    6,
                    7,
                    8,
                )
                kind = KIND_OF_MODE.get(picture.mode, picture.mode)
                form = str(picture.format)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageProblem(Status.TOO_LARGE, "more pixels than can be decoded safely") from error
    except UnidentifiedImageError as error:
        raise ImageProblem(Status.UNREADABLE, f"not an image ({', '.join(FORMATS)} expected)") from error
    except Exception as error:  # Pillow's parsers raise many types on hostile headers
        if isinstance(error.__context__, UnidentifiedImageError):  # Ultralytics replaces PIL.Image.open
            raise ImageProblem(Status.UNREADABLE, f"not an image ({', '.join(FORMATS)} expected)") from error
        raise ImageProblem(Status.UNREADABLE, f"damaged image header ({type(error).__name__})") from error
    if form == "PNG" and data[PNG_BIT_DEPTH_OFFSET] == 16:
        kind = "16-bit"  # Pillow reports 16-bit colour as RGB
    if _truncated(form, data):
        raise ImageProblem(Status.UNREADABLE, "truncated: the file ends before the picture does")
    return Header(
        format=form, kind=kind, width=height if turned else width, height=width if turned else height
    )


def _truncated(form: str, data: bytes) -> bool:
    """Whether the end marker is missing. Entropy-coded JPEG data can hold neither of the two markers."""
    if form == "JPEG":
        return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
    if form == "PNG":
        return b"IEND" not in data[-64:]
    if form == "WEBP":
        return len(data) < int.from_bytes(data[4:8], "little") + 8
    return form == "BMP" and len(data) < int.from_bytes(data[2:6], "little")


def _check_digest(image: ImageRecord, data: bytes) -> None:
    if image.sha256 is not None and hashlib.sha256(data).hexdigest() != image.sha256:
        raise ImageProblem(Status.CHANGED, "not the file that the manifest was made for (SHA-256 differs)")


def _decode(data: bytes, header: Header) -> NDArray[np.uint8]:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageProblem(Status.UNREADABLE, "OpenCV refuses to decode it") from error
    if pixels is None:
        raise ImageProblem(Status.UNREADABLE, "OpenCV cannot decode it")
    if pixels.shape != (header.height, header.width, 3):
        raise ImageProblem(
            Status.WRONG_SIZE, f"decoded to {pixels.shape[1]}x{pixels.shape[0]}, the header says otherwise"
        )
    return np.asarray(pixels, np.uint8)
