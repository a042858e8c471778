"""What `parity compare` refuses, and what it never calls PASS."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests import results_files as made
from tests.compare_command import compare, criterion, nearly_equal, pair_of, report_of
from tests.results_files import Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return nearly_equal(tmp_path / "in")


def one_image(document: dict[str, Any]) -> dict[str, Any]:
    image = document["images"][0]["id"]
    kept = [row for row in document["annotations"] if row["image_id"] == image]
    return {**document, "images": document["images"][:1], "annotations": kept}


def empty_class(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "categories": [*document["categories"], {"id": 99, "name": "unicorn"}]}


@pytest.mark.parametrize("what", ["both empty", "one image", "no ground truth", "a class without boxes"])
def test_what_shows_nothing_is_never_pass(tmp_path: Path, what: str) -> None:
    document = made.coco_document()
    if what == "one image":
        document = one_image(document)
    elif what == "a class without boxes":
        document = empty_class(document)
    rows = [] if what == "both empty" else made.results(document)
    if what == "no ground truth":
        document = {**document, "annotations": []}
    files = made.write(tmp_path / "in", document, rows, rows)
    report = report_of(files, tmp_path / "out", "--images", "all")
    assert report["verdict"] == "INCONCLUSIVE"
    # Not by one criterion's grace alone: equal zeros are no agreement.
    outcomes = {c["name"]: c["outcome"] for c in report["pairs"][0]["criteria"]}
    if what in ("both empty", "no ground truth"):
        for name in ("map_variance", "worst_class", "operating_point"):
            assert outcomes[name] == "INCONCLUSIVE", name


def test_sides_over_different_images_are_an_error_and_common_is_the_way_out(
    tmp_path: Path, files: Files
) -> None:
    rows = [row for row in json.loads(files.candidate.read_text()) if row["image_id"] > 130]
    files.candidate.write_text(json.dumps(rows))
    result = compare(files, tmp_path / "out")
    assert result.exit_code == 3
    assert "5 only in" in result.output
    assert not (tmp_path / "out").exists()
    report = report_of(files, tmp_path / "common", "--images", "common")
    assert report["partial"]
    assert report["pairs"][0]["images"]["attempted"] == 35
    assert "only the 35 of 40 images" in report["notes"][0]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--limit", "0"), 2, "--limit 0"),
        (("--limit", "nan"), 2, "--limit nan"),
        (("--limit", "100.5"), 2, "--limit 100.5"),
        (("--out", ""), 2, "an empty name"),
        (("--resamples", "3"), 2, "--resamples 3"),
        (("--confidence", "1.5"), 2, "--confidence 1.5"),
        (("--confidence", "0.999"), 2, "at least 2000 resamples"),
        (("--confidence", "0.99", "--resamples", "100"), 2, "at least 200 resamples"),
        (("--score-threshold", "1"), 2, "--score-threshold 1"),
        (("--max-dets", "0"), 2, "max-dets"),
        (("--max-dets", "9" * 20), 2, "max-dets"),
        (("--score-floor", "7"), 2, "score-floor"),
        (("--group", "vido"), 2, "vido"),
        (("--images", "some"), 2, "some"),
    ],
)
def test_wrong_options_are_named_and_nothing_is_written(
    tmp_path: Path, files: Files, options: tuple[str, ...], code: int, words: str
) -> None:
    result = compare(files, tmp_path / "out", *options)
    assert result.exit_code == code, result.output
    assert words in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["", "{}", "[", '[{"image_id": 100}]', "[[]]", '{"images": []}'])
def test_a_file_that_is_no_list_of_results_writes_nothing(tmp_path: Path, files: Files, content: str) -> None:
    files.candidate.write_text(content)
    result = compare(files, tmp_path / "out")
    assert result.exit_code == 3, result.output
    assert "candidate.json" in result.output
    assert not (tmp_path / "out").exists()


def test_nothing_of_an_earlier_report_stays_beside_the_new_one(tmp_path: Path, files: Files) -> None:
    out = tmp_path / "out"
    pair_of(files, out, "--repeat", str(files.candidate))
    assert (out / "evidence" / "candidate" / "repeat.detections.parquet").exists()
    (out / "notes.txt").write_text("mine")
    pair_of(files, out)
    assert not (out / "evidence" / "candidate" / "repeat.detections.parquet").exists()
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["index.html", "images.csv", "evidence"])
def test_a_folder_with_other_peoples_files_is_left_alone(tmp_path: Path, files: Files, name: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).mkdir() if name == "evidence" else (out / name).write_text("mine")
    result = compare(files, out)
    assert result.exit_code == 2
    assert name in result.output
    assert [path.name for path in out.iterdir()] == [name]


def test_a_picture_folder_survives_and_inputs_are_never_written_over(tmp_path: Path, files: Files) -> None:
    folder = files.annotations.parent
    (folder / "images").mkdir()
    (folder / "images" / "a.jpg").write_text("a picture")
    for _ in range(2):
        pair_of(files, folder)
    assert (folder / "images" / "a.jpg").read_text() == "a picture"
    tables = folder / "evidence" / "candidate"
    again = replace(
        files,
        reference=tables / "reference.detections.parquet",
        candidate=tables / "candidate.detections.parquet",
    )
    before = again.candidate.read_bytes()
    assert compare(again, folder, "--score-floor", "0.5").exit_code == 2
    assert again.candidate.read_bytes() == before


def test_an_error_leaves_an_earlier_report_whole(tmp_path: Path, files: Files) -> None:
    out = tmp_path / "out"
    pair_of(files, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    files.candidate.write_text("[")
    assert compare(files, out).exit_code == 3
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_scores_under_the_production_threshold_show_nothing_there(tmp_path: Path) -> None:
    document = made.coco_document()
    rows = [{**row, "score": row["score"] * 0.49} for row in made.results(document)]
    pair = pair_of(made.write(tmp_path / "in", document, rows, rows), tmp_path / "out")
    assert criterion(pair, "map_variance")["outcome"] == "PASS"
    assert criterion(pair, "operating_point")["outcome"] == "INCONCLUSIVE"


def test_files_that_leave_out_many_images_with_boxes_are_never_pass(tmp_path: Path, files: Files) -> None:
    rows = [row for row in json.loads(files.reference.read_text()) if row["image_id"] > 130]
    cut = made.write(tmp_path / "cut", json.loads(files.annotations.read_text()), rows, rows)
    pair = pair_of(cut, tmp_path / "out")
    assert criterion(pair, "image_coverage")["outcome"] == "INCONCLUSIVE"
    assert criterion(pair_of(cut, tmp_path / "all", "--images", "all"), "image_coverage")["outcome"] == "PASS"


def test_a_repeat_over_other_images_is_an_error(tmp_path: Path, files: Files) -> None:
    rows = [row for row in json.loads(files.reference.read_text()) if row["image_id"] > 130]
    (tmp_path / "repeat.json").write_text(json.dumps(rows))
    for choice, words in (("same", "different images"), ("common", "no answers for 5 of the 40 images")):
        options = ("--repeat", str(tmp_path / "repeat.json"), "--images", choice)
        result = compare(files, tmp_path / choice, *options)
        assert result.exit_code == 3
        assert words in " ".join(result.output.split())
        assert not (tmp_path / choice).exists()


def test_outputs_that_were_not_finite_are_not_forgotten(tmp_path: Path, files: Files) -> None:
    pair_of(files, tmp_path / "out")
    tables = tmp_path / "out" / "evidence" / "candidate"
    images = pq.read_table(tables / "candidate.images.parquet")
    column = images.schema.get_field_index("nonfinite")
    spoilt = images.set_column(column, images.schema.field(column), [[3] * images.num_rows])
    pq.write_table(spoilt, tables / "candidate.images.parquet")
    pair = pair_of(replace(files, candidate=tables / "candidate.detections.parquet"), tmp_path / "again")
    assert criterion(pair, "finite_outputs")["outcome"] == "FAIL"


@pytest.mark.parametrize("where", ["folder", "missing/report.json"])
def test_a_json_file_that_cannot_be_is_refused_before_anything_runs(
    tmp_path: Path, files: Files, where: str
) -> None:
    (tmp_path / "folder").mkdir()
    result = compare(files, tmp_path / "out", "--json", str(tmp_path / where))
    assert result.exit_code == 2
    assert "--json" in result.output
    assert not (tmp_path / "out").exists()


def test_an_input_is_never_the_json_copy(tmp_path: Path, files: Files) -> None:
    before = files.reference.read_bytes()
    assert compare(files, tmp_path / "out", "--json", str(files.reference)).exit_code == 2
    assert files.reference.read_bytes() == before


def test_a_disk_that_fills_up_leaves_an_earlier_report_as_it_was(
    tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    pair_of(files, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("parity.report.write_html", full)
    result = compare(files, out)
    assert result.exit_code == 3
    assert "No space left" in result.output
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_escape_sequences_of_a_file_do_not_reach_the_terminal(tmp_path: Path, files: Files) -> None:
    files.candidate.write_text(json.dumps({"\x1b]0;owned\x07": 1}))
    result = compare(files, tmp_path / "out")
    assert result.exit_code == 3
    assert "\x1b" not in result.output
    assert "<U+001B>" in result.output


def test_no_input_and_no_table_beside_one_is_the_json_copy(tmp_path: Path, files: Files) -> None:
    repeat = tmp_path / "repeat.json"
    repeat.write_bytes(files.reference.read_bytes())
    compare(files, tmp_path / "first")
    evidence = tmp_path / "first" / "evidence" / "candidate"
    for reference, target in (
        (files.reference, files.candidate),
        (files.reference, repeat),
        (files.reference, tmp_path / "out" / "index.html"),
        (evidence / "reference.detections.parquet", evidence / "reference.images.parquet"),
    ):
        before = target.read_bytes() if target.exists() else b""
        (tmp_path / "out").mkdir(exist_ok=True)
        options = ("--repeat", str(repeat), "--json", str(target))
        result = compare(replace(files, reference=reference), tmp_path / "out", *options)
        assert result.exit_code == 2, result.output
        assert "one of the inputs" in result.output
        assert (target.read_bytes() if target.exists() else b"") == before


def test_a_reader_that_leaves_does_not_change_the_exit_code(tmp_path: Path, files: Files) -> None:
    command = [sys.executable, "-m", "parity", "compare", str(files.reference), str(files.reference)]
    command += ["--annotations", str(files.annotations), "--out", str(tmp_path / "out"), "--json", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
        assert (process.wait(120), errors.count(b"Traceback")) == (0, 0), errors


def test_a_link_that_leads_to_itself_is_a_mistake_of_the_command_line(tmp_path: Path, files: Files) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for changed, out in ((replace(files, candidate=loop), tmp_path / "out"), (files, loop)):
        result = compare(changed, out)
        assert result.exit_code in (2, 3), result.output
        assert "loop" in result.output
        assert "Traceback" not in result.output
