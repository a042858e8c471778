from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from parity.dataset.annotations import Annotations

Refused = Callable[..., str]
GOOD = {"image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.25}


def rows(count: int = 3, at: int = 1, **changes: Any) -> list[dict[str, Any]]:
    """`count` detections, of which one is changed."""
    return [{**GOOD, **(changes if i == at else {})} for i in range(count)]


def without(field: str) -> list[dict[str, Any]]:
    found = rows()
    del found[1][field]
    return found


def text(value: str, field: str = "score") -> str:
    """Three detections, the second with a literal that Python may not be able to write."""
    return json.dumps([GOOD, {**GOOD, field: "@"}, GOOD]).replace('"@"', value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b" \n\t", "the file is empty"),
        (b"hello", r"not JSON: invalid character \(byte 0\)"),
        (b'[{"a" 1}]', r"not JSON: .* \(byte 6\)"),
        (b"[] []", r"not JSON: trailing characters \(byte \d\)"),
        (json.dumps(rows())[:-1], "cut off: the JSON does not end within its"),
        (json.dumps(rows())[:50], "cut off"),
        (b"\x1f\x8b\x08\x00", "compressed by gzip, not JSON in UTF-8"),
        (b"PAR1\x00\x00", "a Parquet file"),
        ("[]".encode("utf-16"), "UTF-16, not JSON in UTF-8"),
        ({"images": [], "annotations": []}, "looks like an annotation file"),
        ({"predictions": [], "x": 1}, "an object with `predictions`, `x`"),
        ({}, "an object with no fields"),
        ("5", "not a list but 5"),
        ("null", "not a list but null"),
        ('"x"', 'not a list but "x"'),
        ("[" * 100_000, "nested too deeply|given as something other"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('[{"x":' * 100_000, "nested too deeply"),
        ('{"x":' * 100_000, "an object with|not a list"),
    ],
)
def test_what_is_no_list_of_detections(refused: Refused, content: Any, message: str) -> None:
    found = refused(content)
    assert re.search(message, found), found
    assert found.count("\n") < 6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([GOOD, 5, GOOD], "1 detection given as something other than an object: [1] (5)"),
        ([GOOD, None, []], "2 detections given as something other than an object: [1] (null), [2] ([])"),
        (without("image_id"), "1 detection without `image_id`: [1]"),
        (without("category_id"), "1 detection without `category_id`: [1]"),
        (without("bbox"), "1 detection without `bbox`: [1]"),
        (without("score"), "1 detection without `score`: [1]"),
        (rows(image_id=True), "whose `image_id` is not an integer or a string: [1] (true)"),
        (rows(image_id=7.0), "whose `image_id` is not an integer or a string: [1] (7.0)"),
        (rows(image_id=None), "whose `image_id` is not an integer or a string: [1] (null)"),
        (rows(category_id="2"), 'whose `category_id` is not an integer: [1] ("2")'),
        (rows(category_id=False), "whose `category_id` is not an integer: [1] (false)"),
        (rows(category_id=2.5), "whose `category_id` is not an integer: [1] (2.5)"),
        (rows(category_id=2**63), "whose `category_id` is beyond 64 bits: [1] (9223372036854775808)"),
        (rows(category_id=-(10**30)), "whose `category_id` is beyond 64 bits: [1]"),
        (rows(score="0.5"), 'whose `score` is not a number: [1] ("0.5")'),
        (rows(score=True), "whose `score` is not a number: [1] (true)"),
        (rows(score=None), "whose `score` is not a number: [1] (null)"),
        (rows(bbox=[1, 2, 3]), "whose `bbox` is not four numbers: [1] ([1, 2, 3])"),
        (rows(bbox=[1, 2, 3, 4, 5]), "whose `bbox` is not four numbers: [1] ([1, 2, 3, 4, 5])"),
        (rows(bbox=[1, 2, 3, True]), "whose `bbox` is not four numbers: [1] ([1, 2, 3, true])"),
        (rows(bbox={"x": 1}), 'whose `bbox` is not four numbers: [1] ({"x": 1})'),
        (rows(bbox=None), "whose `bbox` is not four numbers: [1] (null)"),
        (text("1e400"), "whose `score` is too large: [1] (Infinity)"),
        (text("[1,2,3,1e999]", "bbox"), "whose `bbox` is too large: [1]"),
        (text("9" * 400), "whose `score` is too large: [1] (9999"),
        (text("9" * 5000, "category_id"), "1 detection that cannot be read: [1]"),
        (text('"\\ud800"', "image_id"), "not JSON: unexpected end of hex escape (byte"),
    ],
)
def test_elements_that_do_not_fit(refused: Refused, content: Any, message: str) -> None:
    found = refused(content)
    assert message in found
    assert "expected: a JSON list of objects" in found


