"""The batches of an any-batch test: every size, every row, other images around, and no more than that."""

from __future__ import annotations

from collections import Counter

import pytest

from parity.answers.company import MOST_CONCURRENT, batches, concurrent, sizes


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (0, [1]),
        (1, [1]),
        (2, [1, 2]),
        (8, [1, 2, 3, 4, 5, 6, 7, 8]),
        (10, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (33, [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 33]),
        (64, [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 63, 64]),
    ],
)
def test_sizes(most: int, expected: list[int]) -> None:
    assert sizes(most) == expected


@pytest.mark.parametrize("images", [1, 2, 5, 8, 40])
@pytest.mark.parametrize("most", [1, 3, 8, 20])
def test_every_size_has_an_image_in_every_row_and_a_batch_of_copies(images: int, most: int) -> None:
    planned = batches(images, most, seed=3)
    for number, size in enumerate(sizes(most)):
        mine = [rows for rows in planned if len(rows) == size]
        probe = number % images
        visited = {row for rows in mine for row, place in enumerate(rows) if place == probe}
        assert {0, size - 1} <= visited
        assert len(visited) == size, "the batch of copies has it in every row"
        if size > 1:
            assert mine[-1] == (probe,) * size
            beside = {row for rows in mine[:-1] for row in range(size) if rows[row] == probe}
            assert len(beside) >= min(size, 8)
        assert all(0 <= place < images for rows in mine for place in rows)


def test_neighbours_are_all_different_where_there_are_enough() -> None:
    for rows in batches(8, 8, seed=1):
        assert len(set(rows)) in (1, len(rows))


def test_the_work_is_as_much_as_is_told() -> None:
    planned = batches(8, 8, seed=0)
    assert (sum(map(len, planned)), len(planned)) == (239, 43)
    assert sum(map(len, batches(50, 128, seed=0))) < 4000


def test_the_same_seed_gives_the_same_batches() -> None:
    assert batches(8, 8, seed=1) == batches(8, 8, seed=1) != batches(8, 8, seed=2)
    assert concurrent(8, 8, seed=1) == concurrent(8, 8, seed=1) != concurrent(8, 8, seed=2)


def test_no_image_makes_no_batch() -> None:
    assert batches(0, 8, seed=0) == []
    assert concurrent(0, 8, seed=0) == []


@pytest.mark.parametrize("images", [1, 3, 64, 600])
@pytest.mark.parametrize("most", [0, 1, 8, 256])
def test_every_image_is_sent_at_the_same_time_as_others(images: int, most: int) -> None:
    counts = Counter(concurrent(images, most, seed=0))
    assert set(counts) == set(range(images))
    assert max(counts.values()) - min(counts.values()) <= 1
    assert sum(counts.values()) <= max(MOST_CONCURRENT, images)
