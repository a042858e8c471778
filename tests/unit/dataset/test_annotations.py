from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from parity.dataset.annotations import Annotations, read_annotations
from parity.errors import EvidenceError, UsageError


def document(**changes: Any) -> dict[str, Any]:
    return {
        "info": {"year": 2017},
        "licenses": [],
        "images": [
            {"id": 9, "file_name": "b.jpg", "width": 64, "height": 48, "video_id": 4, "city": "Bonn"},
            {"id": 3, "file_name": "a.jpg", "width": 32, "height": 32, "video_id": 8, "city": "Ulm"},
            {"id": 5, "file_name": "c.jpg", "width": 32, "height": 32, "video_id": 4, "city": "Ulm"},
        ],
        "categories": [{"id": 18, "name": "dog", "supercategory": "animal"}, {"id": 1, "name": "person"}],
        "annotations": [
            annotation(id=30, image_id=9, bbox=[1, 2, 3, 4], area=7.5, iscrowd=1),
            annotation(id=20, image_id=9, category_id=1),
            annotation(id=40, image_id=3),
        ],
        **changes,
    }


def annotation(**changes: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "image_id": 9,
        "category_id": 18,
        "bbox": [0.5, 1, 10, 2],
        "segmentation": [[1, 2, 3, 4, 5, 6]],
        "keypoints": [0, 0, 0],
        **changes,
    }


def load(tmp_path: Path, content: Any, group: str | None = None) -> Annotations:
    path = tmp_path / "instances.json"
    if not isinstance(content, bytes):
        content = json.dumps(content).encode()
    path.write_bytes(content)
    return read_annotations(path, group)


def refused(tmp_path: Path, content: Any) -> str:
    with pytest.raises(EvidenceError) as caught:
        load(tmp_path, content)
    str(caught.value).encode()
    return str(caught.value)


def test_reads_a_coco_file_without_its_pictures(tmp_path: Path) -> None:
    found = load(tmp_path, document())
    assert [(i.image_id, i.file_name, i.width, i.height) for i in found.images] == [
        (3, "a.jpg", 32, 32),
        (5, "c.jpg", 32, 32),
        (9, "b.jpg", 64, 48),
    ]
    assert list(found.categories.items()) == [(1, "person"), (18, "dog")]
    assert found.groups is None
    assert found.sha256 == hashlib.sha256(found.path.read_bytes()).hexdigest()


def test_ground_truth_is_sorted_by_image_and_keeps_the_files_order(tmp_path: Path) -> None:
    truth = load(tmp_path, document()).ground_truth
    assert truth.image_ids.tolist() == [3, 9, 9]
    assert truth.category_ids.tolist() == [18, 18, 1]
    assert truth.boxes.tolist() == [[0.5, 1, 10, 2], [1, 2, 3, 4], [0.5, 1, 10, 2]]
    assert truth.areas.tolist() == [20, 7.5, 20]
    assert truth.crowd.tolist() == [False, True, False]


def test_what_only_pictures_need_is_let_through(tmp_path: Path) -> None:
    images = [{"id": 9}, {"id": 3, "file_name": None, "width": 0, "height": None}]
    boxes = [annotation(bbox=[-50, 2, 3, 4]), annotation(id=2, bbox=[9000, 9000, 1e4, 0])]
    found = load(tmp_path, document(images=images, annotations=boxes))
    assert [(i.file_name, i.width, i.height) for i in found.images] == [("3", None, None), ("9", None, None)]
    assert len(found.ground_truth.boxes) == 2


def test_no_ground_truth_is_legal(tmp_path: Path) -> None:
    truth = load(tmp_path, document(annotations=[])).ground_truth
    assert truth.boxes.shape == (0, 4) and truth.image_ids.shape == (0,)


