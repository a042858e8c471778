"""Pictures that cannot be used get a status, the run goes on, and the verdict is not PASS."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.integration.helpers import ROOT, cache
from tests.integration.test_command import only_report, parity, run_file

pytestmark = pytest.mark.integration
GOOD = 12


def encoded(mode: str, form: str) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (64, 48), 100).save(buffer, form)
    return buffer.getvalue()


def bad_pictures() -> dict[str, bytes]:
    whole = (ROOT / "datasets" / "street" / "images" / "000001.jpg").read_bytes()
    return {
        "truncated.jpg": whole[: len(whole) // 2],
        "not an image.jpg": b"<html>no</html>",
        "sixteen.png": cv2.imencode(".png", np.full((48, 64, 3), 40_000, np.uint16))[1].tobytes(),
        "grey.jpg": encoded("L", "JPEG"),
        "cmyk.jpg": encoded("CMYK", "JPEG"),
        "rgba.png": encoded("RGBA", "PNG"),
        "one.png": cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes(),
        "huge.png": cv2.imencode(".png", np.zeros((2000, 2000, 3), np.uint8))[1].tobytes(),
        "=<script>alert(1)<script>.jpg": b"",
    }


STATUSES = {
    "truncated.jpg": "unreadable",
    "not an image.jpg": "unreadable",
    "sixteen.png": "unsupported",
    "grey.jpg": "unsupported",
    "cmyk.jpg": "unsupported",
    "rgba.png": "unsupported",
    "one.png": "unsupported",
    "huge.png": "too_large",
    "=<script>alert(1)<script>.jpg": "unreadable",
}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Some of the demo's images and every kind of bad one."""
    source = json.loads((ROOT / "datasets" / "street" / "annotations.json").read_text())
    images = source["images"][:GOOD]
    (tmp_path / "images").mkdir()
    for image in images:
        shutil.copy(ROOT / "datasets" / "street" / "images" / image["file_name"], tmp_path / "images")
    for i, (name, data) in enumerate(bad_pictures().items(), start=1000):
        (tmp_path / "images" / name).write_bytes(data)
        side = {"one.png": (1, 1), "huge.png": (2000, 2000)}.get(name, (64, 48))
        images.append({"id": i, "file_name": name, "width": side[0], "height": side[1]})
    kept = {image["id"] for image in images}
    document = {
        "images": images,
        "annotations": [a for a in source["annotations"] if a["image_id"] in kept],
        "categories": source["categories"],
    }
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(document))
    return path


def test_bad_pictures_get_a_status_and_the_run_goes_on(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, dataset: Path
) -> None:
    mine = run_file(tmp_path, (f'path = "{ROOT}/datasets/street"', f'path = "{dataset}"\nmax_megapixels = 2'))
    done = parity(
        "run", str(mine), "--model", "rtdetr", "--out", str(tmp_path / "out"),
        "--cache", str(cache(tmp_path_factory)),
    )  # fmt: skip
    assert done.returncode == 10, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    folder, report = only_report(tmp_path / "out")
    (pair,) = report["pairs"]
    assert pair["images"]["attempted"] == GOOD + len(STATUSES)
    assert pair["images"]["answered_by_both"] == GOOD
    assert {c["name"]: c["outcome"] for c in pair["criteria"]}["image_coverage"] == "FAIL"
    named = {(f["side"], f["file_name"]): f["status"] for f in pair["images"]["failures"]}
    assert named == {
        (side, name): status for side in ("reference", "candidate") for name, status in STATUSES.items()
    }
    with (folder / "images.csv").open(newline="") as file:
        rows = {int(row["image_id"]): row for row in csv.DictReader(file)}
    assert len(rows) == GOOD + len(STATUSES)
    assert rows[1000]["candidate_status"] == "unreadable"
    assert rows[1000]["candidate_message"].startswith("truncated")
    assert rows[1001]["candidate_message"].startswith("not an image")
    assert rows[1001]["reference_message"].startswith("not an image")
    assert rows[1008]["file_name"].startswith("'="), "no spreadsheet may take it for a formula"
    page = (folder / "index.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
