"""Serving in the report: latency.csv, the plot, and a page of a load run, which has no accuracy."""

from __future__ import annotations

import csv
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from parity.load.plan import closed, opened
from parity.report import write_report
from parity.report.document import Report
from parity.report.html import render_html
from parity.report.schema import read_json
from parity.report.serving import LATENCY_COLUMNS, error_rate_bound, gpu_use, latency_plots, latency_rows
from parity.serving.evidence import GpuUse, Value, load_name
from tests import report_samples as samples
from tests.serving_report_samples import latency, load_report, serving, step


@pytest.fixture
def report() -> Report:
    return load_report()


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


def test_each_loop_is_an_svg_and_the_same_for_the_same_steps() -> None:
    drawn = latency_plots(serving().steps)
    assert list(drawn) == ["closed", "open"] and drawn == latency_plots(serving().steps)
    for svg in drawn.values():
        assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314  # our own
        assert b"<script" not in svg


def test_nothing_answered_is_no_plot() -> None:
    assert latency_plots([]) == {}
    assert latency_plots([step(latency=None, throughput=None, ok=0)]) == {}


def test_one_side_or_one_answer_is_drawn_too() -> None:
    assert list(latency_plots([step("reference")])) == ["closed"]


def test_a_mark_has_a_bar_only_where_there_is_an_interval() -> None:
    known = latency()
    bare = known.model_copy(update={"p95": Value(value=41.5, reason="too few windows")})
    bars = [latency_plots([step(latency=each)])["closed"].count(b"LineCollection") for each in (known, bare)]
    assert bars == [1, 0]


def test_one_reason_for_all_steps_is_said_once(report: Report, tmp_path: Path) -> None:
    steps = serving().steps
    shown, unknown = gpu_use(steps)
    assert shown == [] and unknown == {("candidate", "none"): (7, "no GPU on this machine")}
    page = render_html(report, tmp_path)
    assert page.count("no GPU on this machine") == 1 and "candidate's 7 steps" in page
    busy = GpuUse(source="none", samples=3, mean=0.5, max=0.75)
    for odd in (busy, GpuUse(source="none", samples=0, mean=None, max=None, reason="asleep")):
        shown, unknown = gpu_use([*steps, step(gpu=odd)])
        assert len(shown) == 8 and unknown == {}
    shown, unknown = gpu_use([*steps, step("reference", gpu=busy)])
    assert [each.side for each in shown] == ["reference"] and list(unknown) == [("candidate", "none")]


def test_the_page_tells_what_the_answers_rest_on(report: Report, tmp_path: Path) -> None:
    page = render_html(report, tmp_path)
    (table,) = re.findall(r"<table[^>]*>(?:(?!</table>).)*What was compared.*?</table>", page, re.DOTALL)
    rows = re.findall(r"<tr>(<th scope=\"row\".*?)</tr>", table, re.DOTALL)
    cells = [[re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", row)] for row in rows]
    assert [row[:3] for row in cells] == [["255of 256 kept", "873", "2"], ["432", "41", "0"]]
    assert "one image was in 34 of 36 places of batch size and row" in rows[1] and "1 failed" in rows[0]
    assert "29 detections" in page and "Noise is up to 0.002 and 0.2 px" in page


def test_why_a_step_is_not_stable_stands_under_its_load(report: Report, tmp_path: Path) -> None:
    page = render_html(report, tmp_path)
    (row,) = [row for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if "p95 still rose" in row]
    head, stable = re.findall(r"<th.*?</th>|<td data-label=\"Stable\">.*?</td>", row, re.DOTALL)
    assert "40/s, poisson" in head and "candidate, turn 0" in head and "p95 still rose" in head
    assert re.sub(r"<[^>]+>", "", stable) == "no"


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


def test_the_page_shows_p90_and_where_the_servers_time_goes(report: Report, tmp_path: Path) -> None:
    page = render_html(report, tmp_path)
    heads = re.findall(r'<th scope="col"[^>]*>([^<]+)</th>', page)
    for name in ("p50", "p90", "p95", "p99", "max", "Queue", "Compute input", "Infer", "Output"):
        assert heads.count(name) == 1, name
    (split,) = re.findall(r"<table[^>]*>(?:(?!</table>).)*Compute input.*?</table>", page, re.DOTALL)
    rows = re.findall(r"<tr>(<th scope=\"row\".*?)</tr>", split, re.DOTALL)
    assert len(rows) == 7, "the candidate's steps alone: nothing tells of the reference's service"
    cells = [re.sub(r"<[^>]+>|\s", "", cell) for cell in re.findall(r"<td.*?</td>", rows[0], re.DOTALL)]
    assert cells == ["candidate,turn0", "3.10", "0.20", "14.20", "0.10", "2.73", "1:40,2:60,4:110,8:10"]


def test_the_page_bounds_the_error_rate_of_each_step(report: Report, tmp_path: Path) -> None:
    steps = [
        step(sent=1000, ok=1000), step(turn=1, sent=1000, ok=990, failed={"deadline": 7, "connection": 3}),
        step(turn=2, sent=None, ok=None, failed={}),
    ]  # fmt: skip
    # 1 - 0.05 ** (1 / 1000) by hand; for 10 of 1,000, the rate at which P(at most 10 failures) is 5 %.
    assert error_rate_bound(steps[0]) == pytest.approx(1 - 0.05 ** (1 / 1000), rel=1e-9)
    rate = error_rate_bound(steps[1])
    assert rate is not None
    assert sum(math.comb(1000, k) * rate**k * (1 - rate) ** (1000 - k) for k in range(11)) == pytest.approx(
        0.05
    )
    assert error_rate_bound(steps[2]) is None and error_rate_bound(step(sent=0, ok=0)) is None
    assert error_rate_bound(step(sent=10, ok=0, failed={"deadline": 11})) is None
    pair = report.pairs[0].model_copy(update={"serving": serving(steps=steps)})
    page = render_html(samples.report([pair]), tmp_path)
    assert re.findall(r'<small class="bound">up to ([\d.]+) %', page) == ["0.299", "1.690"]


def test_every_part_may_be_missing(report: Report, tmp_path: Path) -> None:
    bare = serving(
        steps=[], metrics=[], reconciliation=None, batches=None, under_load=[], drill=None, images=0
    )
    pair = report.pairs[0].model_copy(update={"serving": bare})
    assert "No load was put on either side" in render_html(samples.report([pair]), tmp_path)
