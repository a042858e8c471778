"""The rule by which a step has come to rest."""

from __future__ import annotations

import pytest

from parity.load.stability import Seen, stability


def windows(*pairs: tuple[float, float | None]) -> list[Seen]:
    return [Seen(rate=rate, p95=p95) for rate, p95 in pairs]


@pytest.mark.parametrize(
    ("seen", "stable"),
    [
        (windows((100, 10), (105, 10.5), (110, 11)), True),  # exactly on the limit
        (windows((100, 10), (105, 10), (110.1, 10)), False),
        (windows((100, 10), (100, 10), (100, 11.1)), False),
        (windows((1, 99), (100, 10), (100, 10), (100, 10)), True),  # only the last three count
        (windows((100, 10), (100, 10)), False),
        (windows(), False),
        (windows((100, 10), (0, None), (100, 10)), False),
        (windows((0, None), (0, None), (0, None)), False),
    ],
)
def test_three_windows_within_ten_percent_in_both(seen: list[Seen], stable: bool) -> None:
    assert stability(seen, 0.1 + 1e-12).stable is stable


def test_the_words_give_what_was_seen_and_the_limit() -> None:
    told = stability(windows((100, 10), (120, 10), (100, 10.5)), 0.1).told
    assert told == "last 3 windows apart by: throughput 20.0 %, p95 5.0 % (limit 10 %)"
    assert "no answers" in stability(windows((1, 1), (0, None), (1, 1)), 0.1).told
    assert "2 windows," in stability(windows((1, 1), (1, 1)), 0.1).told
    assert "1 window," in stability(windows((1, 1)), 0.1).told
