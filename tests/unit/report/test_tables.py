"""The CSV files: formula guards, undefined values, columns."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from parity.errors import EvidenceError
from parity.report import tables
from parity.report.document import Outcome
from tests import report_samples as samples


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\uff1d1", "-0.5"]
)
def test_text_cannot_become_a_formula(text: str) -> None:
    assert tables.safe_cell(text).startswith("'")


@pytest.mark.parametrize("text", ["car", "1-2", "a=b", "", "'quoted'", "<script>"])
def test_other_text_is_left_alone(text: str) -> None:
    assert tables.safe_cell(text) == text


def test_cells_have_no_line_breaks_or_secrets() -> None:
    assert tables.safe_cell("two\nlines\x07") == "two lines<U+0007>"
    assert "hunter2" not in tables.safe_cell("grpc://ops:hunter2@host")


def test_criteria_round_trip() -> None:
    report = samples.report([samples.pair(outcome=Outcome.FAIL), samples.pair("=evil")])
    frame = pd.read_csv(io.StringIO(tables.criteria_csv(report)))
    assert tuple(frame.columns) == tables.CRITERIA_COLUMNS
    assert len(frame) == 8
    assert frame.loc[2, "observed"] == -2.914
    assert frame.loc[2, "interval_low"] == -3.377
    assert frame["interval_low"].isna().tolist()[:3] == [True, True, False]
    assert set(frame["model"]) == {"yolo26n", "'=evil"}


def test_criteria_without_pairs_is_a_header() -> None:
    assert tables.criteria_csv(samples.stopped()) == ",".join(tables.CRITERIA_COLUMNS) + "\n"


def differences(**changes: object) -> pd.DataFrame:
    row: dict[str, object] = dict.fromkeys(tables.DIFFERENCES_COLUMNS, 1.5)
    row |= {"model": "m", "file_name": '=a,"b".jpg', "kind": "missing", "category": "-5", "image_id": 3}
    frame: pd.DataFrame = pd.DataFrame([{**row, **changes}])
    return frame


def test_numbers_stay_numbers(tmp_path: Path) -> None:
    frame = differences(reference_x1=-0.5, candidate_score=np.nan, iou=None, category_id=pd.NA)
    frame["reference_score"] = np.array([0.1], np.float32)
    tables.write_differences(frame, tmp_path / "differences.csv")
    (row,) = csv.DictReader((tmp_path / "differences.csv").read_text("utf-8").splitlines())
    assert row["reference_x1"] == "-0.5"
    assert row["reference_score"] == "0.1"
    assert row["candidate_score"] == row["iou"] == row["category_id"] == ""
    assert row["category"] == "'-5"
    assert row["file_name"] == '\'=a,"b".jpg'
    assert row["image_id"] == "3"


def test_infinite_numbers_and_wrong_columns_are_errors(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="infinite"):
        tables.write_differences(differences(iou=np.inf), tmp_path / "a.csv")
    with pytest.raises(EvidenceError, match="iou"):
        tables.write_differences(differences().drop(columns="iou"), tmp_path / "a.csv")
    with pytest.raises(EvidenceError, match="stranger"):
        tables.write_differences(differences(stranger=1), tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_empty_frames_and_column_order(tmp_path: Path) -> None:
    tables.write_images(pd.DataFrame(columns=list(tables.IMAGES_COLUMNS[::-1])), tmp_path / "images.csv")
    assert (tmp_path / "images.csv").read_text() == ",".join(tables.IMAGES_COLUMNS) + "\n"


def test_every_column_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "report.md").read_text("utf-8")
    for columns in (tables.CRITERIA_COLUMNS, tables.IMAGES_COLUMNS, tables.DIFFERENCES_COLUMNS):
        assert [name for name in columns if f"`{name}`" not in text] == []
