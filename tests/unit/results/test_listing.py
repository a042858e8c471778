from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from parity.dataset.annotations import Annotations
from parity.errors import EvidenceError
from parity.results import Results, read

Load = Callable[..., Results]


def detection(**changes: object) -> dict[str, object]:
    return {"image_id": 7, "category_id": 2, "bbox": [1, 2.5, 3, 4], "score": 0.25, **changes}


def test_reads_coco_results_in_the_order_of_the_file(load: Load, tmp_path: Path) -> None:
    rows = [detection(image_id=8, score=0.1), detection(score=1), detection(category_id=3, score=0)]
    results = load(rows)
    assert results.kind == "coco-results" and results.predictions is None
    assert results.path == tmp_path / "results.json"
    assert results.sha256 == hashlib.sha256(results.path.read_bytes()).hexdigest()
    assert results.image_ids.tolist() == [8, 7, 7]
    assert results.category_ids.tolist() == [2, 2, 3]
    assert results.scores.tolist() == [0.1, 1.0, 0.0]
    assert results.boxes.tolist() == [[1, 2.5, 3, 4]] * 3
    for numbers, dtype in (
        (results.image_ids, np.int64),
        (results.category_ids, np.int64),
        (results.scores, np.float64),
        (results.boxes, np.float64),
    ):
        assert np.asarray(numbers).dtype == np.dtype(dtype)


def test_keeps_every_bit_of_float64(load: Load) -> None:
    rng = random.Random(3)  # noqa: S311 - nothing secret
    numbers = [[rng.uniform(-1, 1) * 10 ** rng.randint(-30, 11) for _ in range(2)] for _ in range(2000)]
    sizes = [[rng.random() * 10 ** rng.randint(-300, 11), 5e-324] for _ in range(2000)]
    scores = [rng.random() for _ in range(2000)]
    rows = [detection(bbox=n + s, score=score) for n, s, score in zip(numbers, sizes, scores, strict=True)]
    results = load(rows)
    assert results.boxes.tolist() == [n + s for n, s in zip(numbers, sizes, strict=True)]
    assert results.scores.tolist() == scores


def test_takes_decimals_as_written(load: Load) -> None:
    text = (
        '[{"image_id":7,"category_id":1,"score":0.1000000000000000055511151231257827,'
        '"bbox":[123456789.123456789012345,1e11,1E-5,0.30000000000000004]}]'
    )
    results = load(text)
    assert results.scores[0] == 0.1
    assert results.boxes[0].tolist() == [123456789.12345679, 1e11, 1e-5, 0.1 + 0.2]


def test_an_empty_list_is_legal(load: Load) -> None:
    results = load(" [ ] ")
    assert results.boxes.shape == (0, 4)
    assert [len(a) for a in (results.image_ids, results.category_ids, results.scores)] == [0, 0, 0]
    assert results.kind == "coco-results"


def test_a_box_of_no_size_and_a_negative_corner_are_legal(load: Load) -> None:
    assert load([detection(bbox=[-3, -4, 0, 0])]).boxes.tolist() == [[-3, -4, 0, 0]]


def test_ignores_other_fields(load: Load) -> None:
    row = detection(segmentation={"counts": "x"}, file_name=[1], id=None, area=1e3)
    assert len(load([row]).scores) == 1


def test_takes_a_byte_order_mark(load: Load) -> None:
    assert len(load(b"\xef\xbb\xbf" + json.dumps([detection()]).encode()).scores) == 1


def test_the_last_of_two_equal_keys_counts_as_everywhere_else(load: Load) -> None:
    text = json.dumps([detection()]).replace('"score": 0.25', '"score": 0.25, "score": 0.5')
    assert load(text).scores.tolist() == [0.5]


def test_a_missing_file(annotations: Annotations, tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match=r"gone\.json: no such file"):
        read(tmp_path / "gone.json", annotations)


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b", "x" * 300 + ".parquet", "a" * 300 + "/b.json"])
def test_a_name_that_no_file_can_have(annotations: Annotations, tmp_path: Path, name: str) -> None:
    with pytest.raises(EvidenceError):
        read(tmp_path / name, annotations)


def test_a_file_over_the_limit(load: Load, annotations: Annotations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parity.dataset.annotations.LARGEST_FILE", 20)
    with pytest.raises(EvidenceError, match=r"bytes[\s\S]*at most 20 bytes"):
        load([detection()])


def test_a_sparse_file_over_4_gib_is_refused_unread(annotations: Annotations, tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate((4 << 30) + 1)
    with pytest.raises(EvidenceError, match="4,294,967,297 bytes"):
        read(path, annotations)


def test_a_file_that_may_not_be_read(
    load: Load, annotations: Annotations, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(EvidenceError, match="cannot be read: Permission denied"):
        read(Path("results.json"), annotations)
