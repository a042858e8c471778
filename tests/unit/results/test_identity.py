from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parity.dataset.annotations import Annotations
from parity.results import Results

Annotate = Callable[..., Annotations]
Load = Callable[..., Results]
Refused = Callable[..., str]


def detection(image_id: int | str, file_name: str | None = None) -> dict[str, Any]:
    row: dict[str, Any] = {"image_id": image_id, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5}
    return row if file_name is None else {**row, "file_name": file_name}


def ultralytics(*file_names: str) -> list[dict[str, Any]]:
    """Rows as DetectionValidator.pred_to_json writes them."""
    stems = [Path(name).stem for name in file_names]
    return [
        detection(int(s) if s.isnumeric() else s, name) for s, name in zip(stems, file_names, strict=True)
    ]


@pytest.mark.parametrize("name", ["x.jpg", "train/x.jpg", "train\\x.jpg", "x", "x.png"])
def test_a_string_is_the_stem_of_a_file_name(annotate: Annotate, load: Load, name: str) -> None:
    results = load([detection("x"), detection("y.z")], annotate({4: "y.z.png", 9: name}))
    assert results.kind == "ultralytics-predictions"
    assert results.image_ids.tolist() == [9, 4]


def test_ids_that_are_also_stems_are_what_the_file_names_say(annotate: Annotate, load: Load) -> None:
    images = annotate({1: "000000.jpg", 2: "000001.jpg", 3: "000002.jpg"})
    assert load([detection(1), detection(2)], images).image_ids.tolist() == [1, 2]
    signed = load(ultralytics("000001.jpg", "000002.jpg"), images)
    assert signed.kind == "ultralytics-predictions"
    assert signed.image_ids.tolist() == [2, 3]


def test_stems_that_are_the_ids_give_the_ids(annotate: Annotate, load: Load) -> None:
    images = annotate({139: "000000000139.jpg", 285: "000000000285.jpg"})
    plain = load([detection(285), detection(139)], images)
    assert (plain.kind, plain.image_ids.tolist()) == ("coco-results", [285, 139])
    assert load(ultralytics("000000000285.jpg"), images).image_ids.tolist() == [285]


def test_integers_that_are_no_ids_at_all_are_stems(annotate: Annotate, load: Load) -> None:
    results = load([detection(123), detection(7)], annotate({1: "000123.jpg", 2: "7.jpg"}))
    assert (results.kind, results.image_ids.tolist()) == ("ultralytics-predictions", [1, 2])


def test_integers_that_are_partly_ids_are_not_guessed(annotate: Annotate, refused: Refused) -> None:
    found = refused([detection(123), detection(1)], annotate({1: "000123.jpg", 2: "1.jpg"}))
    assert "1 detection with 1 image id that the annotations do not have: 123" in found
    assert "stems of file names, but some are ids of other images too" in found


def test_words_and_numbers_in_one_file_are_stems(annotate: Annotate, load: Load, refused: Refused) -> None:
    images = annotate({1: "000002.jpg", 2: "dog.jpg"})
    assert load(ultralytics("dog.jpg", "000002.jpg"), images).image_ids.tolist() == [2, 1]
    assert "1 detection with 1 file stem that the annotations do not have: 1" in refused(
        [detection("dog"), detection(1)], images
    )


def test_unknown_stems_are_named(annotate: Annotate, refused: Refused) -> None:
    content = [detection("cat"), detection("a"), detection("cat"), detection("cow")]
    found = refused(content, annotate({1: "a.jpg"}))
    assert "3 detections with 2 file stems that the annotations do not have: 'cat', 'cow'" in found


def test_ambiguous_stems_are_named(annotate: Annotate, refused: Refused) -> None:
    images = annotate({1: "left/a.jpg", 2: "right/a.jpg", 3: "7.jpg", 4: "007.jpg"})
    assert "1 file stem of several images: 'a' (images 1, 2)" in refused([detection("a")], images)
    assert "1 file stem of several images: 7 (images 3, 4)" in refused(ultralytics("7.jpg"), images)


def test_images_without_file_names_are_known_by_their_ids(annotate: Annotate, load: Load) -> None:
    results = load([detection("12"), detection(5)], annotate({12: None, 5: None}))
    assert results.image_ids.tolist() == [12, 5]


@pytest.mark.parametrize("stem", ["\u00b2", "9" * 5000, "", ".", "\u0663"])
def test_stems_that_only_look_numeric(annotate: Annotate, load: Load, stem: str) -> None:
    images = annotate({1: "x.jpg", 2: f"{stem}.jpg"})
    assert load([detection("x")], images).image_ids.tolist() == [1]


def test_many_unknown_ids_are_counted_and_the_first_named(refused: Refused) -> None:
    found = refused([detection(100 + i % 40) for i in range(2000)])
    assert "2,000 detections with 40 image ids that the annotations do not have: 100, 101, 102" in found
    assert "and 35 more" in found
