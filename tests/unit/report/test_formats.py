"""Numbers for people never say more, or other, than the numbers they stand for."""

from __future__ import annotations

import pytest

from parity.report.formats import DASH, MINUS, apart, compact, count, fixed, points, seconds, span, with_unit


def test_undefined_is_a_dash() -> None:
    assert fixed(None) == points(None) == span(None) == apart(None) == with_unit(apart(None), "%") == DASH


def test_tiny_differences_are_not_exactly_zero() -> None:
    assert fixed(0.0, signed=True) == "0"
    assert fixed(-1e-9, signed=True) == "0.000"
    assert fixed(-0.5, signed=True) == f"{MINUS}0.500"
    assert points(0.00012, signed=True) == "+0.012"
    assert span((-0.001, 0.002), 100) == f"{MINUS}0.100 to +0.200"


@pytest.mark.parametrize(
    ("value", "limit", "shown"),
    [
        (99.9996, 100.0, "99.9996"),
        (100.0, 100.0, "100"),
        (0.09999999, 0.1, "0.09999999"),
        (0.1, 0.1, "0.1"),
        (0.1000004, 0.1, "0.1000004"),
        (-2.91412, 0.1, f"{MINUS}2.914"),
        (0.0, 0.0, "0"),
        (1e-9, 0.0, "1e" + MINUS + "09"),
    ],
)
def test_a_number_is_never_rounded_onto_the_limit(value: float, limit: float, shown: str) -> None:
    assert apart(value, limit) == shown


def test_other_forms() -> None:
    assert compact(1234567.0) == "1,234,567"
    assert count(1, "image") == "1 image"
    assert count(2, "class", "classes") == "2 classes"
    assert [seconds(0.21), seconds(9.31), seconds(74.2)] == [
        "210\u202fms",
        "9.3\u202fs",
        "1\u202fmin 14\u202fs",
    ]
