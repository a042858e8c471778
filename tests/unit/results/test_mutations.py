"""Whatever bytes a file holds, reading it ends in Results or in a ParityError with a printable message."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parity.dataset.annotations import Annotations, read_annotations
from parity.detections import build
from parity.errors import ParityError
from parity.results import Results, read

ROW = {"image_id": 7, "category_id": 2, "bbox": [1, 2.5, 3e1, 4], "score": 0.25, "file_name": "a.jpg"}
LISTING = json.dumps([ROW, {**ROW, "image_id": "b"}, {**ROW, "score": 1}]).encode()
DOCUMENT = {
    "images": [{"id": 7, "file_name": "a.jpg", "width": 64, "height": 48, "scene": "s"}],
    "categories": [{"id": 2, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4], "segmentation": [[1, 2]]}
    ],
}
PIECES = st.sampled_from(
    [
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"null",
        b"true",
        b"{}",
        b"[",
        b"]",
        b'"',
        b"\\ud800",
        b"\xff",
        b",",
        b"",
    ]
) | st.binary(max_size=6)
settings.register_profile("files", suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@st.composite
def mutated(draw: st.DrawFn, original: bytes) -> bytes:
    """The original with some stretches replaced, and perhaps cut off."""
    data = original
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        data = data[:start] + draw(PIECES) + data[end:]
    return data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data


def survives(attempt: Callable[[], Results | Annotations]) -> None:
    try:
        result = attempt()
    except ParityError as error:
        str(error).encode()  # raises when it cannot be printed
        return
    if isinstance(result, Results):
        n = len(result.scores)
        assert result.boxes.shape == (n, 4) and len(result.image_ids) == len(result.category_ids) == n
        assert np.isfinite(result.boxes).all() and ((result.scores >= 0) & (result.scores <= 1)).all()
        assert set(result.image_ids.tolist()) <= {7, 8} and set(result.category_ids.tolist()) <= {1, 2, 3}


@settings(settings.get_profile("files"), max_examples=400)
@given(data=mutated(LISTING))
def test_lists(annotations: Annotations, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "mutated.json"
    path.write_bytes(data)
    survives(lambda: read(path, annotations))


@settings(settings.get_profile("files"), max_examples=300)
@given(data=mutated(json.dumps(DOCUMENT).encode()), group=st.sampled_from([None, "scene", "id"]))
def test_annotations(tmp_path: Path, data: bytes, group: str | None) -> None:
    path = tmp_path / "mutated.json"
    path.write_bytes(data)
    survives(lambda: read_annotations(path, group))


def stored() -> tuple[bytes, bytes]:
    """A detection table and an images table as Parquet."""
    columns = {
        "image_id": [7],
        "category_id": [2],
        "score": [0.5],
        "x1": [1],
        "y1": [1],
        "x2": [9],
        "y2": [9],
    }
    images = {"image_id": [7], "file_name": ["a.jpg"], "width": [64], "height": [48], "status": ["ok"]}
    predictions = build(columns, {**images, "message": [""], "nonfinite": [0]})
    files = []
    for table in (predictions.detections, predictions.images):
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        files.append(buffer.getvalue())
    return files[0], files[1]


TABLES = stored()


@settings(settings.get_profile("files"), max_examples=400)
@given(detections=st.just(TABLES[0]) | mutated(TABLES[0]), images=st.just(TABLES[1]) | mutated(TABLES[1]))
def test_tables(annotations: Annotations, tmp_path: Path, detections: bytes, images: bytes) -> None:
    (tmp_path / "x.detections.parquet").write_bytes(detections)
    (tmp_path / "x.images.parquet").write_bytes(images)
    survives(lambda: read(tmp_path / "x.detections.parquet", annotations))