def test_a_byte_order_mark_and_nan_in_a_segmentation_are_let_through(tmp_path: Path) -> None:
    text = json.dumps(document(annotations=[annotation(segmentation=[[float("nan")]])]))
    assert len(load(tmp_path, b"\xef\xbb\xbf" + text.encode()).ground_truth.boxes) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": []}, "`images` is empty"),
        ({"categories": []}, "`categories` is empty"),
        ({"annotations": None}, "`annotations` is not a list of objects"),
        ({"annotations": [1]}, "`annotations` is not a list of objects"),
        ({"images": {"a": 1}}, "`images` is not a list of objects"),
        ({"images": [{"id": 1}, {"id": 1}]}, "2 images have the id 1"),
        ({"images": [{"id": "1"}]}, "images[0] needs an integer `id`"),
        ({"images": [{"id": 1, "file_name": 5}]}, "images[0] (id 1) has the file_name 5"),
        ({"images": [{"id": 1, "file_name": ""}]}, "images[0] (id 1) has the file_name ''"),
        ({"images": [{"id": 1, "file_name": "\ud800"}]}, r"has the file_name '\ud800'"),
        ({"images": [{"id": 1, "width": -4}]}, "images[0] (id 1) has size -4 x None"),
        ({"images": [{"id": 1, "height": "tall"}]}, "images[0] (id 1) has size None x 'tall'"),
        ({"images": [{"id": 1, "height": True}]}, "images[0] (id 1) has size None x True"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "categories[1] repeats id 1"),
        ({"categories": [{"id": 1, "name": "\ud800"}]}, r"category name '\ud800' is not valid Unicode"),
        ({"annotations": [annotation(), annotation()]}, "1 annotation ids are used twice, first 1"),
        ({"annotations": [annotation(id=None)]}, "annotations[0] needs integers `id`"),
        ({"annotations": [annotation(id=2**63)]}, "annotations[0] needs integers `id`"),
        ({"annotations": [annotation(image_id=77)]}, "belongs to the unknown image 77"),
        ({"annotations": [annotation(category_id=77)]}, "has the unknown category 77"),
        ({"annotations": [annotation(bbox=[1, 2, -3, 4])]}, "needs `bbox` as four finite numbers"),
        ({"annotations": [annotation(bbox=[1, 2, 3, float("nan")])]}, "needs `bbox` as four finite numbers"),
        ({"annotations": [annotation(area=float("inf"))]}, "has area inf"),
        ({"annotations": [annotation(iscrowd=2)]}, "has iscrowd 2"),
    ],
)
def test_faults_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    assert message in refused(tmp_path, document(**changes))


def test_several_faults_are_reported_at_once(tmp_path: Path) -> None:
    found = refused(tmp_path, document(annotations=[annotation(bbox=[]), annotation(category_id=2)]))
    assert "2 problems" in found and "nothing was compared" in found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"images":' * 100_000, "not JSON"),
        (b"[]", "a list of 0 elements, which looks like detection results"),
        (b"3", "`images` is not a list of objects"),
    ],
)
def test_what_is_no_annotation_file(tmp_path: Path, content: bytes, message: str) -> None:
    assert message in refused(tmp_path, content)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="no such file"):
        read_annotations(tmp_path / "gone.json")
    with pytest.raises(EvidenceError, match="a folder, not a file"):
        read_annotations(tmp_path)


def test_groups_are_labels_in_the_order_of_the_images(tmp_path: Path) -> None:
    groups = load(tmp_path, document(), "video_id").groups
    assert groups is not None and groups.tolist() == [0, 1, 1]
    groups = load(tmp_path, document(), "city").groups
    assert groups is not None and groups.tolist() == [0, 0, 1]


def test_an_integer_and_its_text_are_two_groups(tmp_path: Path) -> None:
    images = [{"id": 1, "scene": 1}, {"id": 2, "scene": "1"}, {"id": 3, "scene": 1}]
    groups = load(tmp_path, document(images=images, annotations=[]), "scene").groups
    assert groups is not None and groups.tolist() == [0, 1, 0]


def test_a_group_that_images_lack(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, document(), "vidio_id")
    assert "3 of 3 images have no field 'vidio_id', first the image 3" in str(caught.value)
    assert "did you mean 'video_id'?" in str(caught.value)


def test_a_group_that_one_image_lacks(tmp_path: Path) -> None:
    content = document()
    content["images"][0]["video_id"] = None
    with pytest.raises(UsageError) as caught:
        load(tmp_path, content, "video_id")
    assert "1 of 3 images have no field 'video_id', first the image 9" in str(caught.value)
    assert "known: city, file_name, height, width" in str(caught.value)


@pytest.mark.parametrize("value", [1.5, True, [1], {"a": 1}])
def test_a_group_that_is_no_label(tmp_path: Path, value: Any) -> None:
    content = document()
    content["images"][0]["city"] = value
    with pytest.raises(UsageError, match="neither an integer nor a string as 'city', first the image 9"):
        load(tmp_path, content, "city")
