"""The rows of images.csv and differences.csv, counted by hand, and the pictures that are chosen by them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from parity import agreement
from parity.agreement import Classified
from parity.assess import gallery, tables
from parity.config import DatasetConfig
from parity.dataset import Dataset, OpenCvReader
from parity.detections import Predictions
from parity.matching import match
from parity.report.tables import DIFFERENCES_COLUMNS, IMAGES_COLUMNS
from tests import assess_samples as made
from tests.assess_samples import BOX, TRUE

MOVED = (14.0, 10.0, 54.0, 50.0)
FAR = (60.0, 10.0, 95.0, 40.0)
CANDIDATE = (
    (1, 1, 0.9, BOX),  # as it was
    (2, 1, 0.9, MOVED),  # IoU 36/44
    (2, 2, 0.8, FAR),  # extra, of another class
    (3, 1, 0.6, BOX),  # rescored
)


def sides(failed: tuple[int, ...] = (4,)) -> tuple[Predictions, Predictions, Classified]:
    before, after = made.side(TRUE), made.side(CANDIDATE, failed=failed)
    both = before.answered & after.answered
    matching = match(before.detections, after.detections, image_ids=both)
    return before, after, agreement.classify(matching)


def test_every_image_has_a_row_and_one_that_a_side_did_not_answer_has_no_counts() -> None:
    frame = tables.images("m", *sides()).set_index("image_id")
    assert ["image_id", *frame.columns] == sorted(IMAGES_COLUMNS, key=["image_id", *frame.columns].index)
    counts = frame[
        ["reference_detections", "candidate_detections", "matched", "missing", "extra", "moved", "rescored"]
    ]
    assert counts.loc[1].tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert counts.loc[2].tolist() == [1, 2, 1, 0, 1, 1, 0]
    assert counts.loc[3].tolist() == [1, 1, 1, 0, 0, 0, 1]
    assert counts.loc[4].isna().all()
    assert frame.loc[4, "candidate_status"] == "failed"
    assert frame.loc[4, "candidate_message"] == "no answer"
    assert frame.loc[2, "lowest_iou"] == pytest.approx(36 / 44)
    assert pd.isna(frame.loc[4, "lowest_iou"])


def test_an_image_that_is_answered_with_nothing_has_counts() -> None:
    frame = tables.images("m", *sides(failed=())).set_index("image_id")
    assert frame.loc[4, ["reference_detections", "candidate_detections", "missing"]].tolist() == [1, 0, 1]


def test_differences_name_image_and_class(tmp_path: Path) -> None:
    frame = tables.differences("m", made.dataset(tmp_path), sides()[2])
    assert list(frame.columns) == list(DIFFERENCES_COLUMNS)
    assert sorted(zip(frame["file_name"], frame["category"], strict=True)) == [
        ("2.png", "cat"),
        ("2.png", "dog"),
        ("3.png", "cat"),
    ]


def test_nothing_differs_when_nothing_is_there(tmp_path: Path) -> None:
    nothing = made.side(())
    matching = match(nothing.detections, nothing.detections, image_ids=made.IDS)
    classified = agreement.classify(matching)
    assert len(tables.differences("m", made.dataset(tmp_path), classified)) == 0
    frame = tables.images("m", nothing, nothing, classified)
    assert frame["matched"].tolist() == [0, 0, 0, 0]


@pytest.fixture
def four(tmp_path: Path) -> Dataset:
    return made.dataset(tmp_path)


def test_the_worst_images_come_first_with_their_pictures(tmp_path: Path, four: Dataset) -> None:
    before, after, classified = sides(failed=())
    rows = tables.images("m", before, after, classified)
    (tmp_path / "3.png").write_bytes(b"no picture any more")
    reader = OpenCvReader(DatasetConfig(path=tmp_path))
    found = gallery.worst_images("m", four, reader, rows, classified, tmp_path / "out")
    assert [(image.image_id, image.differing) for image in found] == [(2, 2), (3, 1), (4, 1), (1, 0)]
    assert [image.picture for image in found] == ["images/m-2.jpg", None, "images/m-4.jpg", "images/m-1.jpg"]
    assert (tmp_path / "out" / "images" / "m-2.jpg").is_file()
    assert [(box.side, box.kind, box.name) for box in found[0].boxes] == [
        ("reference", "moved", "cat"),
        ("candidate", "moved", "cat"),
        ("candidate", "extra", "dog"),
    ]
