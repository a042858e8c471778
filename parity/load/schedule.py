"""When the requests of an open loop are meant to be sent, whatever the server does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from parity.load.plan import Arrivals

CHUNK = 4096


def intended_times(rate: float, arrivals: Arrivals, seed: int) -> Iterator[float]:
    """Seconds from the start of the loop at which to send, without end, never falling.

    constant: i / rate for i = 0, 1, ... poisson: gaps drawn from the exponential distribution of mean
    1 / rate, the first one before the first request. The same seed gives the same times, so that both sides
    of a pair face the same arrivals.
    """
    if arrivals == "constant":
        number = 0
        while True:
            yield number / rate  # not a running sum, whose error would grow
            number += 1
    generator = np.random.default_rng(seed)
    reached = 0.0
    while True:
        times = reached + np.cumsum(generator.exponential(1 / rate, CHUNK))
        yield from times.tolist()
        reached = float(times[-1])
