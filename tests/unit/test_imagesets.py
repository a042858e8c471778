"""Which images a comparison rests on: equal sets or a choice in words, never a silent intersection."""

from __future__ import annotations

import pytest

from parity.errors import EvidenceError
from parity.imagesets import Choice, Coverage, choose

ALL = frozenset(range(10))


def listed(name: str, *ids: int) -> Coverage:
    """A results file: it names images with detections and knows of no others."""
    return Coverage(name=name, named=frozenset(ids))


def table(name: str, named: frozenset[int], attempted: frozenset[int], failed: int = -1) -> Coverage:
    """Parity's own tables, with one image that failed."""
    return Coverage(name=name, named=named, attempted=attempted, answered=attempted - {failed})


def test_files_that_name_the_same_images_cover_the_whole_data_set() -> None:
    chosen = choose(ALL, listed("a", *ALL), listed("b", *ALL), "same")
    assert chosen.images == ALL
    assert not chosen.partial
    assert not chosen.notes


def test_an_image_without_detections_on_both_sides_is_legal_and_noted() -> None:
    chosen = choose(ALL, listed("a", *range(9)), listed("b", *range(9)), "same")
    assert chosen.images == ALL
    assert "1 of 10 images have no detections on either side" in chosen.notes[0]


def test_files_over_different_images_are_an_error_that_names_them() -> None:
    with pytest.raises(EvidenceError) as caught:
        choose(ALL, listed("a.json", *range(10)), listed("b.json", *range(1, 8)), "same")
    told = str(caught.value)
    assert "3 only in a.json (image ids 0, 8, 9)" in told
    assert "--images common" in told
    assert "--images all" in told
    assert caught.value.exit_code == 3


def test_many_images_are_counted_and_the_first_named() -> None:
    with pytest.raises(EvidenceError, match=r"8 only in a \(image ids 0, 1, 2, 3, 4 and 3 more\)"):
        choose(ALL, listed("a", *ALL), listed("b", 8, 9), "same")


def test_common_keeps_what_both_have_and_says_so() -> None:
    chosen = choose(ALL, listed("a", *range(8)), listed("b", *range(2, 10)), "common")
    assert chosen.images == frozenset(range(2, 8))
    assert chosen.partial
    assert "only the 6 of 10 images" in chosen.notes[0]
    assert "2 more are in the reference only, 2 in the candidate only" in chosen.notes[0]


def test_common_without_any_image_is_an_error() -> None:
    with pytest.raises(EvidenceError, match="no image"):
        choose(ALL, listed("a", 1), listed("b", 2), "common")


def test_all_takes_silence_as_nothing_found_and_says_so() -> None:
    chosen = choose(ALL, listed("a", *ALL), listed("b", 1), "all")
    assert chosen.images == ALL
    assert not chosen.partial
    assert "nothing was found" in chosen.notes[0]


@pytest.mark.parametrize("named", [(), (0, 1, 2, 3)])
def test_files_that_are_mostly_silent_are_no_evidence(named: tuple[int, ...]) -> None:
    with pytest.raises(EvidenceError, match="neither side has detections"):
        choose(ALL, listed("a", *named), listed("b", *named), "same")


def test_tables_know_what_was_attempted() -> None:
    part = frozenset(range(5))
    chosen = choose(ALL, table("a", part, part), table("b", frozenset(), part), "same")
    assert chosen.images == part


@pytest.mark.parametrize("choice", ["same", "all"])
def test_tables_over_different_images_are_an_error_whatever_is_chosen(choice: Choice) -> None:
    with pytest.raises(EvidenceError, match="different images"):
        choose(ALL, table("a", ALL, ALL), table("b", ALL - {3}, ALL - {3}), choice)


def test_common_leaves_out_images_that_failed() -> None:
    chosen = choose(ALL, table("a", ALL, ALL), table("b", ALL - {3}, ALL, failed=3), "common")
    assert chosen.images == ALL - {3}


def test_a_file_beside_tables_is_held_to_what_they_attempted() -> None:
    part = frozenset(range(5))
    assert choose(ALL, table("a", part, part), listed("b", *part), "same").images == part
    with pytest.raises(EvidenceError, match="different images"):
        choose(ALL, table("a", part, part), listed("b", *range(6)), "same")
    with pytest.raises(EvidenceError, match="different images"):
        choose(ALL, listed("b", *range(4)), table("a", part, part), "same")
