"""Latencies as an HdrHistogram: compact, mergeable, and readable by the tools of all languages.

From 1 microsecond to 10 minutes with three significant digits, in the V2 encoding.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.errors import EvidenceError, RunnerError, first_line

LOWEST_US = 1
HIGHEST_US = 600_000_000
DIGITS = 3
MOST_ENCODED = 1 << 20
MOST_DECODED = 4 << 20
_WRAPPER = struct.Struct(">ii")
_HEADER = struct.Struct(">iiiiqqd")


def record(seconds: NDArray[np.float64]) -> tuple[str, int]:
    """Latencies (n,), s, encoded, and how many were over the top and are recorded at it.

    Raises RunnerError without the library.
    """
    whole = np.maximum(LOWEST_US, np.rint(seconds * 1e6)).astype(np.int64)
    over = int((whole > HIGHEST_US).sum())
    histogram = _empty()
    values, counts = np.unique(np.minimum(whole, HIGHEST_US), return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        histogram.record_value(value, count)
    return _text(histogram), over


def merge(encoded: Iterable[str]) -> str:
    """Several histograms as one, such as those of a side's turns. Raises EvidenceError for damaged ones."""
    total = _empty()
    for text in encoded:
        total.add(decode(text))
    return _text(total)


def curve(encoded: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What to draw: latencies in ms, rising, and the share of answers up to each, 0 to 1; both (m,).

    Raises EvidenceError for a damaged histogram.
    """
    histogram = decode(encoded)
    points = [
        (item.value_iterated_to, item.total_count_to_this_value) for item in histogram.get_recorded_iterator()
    ]
    values, totals = np.array(points, np.float64).reshape(-1, 2).T
    return values / 1e3, totals / max(1, histogram.get_total_count())


def decode(encoded: str) -> Any:
    """The histogram (hdrh.histogram.HdrHistogram, microseconds) of an encoded one.

    Raises EvidenceError for what is none, or has another range: it comes from a file.
    """
    from hdrh.histogram import HdrHistogram

    try:
        _check(encoded)
        return HdrHistogram.decode(encoded)
    except EvidenceError:
        raise
    except Exception as error:  # the library raises many types on damaged data
        raise EvidenceError(
            f"a damaged latency histogram ({first_line(error)})", expected="HdrHistogram's V2 encoding"
        ) from error


def _check(encoded: str) -> None:
    """Refuse what would take much memory to decode, before decoding it."""
    if len(encoded) > MOST_ENCODED:
        found = f"a latency histogram of {len(encoded)} bytes"
        raise EvidenceError(found, expected=f"at most {MOST_ENCODED} bytes")
    try:
        data = base64.b64decode(encoded, validate=True)
        plain = zlib.decompressobj().decompress(data[_WRAPPER.size :], MOST_DECODED)
        _, _, _, digits, lowest, highest, _ = _HEADER.unpack_from(plain)
    except (binascii.Error, ValueError, zlib.error, struct.error) as error:
        raise EvidenceError(
            f"a damaged latency histogram ({first_line(error)})", expected="HdrHistogram's V2 encoding"
        ) from error
    if (digits, lowest, highest) != (DIGITS, LOWEST_US, HIGHEST_US) or len(plain) == MOST_DECODED:
        raise EvidenceError(
            f"a latency histogram of {digits} digits from {lowest} to {highest}",
            expected=f"{DIGITS} digits from {LOWEST_US} to {HIGHEST_US} microseconds",
        )


def _empty() -> Any:
    try:
        from hdrh.histogram import HdrHistogram
    except ImportError as error:
        raise RunnerError(
            f"hdrhistogram cannot be imported: {error}", remedy="pip install 'triton-parity[load]'"
        ) from error
    return HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)


def _text(histogram: Any) -> str:
    encoded = histogram.encode()
    return encoded.decode("ascii") if isinstance(encoded, bytes) else str(encoded)
