"""Data sets load through one door, and everything wrong with one is said at once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from parity.config import DatasetConfig
from parity.dataset import ImageProblem, OpenCvReader, load
from parity.detections import Status
from parity.errors import EvidenceError

Document = dict[str, Any]


def document() -> Document:
    return {
        "images": [
            {"id": 7, "file_name": "b.png", "width": 40, "height": 30},
            {"id": 2, "file_name": "a.png", "width": 40, "height": 30},
        ],
        "annotations": [
            {"id": 2, "image_id": 7, "category_id": 3, "bbox": [1, 2, 10, 20], "area": 200, "iscrowd": 0},
            {"id": 1, "image_id": 7, "category_id": 5, "bbox": [0, 0, 40, 30], "area": 900.5, "iscrowd": 1},
        ],
        "categories": [{"id": 5, "name": "car"}, {"id": 3, "name": "dog"}],
    }


def coco(tmp_path: Path, content: Document | bytes) -> Path:
    (tmp_path / "images").mkdir(exist_ok=True)
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / "images" / name)
    path = tmp_path / "instances_val.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def message(tmp_path: Path, content: Document | bytes) -> str:
    path = coco(tmp_path, content)
    with pytest.raises(EvidenceError) as caught:
        load("mine", DatasetConfig(path=path))
    assert caught.value.exit_code == 3
    return str(caught.value)


def test_coco_loads_sorted(tmp_path: Path) -> None:
    data = load("mine", DatasetConfig(path=coco(tmp_path, document())))
    assert [i.image_id for i in data.images] == [2, 7]
    assert data.categories == {3: "dog", 5: "car"}
    truth = data.ground_truth
    assert truth.image_ids.tolist() == [7, 7]
    assert truth.category_ids.tolist() == [3, 5]
    assert truth.boxes.tolist() == [[1, 2, 10, 20], [0, 0, 40, 30]]
    assert truth.areas.tolist() == [200, 900.5]
    assert truth.crowd.tolist() == [False, True]
    assert data.category_of_class(("dog", "car")).tolist() == [3, 5]


def test_the_digest_follows_every_image(tmp_path: Path) -> None:
    path = coco(tmp_path, document())
    before = load("mine", DatasetConfig(path=path)).digest
    Image.fromarray(np.full((30, 40, 3), 9, np.uint8)).save(tmp_path / "images" / "a.png")
    assert load("mine", DatasetConfig(path=path)).digest != before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.pop("annotations"), "`annotations` is not a list"),
        (lambda d: d.update(annotations=[]), "`annotations` is empty"),
        (lambda d: d.update(images={}), "`images` is not a list"),
        (lambda d: d["images"].append(d["images"][0] | {"file_name": "a.png"}), "2 images have the id 7"),
        (lambda d: d["images"][0].update(file_name="a.png"), "2 images are the same file, 'a.png'"),
        (lambda d: d["images"][0].update(file_name="gone.png"), "'gone.png', which is not a file"),
        (lambda d: d["images"][0].update(file_name="../instances_val.json"), "leaves the folder"),
        (lambda d: d["images"][0].update(file_name="/etc/passwd"), "leaves the folder"),
        (lambda d: d["images"][0].update(width=0), "has size 0x30"),
        (lambda d: d["images"][0].update(width="40"), "needs integers"),
        (lambda d: d["annotations"][0].update(bbox=[30, 2, 20, 20]), "outside 'b.png' of 40x30 pixels"),
        (lambda d: d["annotations"][0].update(bbox=[1, 2, -1, 20]), "needs `bbox`"),
        (lambda d: d["annotations"][0].update(bbox=[1, 2, float("nan"), 20]), "needs `bbox`"),
        (lambda d: d["annotations"][0].update(bbox=[1, 2, 3]), "needs `bbox`"),
        (lambda d: d["annotations"][0].update(area=-1), "has area -1"),
        (lambda d: d["annotations"][0].update(image_id=99), "unknown image 99"),
        (lambda d: d["annotations"][0].update(category_id=99), "unknown category 99"),
        (lambda d: d["annotations"][0].update(bbox=[1, 2, 10**400, 3]), "needs `bbox`"),
        (lambda d: d["annotations"][0].update(area=10**400), "has area"),
        (lambda d: d["annotations"][0].update(iscrowd="0"), "has iscrowd '0'"),
        (lambda d: d["images"][0].update(file_name="x" * 5000), "leaves the folder"),
        (lambda d: d["images"][0].update(file_name="\ud800.png"), "leaves the folder"),
        (lambda d: d["annotations"][0].update(id=1), "annotation ids are used twice"),
        (lambda d: d["categories"].append({"id": 5, "name": "bus"}), "repeats id 5"),
        (lambda d: d["categories"].append({"id": 6, "name": "car"}), "repeats name 'car'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: Any, words: str) -> None:
    content = document()
    change(content)
    assert words in message(tmp_path, content)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"text"', b"[" * 100_000, b"\xff\xfe"])
def test_not_coco_at_all(tmp_path: Path, content: bytes) -> None:
    assert "instances_val.json" in message(tmp_path, content)


def test_everything_is_said_at_once(tmp_path: Path) -> None:
    content = document()
    content["annotations"][0]["bbox"] = None
    content["annotations"][1]["category_id"] = 99
    content["images"][1]["file_name"] = "gone.png"
    text = message(tmp_path, content)
    assert "3 problems" in text


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = coco(tmp_path, document())
    secret = tmp_path / "secret.png"
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(secret)
    (tmp_path / "images" / "a.png").unlink()
    (tmp_path / "images" / "a.png").symlink_to(secret)
    with pytest.raises(EvidenceError, match="leaves the folder"):
        load("mine", DatasetConfig(path=path))


def manifest(tmp_path: Path) -> Path:
    path = coco(tmp_path, document())
    files = [path, *sorted((tmp_path / "images").iterdir())]
    digests = {f.relative_to(tmp_path).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
    lines = ['annotations = "instances_val.json"', 'images = "images"', "[sha256]"]
    (tmp_path / "manifest.toml").write_text("\n".join(lines + [f'"{k}" = "{v}"' for k, v in digests.items()]))
    return tmp_path


def test_a_manifest_is_verified(tmp_path: Path) -> None:
    assert len(load("mine", DatasetConfig(path=manifest(tmp_path))).images) == 2


def test_a_changed_image_is_noticed(tmp_path: Path) -> None:
    manifest(tmp_path)
    Image.fromarray(np.full((30, 40, 3), 9, np.uint8)).save(tmp_path / "images" / "a.png")
    config = DatasetConfig(path=tmp_path)
    data = load("mine", config)
    assert OpenCvReader(config).read(data.images[1]).shape == (30, 40, 3)
    with pytest.raises(ImageProblem) as caught:
        OpenCvReader(config).read(data.images[0])
    assert caught.value.status is Status.CHANGED


def test_an_image_that_the_manifest_does_not_know_is_an_error(tmp_path: Path) -> None:
    path = manifest(tmp_path) / "manifest.toml"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "a.png" not in line))
    with pytest.raises(EvidenceError, match=r"not in \[sha256\]"):
        load("mine", DatasetConfig(path=tmp_path))


def test_changed_annotations_are_noticed(tmp_path: Path) -> None:
    manifest(tmp_path)
    (tmp_path / "instances_val.json").write_text(json.dumps(document()) + " ")
    with pytest.raises(EvidenceError, match="not the file that the manifest was made for"):
        load("mine", DatasetConfig(path=tmp_path))


def yolo(tmp_path: Path, label: str = "1 0.5 0.5 0.5 0.5\n0 0 0 0.5 0 0.5 0.5\n", extra: str = "") -> Path:
    for folder in ("images/val", "labels/val"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for name in ("b", "a"):
        Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / "images" / "val" / f"{name}.jpg")
    (tmp_path / "labels" / "val" / "b.txt").write_text(label)
    path = tmp_path / "data.yaml"
    path.write_text(f"val: images/val\nnames: {{0: car, 1: dog}}\n{extra}")
    return path


def test_yolo_loads_through_the_same_door(tmp_path: Path) -> None:
    data = load("mine", DatasetConfig(path=yolo(tmp_path)))
    assert [i.file_name for i in data.images] == ["images/val/a.jpg", "images/val/b.jpg"]
    assert data.categories == {1: "car", 2: "dog"}
    assert data.ground_truth.image_ids.tolist() == [2, 2]
    assert data.ground_truth.category_ids.tolist() == [2, 1]
    assert data.ground_truth.boxes.tolist() == [[10.0, 7.5, 20.0, 15.0], [0.0, 0.0, 20.0, 15.0]]


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("1 0.5 0.5", "line 1: expected `class cx cy width height`"),
        ("x 0.5 0.5 0.5 0.5", "line 1: expected"),
        ("1 nan 0.5 0.5 0.5", "line 1: expected"),
        ("2 0.5 0.5 0.5 0.5", "class 2 of 2 classes"),
        ("0.5 0.5 0.5 0.5 0.5", "class 0.5 of 2 classes"),
        ("1 0.9 0.5 0.5 0.5", "the box leaves its image"),
        ("", "there is no ground truth"),
    ],
)
def test_bad_labels_are_named(tmp_path: Path, label: str, words: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        load("mine", DatasetConfig(path=yolo(tmp_path, label)))
    assert words in str(caught.value)


def test_yolo_split_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="no split 'test'; the file has val"):
        load("mine", DatasetConfig(path=yolo(tmp_path), split="test"))


@pytest.mark.parametrize("path", ['"a\\0b"', "x" * 5000, "gone"])
def test_yolo_root_that_is_no_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(EvidenceError, match="which is no folder"):
        load("mine", DatasetConfig(path=yolo(tmp_path, extra=f"path: {path}\n")))


def test_yolo_names_of_mixed_types(tmp_path: Path) -> None:
    path = yolo(tmp_path)
    path.write_text("val: images/val\nnames: {0: car, x: dog}\n")
    with pytest.raises(EvidenceError, match="without gaps"):
        load("mine", DatasetConfig(path=path))


def test_yolo_list_that_leaves_the_folder(tmp_path: Path) -> None:
    path = yolo(tmp_path)
    (tmp_path / "list.txt").write_text("../../outside.jpg\n")
    path.write_text("val: list.txt\nnames: [car, dog]\n")
    with pytest.raises(EvidenceError, match="leaves the folder"):
        load("mine", DatasetConfig(path=path))


def test_yaml_tags_run_nothing(tmp_path: Path) -> None:
    path = yolo(tmp_path, extra="x: !!python/object/apply:os.system ['touch hacked']\n")
    with pytest.raises(EvidenceError, match="not YAML"):
        load("mine", DatasetConfig(path=path))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="no such file or folder"):
        load("mine", DatasetConfig(path=tmp_path / "gone"))
