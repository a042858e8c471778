"""Serving in the report: latency.csv, the plot, and a page of a load run, which has no accuracy."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from parity.load.plan import closed, opened
from parity.report import write_report
from parity.report.document import Outcome, Report
from parity.report.html import render_html
from parity.report.schema import read_json
from parity.report.serving import LATENCY_COLUMNS, latency_plot, latency_rows
from parity.serving.evidence import load_name
from tests import report_samples as samples
from tests.serving_report_samples import serving, step


@pytest.fixture
def report() -> Report:
    judged = [samples.criterion("p95_latency", Outcome.PASS, observed=0.9, limit=1.0, interval=(0.8, 0.97))]
    pair = samples.pair("yolo26", criteria=judged, images=0).model_copy(
        update={"accuracy": None, "agreement": None, "estimates": [], "serving": serving()}
    )
    return samples.report([pair])


def test_latency_csv_has_one_row_a_step(report: Report, tmp_path: Path) -> None:
    write_report(report, [], [], tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        "criteria.csv", "latency.csv", "report.json", "index.html",
    }  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "latency.csv").read_text("utf-8").splitlines()))
    assert tuple(rows[0]) == LATENCY_COLUMNS and len(rows) == 13
    first, last = rows[0], rows[-1]
    assert first["side"] == "reference" and first["concurrency"] == "1" and first["server_queue_ms"] == ""
    assert last["rate_per_s"] == "40.0" and last["arrivals"] == "poisson" and last["concurrency"] == ""
    assert last["failed"] == "10" and last["stable"] == "false"
    assert float(last["p95_low_ms"]) < float(last["p95_ms"]) < float(last["p95_high_ms"])
    assert last["p99_low_ms"] == "" and float(last["mean_batch"]) == pytest.approx(600 / 220)


def test_the_report_is_read_back_as_it_was(report: Report, tmp_path: Path) -> None:
    write_report(report, [], [], tmp_path)
    again = read_json(tmp_path / "report.json")
    assert again.pairs[0].serving == report.pairs[0].serving and again.pairs[0].accuracy is None


def test_a_step_without_answers_has_empty_cells() -> None:
    nothing = step(ok=0, failed={"unavailable": 600}, latency=None, throughput=None, server=None, gpu=None)
    row = dict(zip(LATENCY_COLUMNS, next(latency_rows("m", [nothing])), strict=True))
    assert row["failed"] == 600
    assert all(row[name] is None for name in LATENCY_COLUMNS[12:29]) and row["mean_batch"] is None


def test_the_plot_is_an_svg_and_the_same_for_the_same_steps() -> None:
    drawn = latency_plot(serving().steps)
    assert drawn is not None and drawn == latency_plot(serving().steps)
    assert ET.fromstring(drawn).tag.endswith("svg")  # noqa: S314  # our own
    assert b"<script" not in drawn


def test_nothing_answered_is_no_plot() -> None:
    assert latency_plot([]) is None
    assert latency_plot([step(latency=None, throughput=None, ok=0)]) is None


def test_one_side_or_one_answer_is_drawn_too() -> None:
    assert latency_plot([step("reference")]) is not None


def test_a_load_is_told_in_words() -> None:
    assert load_name(step()) == load_name(closed(4)) == closed(4).label == "4 at a time"
    assert load_name(serving().steps[-1]) == opened(40).label == "40/s, poisson"


def test_the_page_of_a_load_run_has_serving_and_claims_no_accuracy(report: Report, tmp_path: Path) -> None:
    page = render_html(report, tmp_path)
    for shown in (
        "16 at a time", "40/s, poisson", "p95 still rose", "7 deadline", "no GPU on this machine",
        "latency.csv",
        "nv_gpu_utilization", "passed their deadline", "000012.jpg, batch 8, row 3", "switch off",
    ):  # fmt: skip
        assert shown in page, shown
    for hidden in ("Accuracy", "Where the sides differ", "images.csv", "differences.csv"):
        assert hidden not in page, hidden
    assert "&lt;b&gt;&lt;U+202E&gt;gpj.exe" in page and "\u202e" not in page


def test_every_part_may_be_missing(report: Report, tmp_path: Path) -> None:
    bare = serving(
        steps=[], metrics=[], reconciliation=None, batches=None, under_load=[], drill=None, images=0
    )
    pair = report.pairs[0].model_copy(update={"serving": bare})
    assert "No load was put on either side" in render_html(samples.report([pair]), tmp_path)
