"""A small world for runner http-service: two pictures, a model of three classes, answers that fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from parity.config import DatasetConfig, ModelConfig, validate
from parity.dataset import ImageRecord, OpenCvReader
from parity.runners import RunnerContext
from parity.runners.http_service import HttpServiceRunner, HttpServiceSettings

NAMES = ("car", "bus", "traffic light")
WIDTH, HEIGHT = 64, 48
ONE = {"class_name": "bus", "confidence": 0.75, "box": [1.5, 2.0, 30.25, 40.0]}
ANSWER: dict[str, Any] = {"detections": [ONE]}


def settings(**changes: Any) -> HttpServiceSettings:
    values = {"url": "http://127.0.0.1:1", "box_format": "xyxy", "timeout": 20.0, **changes}
    return validate(HttpServiceSettings, values)


def picture(folder: Path, number: int = 1) -> ImageRecord:
    path = folder / f"{number}.png"
    pixels = np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return ImageRecord(image_id=number, file_name=path.name, path=path, width=WIDTH, height=HEIGHT)


def context(folder: Path) -> RunnerContext:
    model = ModelConfig.model_validate(
        {
            "family": "rtdetr",
            "weights": folder / "w.pt",
            "input_size": (64, 64),
            "resize": "stretch",
            "head": "rtdetr",
            "names": NAMES,
        }
    )
    return RunnerContext(
        name="mine",
        model=model,
        reader=OpenCvReader(DatasetConfig(path=folder)),
        score_floor=0.001,
        max_detections=300,
        sample=(),
        cache=folder,
        repository=folder,
        logs=folder,
    )


def runner(folder: Path, url: str, **changes: Any) -> HttpServiceRunner:
    return HttpServiceRunner(context(folder), settings(**{"url": url, "patience": 0, **changes}))
