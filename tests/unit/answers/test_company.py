"""The batches of an any-batch test: every size, every row, other images around, and no more than that."""

from __future__ import annotations

from collections import Counter

import pytest

from parity.answers.company import MOST_CONCURRENT, Rows, batches, concurrent, places, sizes


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


def of_size(planned: list[Rows], size: int) -> list[Rows]:
    return [rows for rows in planned if len(rows) == size]


def seen(planned: list[Rows], image: int) -> set[tuple[int, int]]:
    """The pairs of size and row in which an image is beside others, or alone in a batch of one."""
    mixed = [rows for rows in planned if len(rows) == 1 or len(set(rows)) > 1]
    return {(len(rows), row) for rows in mixed for row, each in enumerate(rows) if each == image}


@pytest.mark.parametrize("images", [2, 5, 8, 40])
@pytest.mark.parametrize("most", [1, 3, 8, 20])
def test_the_anchor_is_in_every_row_of_every_size_beside_others(images: int, most: int) -> None:
    for anchor in (0, images - 1):
        planned = batches(images, most, seed=3, anchor=anchor)
        assert places(most) <= seen(planned, anchor)
        for size in sizes(most):
            rows = {row for found, row in seen(planned, anchor) if found == size}
            assert {0, size - 1} <= rows
            assert len(rows) >= min(size, 8)
        assert all(0 <= each < images for rows in planned for each in rows)


def test_places_are_the_rows_of_all_small_sizes() -> None:
    assert places(0) == places(1) == {(1, 0)}
    assert places(2) == {(1, 0), (2, 0), (2, 1)}
    assert len(places(8)) == len(places(64)) == 36


@pytest.mark.parametrize("size", [2, 5, 8])
def test_every_image_of_a_square_is_once_in_every_row(size: int) -> None:
    square = of_size(batches(12, 8, seed=4), size)[:-1]
    assert len(square) == size
    drawn = set(square[0])
    assert len(drawn) == size
    assert all(set(rows) == drawn for rows in square)
    assert all({rows[row] for rows in square} == drawn for row in range(size))


@pytest.mark.parametrize(("images", "least"), [(5, 29), (8, 21), (12, 12)])
def test_other_images_take_turns(images: int, least: int) -> None:
    for seed in range(5):
        planned = batches(images, 8, seed)
        assert min(len(seen(planned, image)) for image in range(1, images)) >= least


@pytest.mark.parametrize("images", [1, 2, 5])
def test_every_size_has_a_batch_of_copies(images: int) -> None:
    planned = batches(images, 8, seed=3)
    for size in range(2, 9):
        assert len(set(of_size(planned, size)[-1])) == 1
    assert {rows[0] for rows in planned if len(set(rows)) == 1 < len(rows)} == set(range(images))


def test_the_anchor_changes_nothing_of_how_many_there_are() -> None:
    assert [len(rows) for rows in batches(5, 8, seed=1, anchor=3)] == [len(r) for r in batches(5, 8, seed=1)]


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
