"""report.json and criteria.csv of a fixed run do not change unnoticed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from parity.report.document import Outcome, Report
from parity.report.schema import read_json, write_json
from parity.report.tables import criteria_csv
from tests import report_samples as samples
from tests.conftest import GOLDEN

Check = Callable[[str, str], None]


def fixed_report() -> Report:
    return samples.report(
        [
            samples.pair("yolo26n", Outcome.PASS, images=0),
            samples.pair("rtdetr-small", Outcome.INCONCLUSIVE, images=0, failures=samples.failures(2)),
            samples.pair(
                "=cmd|'/c calc'!A1",
                Outcome.FAIL,
                images=0,
                criteria=[
                    samples.criterion("map_variance", Outcome.FAIL, observed=-0.5, limit=0.1, unit="%"),
                    samples.criterion(
                        "finite_outputs", Outcome.INCONCLUSIVE, n=0, message="- nothing\nto see"
                    ),
                ],
            ),
        ],
        rehearsal=True,
    )


def test_report_json(tmp_path: Path, check_golden: Check) -> None:
    write_json(fixed_report(), tmp_path / "report.json")
    check_golden("report.json", (tmp_path / "report.json").read_text("utf-8"))


def test_criteria_csv_from_golden_json(check_golden: Check) -> None:
    check_golden("criteria.csv", criteria_csv(read_json(GOLDEN / "report.json")))
