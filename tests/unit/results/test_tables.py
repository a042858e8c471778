from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parity import detections
from parity.dataset.annotations import Annotations
from parity.detections import Predictions, build
from parity.errors import EvidenceError
from parity.provenance import sha256_of_file
from parity.results import read


def tables(**changes: Any) -> Predictions:
    columns = {
        "image_id": [7, 7],
        "category_id": [1, 2],
        "score": [0.9, 0.1],
        "x1": [0.1, 1.0],
        "y1": [0.2, 2.0],
        "x2": [100.3, 1.0],
        "y2": [50.7, 2.0],
        **changes,
    }
    count = len(columns.pop("ids", [7, 8]))
    ids = changes.get("ids", [7, 8])
    images = {
        "image_id": ids,
        "file_name": [f"{i}.jpg" for i in ids],
        "width": [640] * count,
        "height": [480] * count,
        "status": ["ok"] * count,
        "message": [""] * count,
        "nonfinite": [0] * count,
    }
    return build(columns, images)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    folder = tmp_path / "tables"
    detections.write(tables(), folder, "candidate")
    return folder / "candidate.detections.parquet"


def refused(path: Path, annotations: Annotations) -> str:
    with pytest.raises(EvidenceError) as caught:
        read(path, annotations)
    return str(caught.value)


def test_a_file_and_its_folder_give_the_same(stored: Path, annotations: Annotations) -> None:
    results, of_folder = read(stored, annotations), read(stored.parent, annotations)
    assert results.kind == of_folder.kind == "parity-tables"
    assert results.path == of_folder.path == stored
    assert results.sha256 == of_folder.sha256 == sha256_of_file(stored)
    assert results.predictions is not None
    assert results.predictions.attempted == {7, 8}
    assert results.image_ids.tolist() == of_folder.image_ids.tolist() == [7, 7]
    assert results.category_ids.tolist() == [1, 2]


def test_corners_are_subtracted_in_float64(stored: Path, annotations: Annotations) -> None:
    results = read(stored, annotations)
    x1, y1, x2, y2 = (float(np.float32(v)) for v in (0.1, 0.2, 100.3, 50.7))
    assert results.boxes.tolist() == [[x1, y1, x2 - x1, y2 - y1], [1, 2, 0, 0]]
    assert results.scores.tolist() == [float(np.float32(0.9)), float(np.float32(0.1))]
    assert all(numbers.dtype == np.dtype(np.float64) for numbers in (results.boxes, results.scores))


def test_tables_without_detections(tmp_path: Path, annotations: Annotations) -> None:
    empty: dict[str, list[float]] = {
        n: [] for n in ("image_id", "category_id", "score", "x1", "y1", "x2", "y2")
    }
    detections.write(tables(**empty), tmp_path / "t", "reference")
    assert read(tmp_path / "t", annotations).boxes.shape == (0, 4)


def test_two_pairs_in_a_folder_are_ambiguous(stored: Path, annotations: Annotations) -> None:
    detections.write(tables(), stored.parent, "reference")
    found = refused(stored.parent, annotations)
    assert "a folder with 2 detection tables (candidate, reference)" in found
    assert "name the file of the detection table itself" in found


def test_a_folder_without_tables(tmp_path: Path, annotations: Annotations) -> None:
    assert "a folder with no detection table" in refused(tmp_path, annotations)


def test_a_missing_images_table(stored: Path, annotations: Annotations) -> None:
    (stored.parent / "candidate.images.parquet").unlink()
    for path in (stored, stored.parent):
        assert "candidate.images.parquet: no such file" in refused(path, annotations)


def test_names_that_are_no_detection_table(stored: Path, annotations: Annotations) -> None:
    assert "an images table" in refused(stored.parent / "candidate.images.parquet", annotations)
    other = stored.rename(stored.parent / "other.parquet")
    assert "not the name of a detection table" in refused(other, annotations)
    assert "no such file" in refused(stored, annotations)
    assert "no such file" in refused(stored.parent / "nothing.parquet", annotations)
    json_named = other.rename(stored.parent / "x.json")
    assert "a Parquet file" in refused(json_named, annotations)


def test_folders_in_place_of_files(stored: Path, annotations: Annotations) -> None:
    stored.unlink()
    stored.mkdir()
    assert "a folder with no detection table" in refused(stored, annotations)
    assert "no such file" in refused(stored.parent, annotations)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"[]", b"PAR1" + bytes(100) + b"PAR1"])
def test_foreign_bytes(stored: Path, annotations: Annotations, content: bytes) -> None:
    stored.write_bytes(content)
    assert "not a readable Parquet file" in refused(stored, annotations)


def test_a_truncated_table(stored: Path, annotations: Annotations) -> None:
    stored.write_bytes(stored.read_bytes()[:-20])
    assert "not a readable Parquet file" in refused(stored, annotations)


def test_a_foreign_table(stored: Path, annotations: Annotations) -> None:
    pq.write_table(pa.table({"image_id": [7], "label": ["x"]}), stored)
    assert "the detection table has columns ['image_id', 'label']" in refused(stored, annotations)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": [7, 70, 71]}, r"2 rows of the images table name 2 unknown image ids: 70, 71"),
        ({"image_id": [7, 9], "ids": [7, 9]}, r"1 detections name 1 unknown image id: 9"),
        ({"category_id": [1, 4]}, r"1 detection with 1 unknown category id: 4[\s\S]*look shifted"),
        ({"x2": [0.0, 1.0]}, r"1 detection with a negative width or height: \[0\]"),
        ({"score": [1.5, 0.1]}, r"1 detection with a score outside 0 to 1: \[0\] \(1\.5\)"),
    ],
)
def test_content_that_does_not_fit(
    tmp_path: Path, annotations: Annotations, changes: dict[str, Any], message: str
) -> None:
    detections.write(tables(**changes), tmp_path / "t", "reference")
    found = refused(tmp_path / "t", annotations)
    assert re.search(message, found), found
