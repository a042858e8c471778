"""In which company each image is sent: the batches of an any-batch test, chosen by a seed.

The work is bounded. With m the most images of a batch, every size up to 8 is sent, then powers of two, m - 1
and m. Each size s has a probe, an image that visits every row (eight rows spread from first to last where s
is more) with other images drawn anew around it, and then fills a whole batch by itself. Every row of every
batch is compared, so a size s up to 8 takes s * s + s comparisons in s + 1 requests: for m = 8, 239 in 43,
one of them of a single image. After them, requests of one image each are sent at the same time, at least two
an image and eight for each row of the largest batch (at most 512), for the server to form batches of its own.
"""

from __future__ import annotations

import numpy as np

ALL_SIZES_UP_TO = 8
MOST_ROWS_VISITED = 8
LEAST_ROUNDS = 2
REQUESTS_PER_ROW = 8
MOST_CONCURRENT = 512

Rows = tuple[int, ...]
"""A batch: the place of an image for each row."""


def sizes(max_batch: int) -> list[int]:
    """The batch sizes that are sent, ascending. max_batch: 0 and 1 both mean one image at a time."""
    most = max(1, max_batch)
    powers = {2**k for k in range(most.bit_length())}
    wanted = {*range(1, ALL_SIZES_UP_TO + 1), *powers, most - 1, most}
    return sorted(size for size in wanted if 1 <= size <= most)


def batches(images: int, max_batch: int, seed: int) -> list[Rows]:
    """The batches to send; the same for the same arguments.

    Where there are fewer images than rows, some are in a batch more than once. None without images.
    """
    rng = np.random.default_rng(seed)
    found: list[Rows] = []
    if not images:
        return found
    for number, size in enumerate(sizes(max_batch)):
        probe = number % images
        if size == 1:
            found.append((probe,))
            continue
        others = [place for place in range(images) if place != probe] or [probe]
        for row in _visited(size):
            beside = _drawn(rng, others, size - 1)
            found.append((*beside[:row], probe, *beside[row:]))
        found.append((probe,) * size)
    return found


def concurrent(images: int, max_batch: int, seed: int) -> list[int]:
    """The places of images that are sent at the same time, each in a request of its own, in their order."""
    if not images:
        return []
    rng = np.random.default_rng(seed)
    wanted = min(MOST_CONCURRENT, max(LEAST_ROUNDS * images, REQUESTS_PER_ROW * max(1, max_batch)))
    rounds = -(-wanted // images)
    return [int(place) for _ in range(rounds) for place in rng.permutation(images)][: max(wanted, images)]


def _visited(size: int) -> list[int]:
    """The rows that a probe visits: all of few, else some from first to last."""
    return sorted({int(row) for row in np.linspace(0, size - 1, min(size, MOST_ROWS_VISITED)).round()})


def _drawn(rng: np.random.Generator, places: list[int], count: int) -> list[int]:
    """`count` of the places in random order, none twice before all were taken."""
    rounds = -(-count // len(places))
    return [int(place) for _ in range(rounds) for place in rng.permutation(places)][:count]
