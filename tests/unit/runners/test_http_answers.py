"""A service's JSON becomes boxes as the run file describes it, or an error that names the place."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from parity.runners.decode import Decoded
from parity.runners.http_answers import AnswerReader, AnswerSettings
from parity.runners.json_fields import AnswerError

NAMES = ("car", "bus", "traffic light")


def reader(score_floor: float = 0.001, max_detections: int = 300, **mapping: Any) -> AnswerReader:
    return AnswerReader(
        settings=AnswerSettings(**{"box_format": "xyxy", **mapping}),
        names=NAMES,
        score_floor=score_floor,
        max_detections=max_detections,
    )


def detection(**changes: Any) -> dict[str, Any]:
    return {"class_name": "bus", "confidence": 0.5, "box": [1, 2, 3, 5], **changes}


def one(**changes: Any) -> dict[str, Any]:
    return {"detections": [detection(**changes)]}


def read(document: Any, **mapping: Any) -> Decoded:
    return reader(**mapping).read(json.dumps(document).encode(), width=100, height=50)


@pytest.mark.parametrize(
    ("mapping", "item"),
    [
        ({}, detection()),
        ({"box_format": "xywh"}, detection(box=[1, 2, 2, 3])),
        ({"box_format": "cxcywh"}, detection(box=[2, 3.5, 2, 3])),
        ({"normalised": True}, detection(box=[0.01, 0.04, 0.03, 0.1])),
        ({"normalised": True, "box_format": "cxcywh"}, detection(box=[0.02, 0.07, 0.02, 0.06])),
        (
            {"box_field": "x,y,width,height", "box_format": "xywh"},
            {"class_name": "bus", "confidence": 0.5, "x": 1, "y": 2, "width": 2, "height": 3},
        ),
        (
            {"box_field": "bbox.x1, bbox.y1, bbox.x2, bbox.y2"},
            detection(bbox={"x1": 1, "y1": 2, "x2": 3, "y2": 5}),
        ),
        ({"class_field": "class_id", "class_as": "id"}, detection(class_id=1)),
        ({"class_field": "cls", "class_as": "id"}, detection(cls=1.0)),
        (
            {"class_field": "label.text", "score_field": "label.score"},
            detection(label={"text": "bus", "score": 0.5}),
        ),
    ],
)
def test_every_way_of_writing_a_detection(mapping: dict[str, Any], item: dict[str, Any]) -> None:
    found = read({"detections": [item]}, **mapping)
    np.testing.assert_allclose(found.boxes, [[1, 2, 3, 5]], rtol=1e-6)
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert found.classes.dtype == np.int64
    assert (found.scores.tolist(), found.classes.tolist(), found.nonfinite) == ([0.5], [1], 0)


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("", [detection()]),
        ("detections", {"detections": [detection()]}),
        ("data.boxes", {"data": {"boxes": [detection()]}}),
        ("results.0.boxes", {"results": [{"boxes": [detection()]}]}),
        ("1", [[], [detection()]]),
    ],
)
def test_the_list_is_found_by_its_dotted_name(name: str, document: Any) -> None:
    assert len(read(document, list_field=name).scores) == 1


def test_no_detections_are_no_detections() -> None:
    found = read({"detections": []})
    assert found.boxes.shape == (0, 4)
    assert found.scores.shape == found.classes.shape == (0,)


@pytest.mark.parametrize("form", ["xyxy", "xywh"])
def test_float32_comes_back_to_the_bit(form: str) -> None:
    rng = np.random.default_rng(0)
    low = rng.uniform(-3, 4000, (500, 2)).astype(np.float32)
    boxes = np.concatenate([low, low + rng.uniform(0, 900, (500, 2)).astype(np.float32)], axis=1)
    scores = np.sort(rng.uniform(0.01, 1, 500).astype(np.float32))[::-1]
    sent = boxes.astype(float)
    if form == "xywh":
        sent[:, 2:] -= sent[:, :2]
    items = [
        detection(box=box, confidence=s) for box, s in zip(sent.tolist(), scores.astype(float), strict=True)
    ]
    found = read({"detections": items}, box_format=form, max_detections=500)
    np.testing.assert_array_equal(found.boxes, boxes)
    np.testing.assert_array_equal(found.scores, scores)


BY_ID = {"class_field": "id", "class_as": "id"}


@pytest.mark.parametrize(
    ("document", "mapping", "words"),
    [
        ({"boxes": [], "ms": 1}, {}, "the answer has no 'detections', but 'boxes', 'ms'"),
        ({}, {}, "the answer has no 'detections', but nothing"),
        ([], {}, "the answer has no 'detections', but a list of 0"),
        (None, {}, "but null"),
        ({"a": {"x": 1}}, {"list_field": "a.b"}, "the answer has no 'b' of 'a.b', but 'x'"),
        ({"detections": {"a": 1}}, {}, "detections is an object, expected a list of detections"),
        ({"detections": [detection(), 7]}, {}, "detections[1] has no 'confidence', but 7"),
        ({"detections": [{"box": [1, 2, 3, 4]}]}, {}, "detections[0] has no 'confidence', but 'box'"),
        (one(confidence="0.5"), {}, "detections[0].confidence is '0.5', expected a number"),
        (one(confidence=True), {}, "detections[0].confidence is true, expected a number"),
        (one(confidence=None), {}, "is null, expected a number; some JSON writers put null"),
        (one(confidence=87.5), {}, "is 87.5, expected a score from 0 to 1"),
        (one(confidence=-0.1), {}, "is -0.1, expected a score from 0 to 1"),
        (one(box=[1, 2, 3]), {}, "detections[0].box is a list of 3, expected 4 numbers"),
        (one(box={"x": 1}), {}, "detections[0].box is an object, expected 4 numbers"),
        (one(box=[1, 2, "3", 4]), {}, "detections[0].box[2] is '3', expected a number"),
        (one(x=1, y=1, w=1), {"box_field": "x,y,w,h"}, "detections[0] has no 'h'"),
        (one(class_name="buss"), {}, "is 'buss', which is no class of the model; did you mean 'bus'?"),
        (one(class_name="cat\x1b[2J"), {}, r"'cat\x1b[2J'"),
        (one(class_name=1), {}, "detections[0].class_name is 1, expected a class name"),
        (one(id=3), BY_ID, "is 3, expected a class index from 0 to 2"),
        (one(id=-1), BY_ID, "is -1, expected a class index"),
        (one(id=0.5), BY_ID, "is 0.5, expected a class index"),
        (one(id=True), BY_ID, "is true, expected a class index"),
        (one(id=float("nan")), BY_ID, "is nan, expected a class index"),
        (one(id="bus"), BY_ID, "is 'bus', expected a class index"),
    ],
)
def test_what_does_not_fit_is_named(document: Any, mapping: dict[str, Any], words: str) -> None:
    with pytest.raises(AnswerError) as caught:
        read(document, **mapping)
    assert words in caught.value.found
    assert "`" in caught.value.remedy, "the remedy names a setting"
    assert "\x1b" not in caught.value.found


@pytest.mark.parametrize(
    "body", [b"", b"{", b"<html>", b"\xff", b"[" * 100_000, b"1" * 5000, b'{"detections": [}', b"\x00"]
)
def test_what_is_not_json_is_an_answer_error(body: bytes) -> None:
    with pytest.raises(AnswerError):
        reader().read(body, width=10, height=10)


@pytest.mark.parametrize("poison", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400])
@pytest.mark.parametrize("changes", [{"confidence": "@"}, {"box": [1, 2, "@", 4]}])
def test_numbers_that_are_not_finite_are_counted_and_left_out(poison: str, changes: dict[str, Any]) -> None:
    text = json.dumps({"detections": [detection(), detection(**changes)]})
    found = reader().read(text.replace('"@"', poison).encode(), width=10, height=10)
    assert found.nonfinite == 1
    assert found.classes.tolist() == [1]


def test_a_corner_beyond_float32_counts_as_infinite() -> None:
    assert read({"detections": [detection(box=[1, 2, 1e39, 4])]}).nonfinite == 1


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("form", ["xyxy", "xywh", "cxcywh"])
def test_infinite_boxes_raise_no_warning(form: str, normalised: bool) -> None:
    boxes = [[float("inf"), float("-inf")] * 2, [1e308] * 4, [float("nan")] * 4]
    found = read(
        {"detections": [detection(box=box) for box in boxes]}, box_format=form, normalised=normalised
    )
    assert found.nonfinite == 3 and len(found.scores) == 0


def test_the_floor_is_exclusive_and_the_best_are_kept() -> None:
    scores = [0.25, 0.3, 0.9, 0.5, 0.9]
    items = [detection(confidence=s, box=[i, 0, 9, 9]) for i, s in enumerate(scores)]
    found = read({"detections": items}, score_floor=0.25, max_detections=3)
    np.testing.assert_array_equal(found.scores, np.array([0.9, 0.9, 0.5], np.float32))
    assert found.boxes[:, 0].tolist() == [2, 4, 3]


@pytest.mark.parametrize("names", ["x,y", "x,y,w,", "a,b,c,d,e", ",,,"])
def test_a_box_has_one_name_or_four(names: str) -> None:
    with pytest.raises(ValueError, match="one name, or four"):
        AnswerSettings(box_format="xyxy", box_field=names)
