"""In which company each image is sent: the batches of an any-batch test, chosen by a seed.

The work is bounded. With m the most images of a batch, every size up to 8 is sent, then powers of two, m - 1
and m. For each size s there is a Latin square: s images in s batches, so that each of them is once in every
row, and neighbours change from row to row. Of a size over 8 only eight batches of the square are sent, those
that have the anchor in eight rows spread from first to last. The anchor is one image that all squares hold,
which thus is in every place, every row of every size up to 8; the others take turns, those that were in
fewest places before first. Then a batch of each size is filled with one image. Every row of every batch is
compared, so a size s up to 8 takes s * s + s comparisons in s + 1 requests: for m = 8, 239 in 43, one of them
of a single image. After them, requests of one image each are sent at the same time, at least two an image
and eight for each row of the largest batch (at most 512), for the server to form batches of its own.
"""

from __future__ import annotations

import numpy as np

ALL_SIZES_UP_TO = 8
MOST_ROWS_VISITED = 8
LEAST_ROUNDS = 2
REQUESTS_PER_ROW = 8
MOST_CONCURRENT = 512

Rows = tuple[int, ...]
"""A batch: the number of an image for each row."""


def sizes(max_batch: int) -> list[int]:
    """The batch sizes that are sent, ascending. max_batch: 0 and 1 both mean one image at a time."""
    most = max(1, max_batch)
    powers = {2**k for k in range(most.bit_length())}
    wanted = {*range(1, ALL_SIZES_UP_TO + 1), *powers, most - 1, most}
    return sorted(size for size in wanted if 1 <= size <= most)


def places(max_batch: int) -> frozenset[tuple[int, int]]:
    """The pairs of size and row that one image has to be compared in: all rows of all sizes up to 8."""
    most = min(max(1, max_batch), ALL_SIZES_UP_TO)
    return frozenset((size, row) for size in range(1, most + 1) for row in range(size))


def batches(images: int, max_batch: int, seed: int, anchor: int = 0) -> list[Rows]:
    """The batches to send; the same for the same arguments. anchor: the image that is in every place.

    Where there are fewer images than rows, some are in a batch more than once. None without images. How many
    there are depends neither on the seed nor on the anchor.
    """
    rng = np.random.default_rng(seed)
    found: list[Rows] = []
    if not images:
        return found
    been = {image: 0 for image in range(images) if image != anchor} or {anchor: 0}
    for number, size in enumerate(sizes(max_batch)):
        if size == 1:
            found.append((anchor,))
            continue
        others = _next(rng, been, size - 1)
        been |= {image: been[image] + size for image in others}
        found += _square([anchor, *others], rng)
        found.append((number % images,) * size)
    return found


def concurrent(images: int, max_batch: int, seed: int) -> list[int]:
    """The images that are sent at the same time, each in a request of its own, in their order."""
    if not images:
        return []
    rng = np.random.default_rng(seed)
    wanted = min(MOST_CONCURRENT, max(LEAST_ROUNDS * images, REQUESTS_PER_ROW * max(1, max_batch)))
    rounds = -(-wanted // images)
    return [int(image) for _ in range(rounds) for image in rng.permutation(images)][: max(wanted, images)]


def _square(images: list[int], rng: np.random.Generator) -> list[Rows]:
    """A Latin square of images, columns shuffled; of a large one, those with the first in `_visited`."""
    size = len(images)
    shift = rng.permutation(size)
    return [
        tuple(images[int(shift[row] - shift[visited]) % size] for row in range(size))
        for visited in _visited(size)
    ]


def _visited(size: int) -> list[int]:
    """The rows that the anchor visits: all of few, else some from first to last."""
    return sorted({int(row) for row in np.linspace(0, size - 1, min(size, MOST_ROWS_VISITED)).round()})


def _next(rng: np.random.Generator, been: dict[int, int], count: int) -> list[int]:
    """`count` images, those that have been in fewest places first, none twice before all were taken."""
    order = sorted((int(image) for image in rng.permutation(list(been))), key=been.__getitem__)
    rounds = -(-count // len(order))
    return (order * rounds)[:count]
