"""Plans: what they extrapolate, what they refuse to, and the picture."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.pairs import val2017_like
from parity.dataset import GroundTruth
from parity.errors import UsageError
from parity.planning import GRID, LEAST_IMAGES, Plan, plan_by_simulation, plan_from_report, plot
from parity.report.document import Difference, Report
from parity.simulation import Drift
from parity.statistics import equivalence
from tests.report_samples import pair as sample_pair
from tests.report_samples import report as sample_report

SCENE = val2017_like(200, classes=4, seed=2)


def report_with(
    relative: float | None, interval: tuple[float, float] | None, *, n: int = 500, reason: str = ""
) -> Report:
    """A report of one model with this AP difference in percent, on n images."""
    pair = sample_pair("yolo26n", images=0)
    difference = Difference(
        value=None if relative is None else relative / 200,
        interval=None if interval is None else (interval[0] / 200, interval[1] / 200),
        confidence=None if interval is None else 0.95,
        relative_percent=relative,
        relative_percent_interval=interval,
        reason=reason,
    )
    assert pair.accuracy is not None
    accuracy = pair.accuracy.model_copy(update={"difference": {**pair.accuracy.difference, "AP": difference}})
    images = pair.images.model_copy(update={"answered_by_both": n})
    pair = pair.model_copy(update={"accuracy": accuracy, "images": images})
    return sample_report([pair])


def plan(relative: float | None, interval: tuple[float, float] | None, **more: Any) -> Plan:
    return plan_from_report(report_with(relative, interval, **more), 5000, 0.1)


def simulated(truth: GroundTruth = SCENE.truth, **more: Any) -> list[Plan]:
    return plan_by_simulation(truth, SCENE.sizes, SCENE.names, per_image=10, **{"resamples": 100, **more})


def test_the_ends_shrink_with_the_root_of_the_number_of_images() -> None:
    made = plan(0.02, (-0.08, 0.14))
    assert made.half_width_percent == pytest.approx(0.11)
    assert made.provable_percent(500) == pytest.approx(0.14)
    assert made.provable_percent(2000) == pytest.approx(0.02 + 0.12 / 2)
    assert made.provable_percent(50_000) == pytest.approx(0.02 + 0.12 / 10)


def test_the_end_farther_from_zero_counts() -> None:
    made = plan(-0.02, (-0.14, 0.5))
    assert made.provable_percent(500) == pytest.approx(0.5)
    below = plan(-0.05, (-0.14, 0.0))
    assert below.provable_percent(500) == pytest.approx(0.14)


def test_rows_are_the_grid_and_the_data_set_itself() -> None:
    made = plan_from_report(report_with(0.02, (-0.08, 0.14)), 777, 0.1)
    assert [row.images for row in made.rows] == sorted({*GRID, 777})
    assert GRID[0] == 100
    assert GRID[-1] == 10**6
    falling = [row.provable_percent or 0.0 for row in made.rows]
    assert falling == sorted(falling, reverse=True)


def test_the_images_needed_are_the_fewest_that_decide() -> None:
    made = plan(0.02, (-0.08, 0.145))
    assert made.needed is not None
    for images, expected in ((made.needed, "PASS"), (made.needed - 1, "INCONCLUSIVE")):
        shrink = math.sqrt(500 / images)
        ends = (0.02 - 0.1 * shrink, 0.02 + 0.125 * shrink)
        assert equivalence(0.02, ends, 0.1) == expected
    assert made.provable_percent(made.needed) < 0.1  # type: ignore[operator]
    assert made.reason == ""


def test_fewer_images_than_measured_can_do() -> None:
    made = plan(0.0, (-0.03, 0.03))
    assert made.needed == 46
    assert plan(0.0, (-0.001, 0.001)).needed == LEAST_IMAGES


@pytest.mark.parametrize("value", [0.1, -0.1, -1.29])
def test_a_change_at_or_over_the_limit_needs_no_number_of_images(value: float) -> None:
    made = plan(value, (value - 0.05, value + 0.05))
    assert made.needed is None
    assert "is not under the limit of 0.1 %" in made.reason
    assert made.rows


@pytest.mark.parametrize(
    ("relative", "interval", "reason", "said"),
    [
        (None, None, "no ground truth boxes", "no ground truth boxes"),
        (0.02, None, "an interval needs at least 2 images, there are 1", "at least 2 images"),
        (0.02, None, "", "has no interval"),
        (0.0, (0.0, 0.0), "", "no AP difference was seen at all on 500 images"),
        (0.02, (0.02, 0.02), "", "the interval has no width on 500 images"),
    ],
)
def test_what_cannot_be_extrapolated_says_why(
    relative: float | None, interval: tuple[float, float] | None, reason: str, said: str
) -> None:
    made = plan(relative, interval, reason=reason)
    assert said in made.reason
    assert made.rows == ()
    assert made.needed is None
    assert made.provable_percent(100) is None


def test_an_interval_on_no_images_is_not_extrapolated() -> None:
    assert "0 images" in plan(0.01, (0.0, 0.02), n=0).reason


@pytest.mark.parametrize("limit", [0, -0.1, float("nan"), float("inf")])
def test_a_limit_that_is_none_is_an_error(limit: float) -> None:
    with pytest.raises(UsageError, match="limit"):
        plan_from_report(report_with(0.02, (-0.08, 0.14)), 500, limit)


def test_the_model_is_asked_for_when_there_are_several() -> None:
    report = sample_report([sample_pair("yolo26n", images=0), sample_pair("rtdetr-small", images=0)])
    names = [pair.model for pair in report.pairs]
    assert len(names) > 1
    assert names[1] in plan_from_report(report, 500, 0.1, names[1]).source
    with pytest.raises(UsageError, match=f"{len(names)} models"):
        plan_from_report(report, 500, 0.1)
    with pytest.raises(UsageError, match="did you mean"):
        plan_from_report(report, 500, 0.1, names[0] + "x")


def test_a_report_without_pairs_has_no_plan() -> None:
    report = sample_report([]).model_copy(update={"pairs": []})
    with pytest.raises(UsageError, match="0 models"):
        plan_from_report(report, 500, 0.1)


def test_simulation_gives_a_plan_for_every_drift() -> None:
    plans = simulated()
    assert ["FP32" in p.source or "FP16" in p.source or "INT8" in p.source for p in plans] == [True] * 3
    assert all("assuming" in p.source for p in plans)
    assert all(p.images == p.measured_images == 200 for p in plans)
    widths = [p.half_width_percent for p in plans]
    assert widths == sorted(widths, key=lambda width: width or 0)
    assert plans == simulated()
    assert plans != simulated(seed=1)


def test_simulation_advances_its_step_by_all_resamples() -> None:
    class Counter:
        done = 0

        def advance(self, count: int = 1) -> None:
            self.done += count

    counter = Counter()
    simulated(step=counter, resamples=100)
    assert counter.done == 300


def test_no_drift_at_all_is_nothing_to_extrapolate_from() -> None:
    made = simulated(drifts=[Drift(name="copy", box=0, score=0)])[0]
    assert made.observed_percent == 0
    assert "no AP difference was seen at all on 200 images" in made.reason


def test_no_ground_truth_gives_a_reason() -> None:
    none = np.zeros(0, np.int64)
    truth = GroundTruth(
        image_ids=none, category_ids=none, boxes=np.zeros((0, 4)), areas=np.zeros(0), crowd=np.zeros(0, bool)
    )
    for made in simulated(truth):
        assert "undefined" in made.reason
        assert made.rows == ()
        assert made.half_width_percent is None


def test_one_image_gives_a_reason() -> None:
    scene = val2017_like(1, classes=1, seed=0)
    for made in plan_by_simulation(scene.truth, scene.sizes, scene.names, resamples=100):
        assert "at least 2 images" in made.reason
        assert made.rows == ()


def test_the_picture_is_the_same_bytes_every_time(tmp_path: Path) -> None:
    plans = [plan(0.02, (-0.08, 0.14)), plan(0.0, (0.0, 0.0))]
    for name in ("first.svg", "second.svg"):
        plot(plans, tmp_path / "made" / name)
    first, second = (tmp_path / "made" / name for name in ("first.svg", "second.svg"))
    assert first.read_bytes() == second.read_bytes()
    text = first.read_text("utf-8")
    assert ET.fromstring(text).tag.endswith("svg")  # noqa: S314
    assert "font-family" not in text
    for shown in ("limit, 0.1 %", "this data set, 5,000 images", ": undefined", "images"):
        assert shown in text


def test_pictures_of_no_plans_or_of_different_ones_are_errors(tmp_path: Path) -> None:
    other = plan_from_report(report_with(0.02, (-0.08, 0.14)), 10, 0.1)
    for plans in ([], [plan(0.02, (-0.08, 0.14)), other]):
        with pytest.raises(UsageError, match="plans to draw"):
            plot(plans, tmp_path / "none.svg")
    assert not (tmp_path / "none.svg").exists()


def test_few_images_prove_nothing() -> None:
    made = plan_from_report(report_with(0.0, (-0.001, 0.001)), LEAST_IMAGES - 1, 0.1)
    assert made.rows[0].images == LEAST_IMAGES - 1
    assert made.rows[0].provable_percent is None
    assert made.provable_percent(LEAST_IMAGES - 1) is None
    assert made.provable_percent(LEAST_IMAGES) is not None
