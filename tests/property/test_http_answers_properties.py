"""Whatever JSON a service answers, reading it ends in detections that make sense or in an AnswerError."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.runners.http_answers import AnswerReader, AnswerSettings
from parity.runners.json_fields import AnswerError

NAMES = ("car", "bus")
KEYS = st.sampled_from(["detections", "box", "class_name", "confidence", "x", "0"]) | st.text(max_size=3)
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(NAMES)
)
ANY = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=30,
)
NUMBERS = st.floats(width=64) | st.integers(-(10**400), 10**400)
NEAR = st.fixed_dictionaries(
    {
        "class_name": st.sampled_from(NAMES) | ANY,
        "confidence": st.floats(0, 1) | NUMBERS | ANY,
        "box": st.lists(NUMBERS, min_size=4, max_size=4) | ANY,
    }
)
MAPPINGS = st.builds(
    AnswerSettings,
    list_field=st.sampled_from(["detections", "", "detections.0", "x.y"]),
    box_field=st.sampled_from(["box", "box.0,box.1,box.2,box.3"]),
    box_format=st.sampled_from(["xyxy", "xywh", "cxcywh"]),
    class_as=st.sampled_from(["name", "id"]),
    normalised=st.booleans(),
)


def check_message(error: AnswerError) -> None:
    assert error.found and error.remedy
    assert error.found.isprintable()


def check(document: Any, mapping: AnswerSettings) -> None:
    body = json.dumps(document).encode()
    reader = AnswerReader(settings=mapping, names=NAMES, score_floor=0.001, max_detections=3)
    try:
        found = reader.read(body, width=640, height=480)
    except AnswerError as error:
        check_message(error)
        return
    n = len(found.scores)
    assert n <= 3 and found.boxes.shape == (n, 4) and found.classes.shape == (n,)
    assert np.isfinite(found.boxes).all()
    assert ((found.scores > 0.001) & (found.scores <= 1)).all()
    assert ((found.classes >= 0) & (found.classes < len(NAMES))).all()
    assert found.nonfinite >= 0


@given(ANY, MAPPINGS)
@settings(max_examples=100)
def test_any_json(document: Any, mapping: AnswerSettings) -> None:
    check(document, mapping)


@given(st.lists(NEAR, max_size=6), MAPPINGS)
@settings(max_examples=100)
def test_nearly_good_answers(items: list[Any], mapping: AnswerSettings) -> None:
    check({"detections": items}, mapping)


@given(st.binary(max_size=60), MAPPINGS)
@settings(max_examples=80)
def test_any_bytes(body: bytes, mapping: AnswerSettings) -> None:
    reader = AnswerReader(settings=mapping, names=NAMES, score_floor=0.001, max_detections=3)
    try:
        assert len(reader.read(body, width=640, height=480).scores) <= 3
    except AnswerError as error:
        check_message(error)


@given(st.permutations(range(8)), st.integers(1, 8))
def test_the_order_of_an_answer_does_not_matter(order: list[int], most: int) -> None:
    items = [{"class_name": "car", "confidence": (i + 1) / 10, "box": [i, i, i + 1, i + 1]} for i in range(8)]
    mapping = AnswerSettings(box_format="xyxy")
    reader = AnswerReader(settings=mapping, names=NAMES, score_floor=0.2, max_detections=most)
    plain, mixed = (
        reader.read(json.dumps({"detections": part}).encode(), width=9, height=9)
        for part in (items, [items[i] for i in order])
    )
    np.testing.assert_array_equal(plain.boxes, mixed.boxes)
    np.testing.assert_array_equal(plain.scores, mixed.scores)