def test_text_that_is_not_utf8(refused: Refused) -> None:
    content = text('"@"', "image_id").encode()
    assert "1 detection that cannot be read: [1] (UnicodeDecodeError" in refused(
        content.replace(b"@", b"\xff\xfe")
    )
    assert "cannot be read" in refused(content.replace(b"@", b"\xed\xa0\x80"))


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "-NaN"])
def test_literals_that_only_python_writes(refused: Refused, literal: str) -> None:
    found = refused(text(literal))
    shown = "NaN" if "NaN" in literal else literal
    assert f"1 detection whose `score` is NaN or Infinity: [1] ({shown})" in found
    assert "JSON has no NaN and no Infinity" in found
    assert f"`bbox` is NaN or Infinity: [1] ([1, 2, {shown}, 4])" in refused(
        text(f"[1,2,{literal},4]", "bbox")
    )
    assert "1 times NaN or Infinity, first at byte" in refused(text(literal, "extra"))


def test_the_word_nan_in_a_string_is_text(refused: Refused) -> None:
    content = json.dumps(rows(score="@", extra='say "NaN" or \\ Infinity')).replace('"@"', "NaN")
    assert "1 detection whose `score` is NaN or Infinity: [1] (NaN)" in refused(content)
    assert '`score` is not a number: [1] ("NaN")' in refused(rows(score="NaN"))


def test_a_fault_elsewhere_keeps_its_byte_beside_a_nan(refused: Refused) -> None:
    content = text("NaN")[:-1] + "!"
    assert f"(byte {len(content) - 1})" in refused(content)


def test_many_faults_are_counted_by_kind_and_the_first_named(refused: Refused) -> None:
    content: list[Any] = [{**GOOD, "score": "high"} for _ in range(1200)]
    content += [{**GOOD, "bbox": []}, 3]
    found = refused(content)
    assert "3 problems" in found
    assert '1,200 detections whose `score` is not a number: [0] ("high"), [1] ("high"), [2]' in found
    assert "and 1,195 more" in found
    assert "1 detection whose `bbox` is not four numbers: [1200] ([])" in found


@pytest.mark.parametrize("score", [1.0000001, -0.1, 97, -1e308])
def test_scores_outside_0_to_1(refused: Refused, score: float) -> None:
    assert f"1 detection with a score outside 0 to 1: [1] ({float(score)})" in refused(rows(score=score))


@pytest.mark.parametrize("box", [[1, 2, -3, 4], [1, 2, 3, -1e-9]])
def test_negative_sizes(refused: Refused, box: list[float]) -> None:
    assert "1 detection with a negative width or height: [1] ([1.0, 2.0" in refused(rows(bbox=box))


@pytest.mark.parametrize("pixel", [1e12, -1e200, 2**70])
def test_boxes_of_absurd_size(refused: Refused, pixel: float) -> None:
    assert "bbox too large: [1]" in refused(rows(bbox=[pixel, 0, 1, 1]))


def test_unknown_images_and_categories_and_bad_numbers_are_reported_together(refused: Refused) -> None:
    content = rows(image_id=99, category_id=55, score=2) + rows(image_id=10**30)
    found = refused(content)
    assert "3 problems" in found
    assert "2 detections with 2 image ids that the annotations do not have: 99, 1000" in found
    assert "1 detection with 1 unknown category id: 55" in found
    assert "1 detection with a score outside 0 to 1: [1] (2.0)" in found


@pytest.mark.parametrize(
    ("known", "used", "remedy"),
    [
        ((0, 1, 2), (1, 2, 3), "look shifted: the unknown ones exist in the annotations -1"),
        ((1, 2, 3), (0, 1, 2), "look shifted: the unknown ones exist in the annotations +1"),
        ((1, 4, 9, 16), (0, 1, 2, 3), "look like class numbers from 0"),
        ((1, 4, 9, 16), (1, 2, 3, 4), "look like class numbers from 1"),
        ((1, 2, 3), (7,), "give the annotations that the detector was made for"),
    ],
)
def test_what_unknown_categories_look_like(
    refused: Refused,
    annotate: Callable[..., Annotations],
    known: tuple[int, ...],
    used: tuple[int, ...],
    remedy: str,
) -> None:
    content = [{**GOOD, "category_id": c} for c in used for _ in range(2)]
    found = refused(content, annotate(categories=known))
    unknown = [c for c in used if c not in known]
    assert f"{2 * len(unknown)} detections with {len(unknown)} unknown category id" in found
    assert remedy in found
