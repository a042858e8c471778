"""Pictures of the gallery: small JPEG copies of the images on which the sides differ most.

Writing and finding them again are both here, so that what one allows the other does too.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from parity.errors import EvidenceError
from parity.files import write_whole

MAX_EMBEDDED_BYTES = 400_000
_QUALITY = 85
_KINDS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}


def save_picture(image_bgr: NDArray[np.uint8], path: Path, max_side: int = 480) -> tuple[int, int]:
    """Write an image, shape (height, width, 3), as JPEG with its longer side at most `max_side` pixels.

    Never enlarges. Returns width and height as written. Raises EvidenceError when the array is not a
    colour image or `path` does not end in .jpg; OSError when the file cannot be written.
    """
    if image_bgr.dtype != np.uint8 or image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or image_bgr.size == 0:
        raise EvidenceError(
            f"array of type {image_bgr.dtype} and shape {image_bgr.shape}",
            where=str(path),
            expected="uint8 of shape (height, width, 3), blue first",
        )
    if path.suffix != ".jpg" or max_side < 1:
        raise EvidenceError(f"cannot write a picture with max_side {max_side} here", where=str(path))
    height, width = image_bgr.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = image_bgr if scale == 1.0 else cv2.resize(image_bgr, size, interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise EvidenceError("the picture could not be encoded as JPEG", where=str(path))
    write_whole(path, encoded.tobytes())
    return size


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What the page can show of one picture: the data URI, or the reason why there is none."""

    uri: str = ""
    reason: str = ""


def embedded(folder: Path, picture: str | None) -> Picture:
    """The picture at the relative path `picture` of the report's folder as a data URI.

    A path that leaves the folder, by `..`, by being absolute or through a link, is refused: the report of
    a stranger must not pull this machine's files into a page that is then passed on.
    """
    if picture is None:
        return Picture(reason="no picture was stored")
    try:
        path = _inside(folder, picture)
        if path is None:
            return Picture(reason="the picture's path leaves the report's folder and was refused")
        if path.stat().st_size > MAX_EMBEDDED_BYTES:
            return Picture(reason=f"the picture is larger than {MAX_EMBEDDED_BYTES // 1000} kB")
        data = path.read_bytes()
    except (OSError, ValueError, RuntimeError):
        # ValueError: a NUL in the path; RuntimeError: a loop of links on older Pythons.
        return Picture(reason="the picture is not in the report's folder or cannot be read")
    kind = next((kind for magic, kind in _KINDS.items() if data.startswith(magic)), None)
    if kind is None:
        return Picture(reason="the file is neither JPEG nor PNG")
    return Picture(uri=f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}")


def _inside(folder: Path, picture: str) -> Path | None:
    """Where the picture really lies, None when that is outside the folder."""
    parts = PurePosixPath(picture).parts
    root = folder.resolve()
    path = (root / picture).resolve()
    leaves = not parts or ".." in parts or "\\" in picture or not path.is_relative_to(root)
    return None if leaves else path
