"""Geometry of the interval drawing and of the box overlay."""

from __future__ import annotations

from parity.report.document import Outcome, WorstImage
from parity.report.drawing import AXIS_WIDTH, Axis, axis, overlay
from tests import report_samples as samples


def drawn(
    observed: float | None, limit: float | None, interval: tuple[float, float] | None, sense: str = "within"
) -> Axis | None:
    values = {"observed": observed, "limit": limit, "interval": interval, "sense": sense}
    return axis(samples.criterion("c", Outcome.FAIL, **values))


def test_nothing_to_draw_without_interval_or_limit() -> None:
    assert drawn(1.0, 1.0, None) is None
    assert drawn(1.0, None, (0.0, 2.0)) is None


def test_two_sided_limit() -> None:
    result = drawn(-0.05, 0.1, (-0.2, 0.1))
    assert result is not None
    assert result.allowed == result.limits
    assert result.zero is not None
    assert result.point is not None
    assert result.bar[0] < result.limits[0] < result.point < result.zero < result.limits[1]
    assert result.bar[1] == result.limits[1]


def test_one_sided_limit_and_degenerate_axis() -> None:
    result = drawn(99.5, 99.0, (99.1, 99.8), "at_least")
    assert result is not None
    assert result.allowed is None
    assert len(result.limits) == 1
    assert result.limits[0] < result.bar[0]
    same = drawn(0.0, 0.0, (0.0, 0.0), "at_most")
    assert same is not None
    assert same.point == AXIS_WIDTH / 2
    unknown = drawn(None, 1.0, (0.5, 2.0))
    assert unknown is not None
    assert unknown.point is None


def image(**changes: object) -> WorstImage:
    return samples.worst_images(None, count=1)[0].model_copy(update=changes)


def test_differing_boxes_are_numbered_and_on_top() -> None:
    result = overlay(image())
    assert [mark.number for mark in result.differing] == list(range(1, len(result.differing) + 1))
    order = [(mark.number is not None, mark.box.side == "candidate") for mark in result.marks]
    assert order == sorted(order)
    for mark in result.differing:
        assert mark.label is not None
        assert mark.box.kind in mark.label.text


def test_sides_differ_in_shape() -> None:
    for mark in overlay(image()).marks:
        assert bool(mark.corners) == (mark.box.side == "reference")


def test_labels_stay_inside_the_image() -> None:
    scene = image()
    for mark in overlay(scene).differing:
        assert mark.label is not None
        assert 0 <= mark.label.x <= scene.width - mark.label.width
        assert 0 <= mark.label.y <= scene.height - mark.label.height


def test_no_size_and_no_boxes() -> None:
    assert overlay(image(width=0, height=0)).marks
    assert overlay(image(boxes=[])).marks == []
