"""Latency histograms: as exact as they say, mergeable, and damaged ones refused."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import pytest

from parity.errors import EvidenceError
from parity.load.histogram import HIGHEST_US, curve, decode, merge, record


def latencies(seed: int, n: int = 5000) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).lognormal(-4, 1.5, n)


@pytest.mark.parametrize("percent", [50, 90, 95, 99])
def test_quantiles_are_numpys_to_three_digits(percent: int) -> None:
    values = latencies(1)
    histogram = decode(record(values)[0])
    expected = np.quantile(values, percent / 100, method="inverted_cdf") * 1e6
    assert histogram.get_value_at_percentile(percent) == pytest.approx(expected, rel=1.1e-3, abs=1)
    assert histogram.get_total_count() == len(values)


def test_merging_is_recording_all() -> None:
    first, second = latencies(1), latencies(2, 300)
    assert curve(merge([record(first)[0], record(second)[0]]))[1][-1] == 1.0
    merged = decode(merge([record(first)[0], record(second)[0]]))
    together = decode(record(np.concatenate([first, second]))[0])
    assert [merged.get_value_at_percentile(p) for p in range(1, 101)] == [
        together.get_value_at_percentile(p) for p in range(1, 101)
    ]


def test_what_is_over_the_top_is_told_and_recorded_at_it() -> None:
    encoded, over = record(np.array([0.001, 599.0, 601.0, 5000.0, 0.0]))
    assert over == 2
    histogram = decode(encoded)
    assert histogram.get_total_count() == 5
    assert histogram.get_max_value() == pytest.approx(HIGHEST_US, rel=1e-3)


def test_a_curve_rises_from_the_fastest_to_all() -> None:
    values = latencies(4, 1000)
    times, shares = curve(record(values)[0])
    assert (np.diff(times) > 0).all() and (np.diff(shares) > 0).all()
    assert times[0] == pytest.approx(values.min() * 1e3, abs=1e-3)
    assert (shares[0], shares[-1]) == (pytest.approx(1 / 1000), 1.0)


def bomb() -> str:
    header = struct.pack(">iiiiqqd", 0x1C849303 | 0x10, 100, 0, 3, 1, HIGHEST_US, 1.0)
    body = zlib.compress(header + bytes(200 << 20), 9)
    return base64.b64encode(struct.pack(">ii", 0x1C849304 | 0x10, len(body)) + body).decode()


def other_range() -> str:
    from hdrh.histogram import HdrHistogram

    histogram = HdrHistogram(1, 1 << 40, 5)
    histogram.record_value(1000)
    encoded = histogram.encode()
    return encoded.decode() if isinstance(encoded, bytes) else str(encoded)


@pytest.mark.parametrize(
    "damaged",
    ["", "no base64 \x00", "AAAA", "A" * (2 << 20), record(latencies(1))[0][:-40], bomb(), other_range()],
    ids=["empty", "text", "short", "long", "cut", "bomb", "range"],
)
def test_a_damaged_histogram_is_refused(damaged: str) -> None:
    with pytest.raises(EvidenceError, match="histogram"):
        decode(damaged)
