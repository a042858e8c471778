"""Writes the street data: the committed COCO validation set, or a YOLO-format training set.

python -m demo.make_dataset coco datasets/street --images 500
python -m demo.make_dataset yolo /tmp/street-train --images 1400
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo.objects import CLASSES
from demo.street import Scene, compose

VALIDATION_SEEDS = 1_000_000
TRAINING_SEEDS = 2_000_000
EXIF_ORIENTATION = 0x0112
TURNS = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_COUNTERCLOCKWISE, 8: cv2.ROTATE_90_CLOCKWISE}
"""EXIF orientation to the turn that stored pixels need, so that who obeys the tag sees them upright."""


def scene_for(index: int, first_seed: int) -> Scene:
    """Every 25th image is empty and every 20th has a crowd region; the rest is the generator's choice."""
    return compose(first_seed + index, empty=index % 25 == 7, crowd=index % 20 == 3)


def orientation_for(index: int) -> int:
    """Every 24th image is stored turned, with the EXIF tag that says so; 1 means upright."""
    return (6, 8, 3)[index // 24 % 3] if index % 24 == 11 else 1


def jpeg(pixels: NDArray[np.uint8], index: int) -> bytes:
    """Encode a BGR picture; quality and orientation depend on the index alone."""
    orientation = orientation_for(index)
    stored = cv2.rotate(pixels, TURNS[orientation]) if orientation in TURNS else pixels
    exif = Image.Exif()
    if orientation != 1:
        exif[EXIF_ORIENTATION] = orientation
    buffer = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(stored[:, :, ::-1]))
    picture.save(buffer, "JPEG", quality=(92, 85, 75)[index % 3], exif=exif)
    return buffer.getvalue()


def write_coco(folder: Path, count: int) -> None:
    """Write images, `annotations.json` and `manifest.toml` with the SHA-256 of every file."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    numbers = {name: i for i, name in enumerate(CLASSES, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    digests: dict[str, str] = {}
    for index in range(count):
        scene, name = scene_for(index, VALIDATION_SEEDS), f"{index + 1:06d}.jpg"
        data = jpeg(scene.pixels, index)
        (folder / "images" / name).write_bytes(data)
        digests[f"images/{name}"] = hashlib.sha256(data).hexdigest()
        height, width = scene.pixels.shape[:2]
        images.append({"id": index + 1, "file_name": name, "width": width, "height": height})
        for item in scene.annotations:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index + 1,
                    "category_id": numbers[item.name],
                    "bbox": list(item.box),
                    "area": item.box[2] * item.box[3],
                    "iscrowd": int(item.crowd),
                }
            )
    document = {
        "info": {"description": "Drawn street scenes, made by demo/make_dataset.py", "version": "1"},
        "licenses": [{"id": 1, "name": "Apache-2.0"}],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for name, i in numbers.items()],
    }
    text = json.dumps(document, separators=(",", ":")).replace('{"id"', '\n{"id"') + "\n"
    (folder / "annotations.json").write_text(text)
    digests["annotations.json"] = hashlib.sha256(text.encode()).hexdigest()
    lines = [
        'name = "street"',
        'description = "Drawn street scenes, eight classes; made by demo/make_dataset.py"',
        'license = "Apache-2.0"',
        'annotations = "annotations.json"',
        'images = "images"',
        "",
        "[sha256]",
        *(f'"{path}" = "{digest}"' for path, digest in sorted(digests.items())),
    ]
    (folder / "manifest.toml").write_text("\n".join(lines) + "\n")


def write_yolo(folder: Path, count: int) -> None:
    """Write `images/`, `labels/` and `data.yaml`; crowd regions get no label, as Ultralytics expects."""
    for split, first, number in (("train", TRAINING_SEEDS, count), ("val", TRAINING_SEEDS + count, 60)):
        (folder / "images" / split).mkdir(parents=True, exist_ok=True)
        (folder / "labels" / split).mkdir(parents=True, exist_ok=True)
        for index in range(number):
            scene = scene_for(index, first)
            height, width = scene.pixels.shape[:2]
            rows = []
            for item in scene.annotations:
                if item.crowd:
                    continue
                x, y, w, h = item.box
                number_of_class = list(CLASSES).index(item.name)
                centre = (x + w / 2) / width, (y + h / 2) / height
                rows.append(
                    f"{number_of_class} {centre[0]:.6f} {centre[1]:.6f} {w / width:.6f} {h / height:.6f}"
                )
            (folder / "images" / split / f"{index:06d}.jpg").write_bytes(jpeg(scene.pixels, 0))
            (folder / "labels" / split / f"{index:06d}.txt").write_text("\n".join(rows))
    names = "\n".join(f"  {i}: {name}" for i, name in enumerate(CLASSES))
    (folder / "data.yaml").write_text(
        f"path: {folder.resolve()}\ntrain: images/train\nval: images/val\nnames:\n{names}\n"
    )


def main() -> None:
    """Command line of this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("format", choices=("coco", "yolo"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=500)
    arguments = parser.parse_args()
    write = write_coco if arguments.format == "coco" else write_yolo
    write(arguments.folder, arguments.images)


if __name__ == "__main__":
    main()
