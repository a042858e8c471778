"""`parity compare`: two files in, one honest report out, with nothing else installed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import results_files as made
from tests.coco_oracle import METRICS
from tests.compare_command import compare, criterion, nearly_equal, pair_of, report_of
from tests.results_files import Files

ORACLE_TOLERANCE = 1e-12


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return nearly_equal(tmp_path / "in")


def assert_equal_to_pycocotools(pair: dict[str, Any], files: Files, most: int = 100) -> None:
    for side, path in (("reference", files.reference), ("candidate", files.candidate)):
        values, classes = made.pycocotools_on(files, path, most=most)
        for name in METRICS:
            found, expected = pair["accuracy"][side][name], values[name]
            assert (found is None) == (expected is None), name
            assert found == pytest.approx(expected, abs=ORACLE_TOLERANCE, rel=0), name
        for entry, expected in zip(pair["accuracy"]["classes"], classes, strict=True):
            assert entry[side] == pytest.approx(expected, abs=ORACLE_TOLERANCE, rel=0)


@pytest.mark.parametrize("decimals", [1, 2, 6])
@pytest.mark.parametrize("seed", [0, 1])
def test_values_are_those_of_pycocotools_on_the_same_files(tmp_path: Path, decimals: int, seed: int) -> None:
    document = made.coco_document(seed=seed)
    reference = made.results(document, seed=seed, decimals=decimals, extra=15)
    candidate = made.results(document, seed=seed + 9, decimals=decimals, extra=15)
    files = made.write(tmp_path / "in", document, reference, candidate)
    assert_equal_to_pycocotools(pair_of(files, tmp_path / "out", "--resamples", "100"), files)


@pytest.mark.parametrize("most", [1, 3, 500])
def test_max_dets_is_that_of_pycocotools(tmp_path: Path, files: Files, most: int) -> None:
    pair = pair_of(files, tmp_path / "out", "--max-dets", str(most), "--resamples", "100")
    assert_equal_to_pycocotools(pair, files, most)


def test_pycocotools_itself_can_be_asked(tmp_path: Path, files: Files) -> None:
    own = pair_of(files, tmp_path / "own")["accuracy"]
    theirs = pair_of(files, tmp_path / "theirs", "--evaluator", "pycocotools")["accuracy"]
    assert "pycocotools" in theirs["evaluator"]
    for name in METRICS:
        for side in ("reference", "candidate"):
            assert theirs[side][name] == pytest.approx(own[side][name], abs=ORACLE_TOLERANCE)
    assert theirs["difference"]["AP"]["interval"] == own["difference"]["AP"]["interval"]


def test_a_file_against_itself_is_zero_and_pass(tmp_path: Path, files: Files) -> None:
    report = report_of(replace(files, candidate=files.reference), tmp_path / "out")
    assert report["verdict"] == "PASS"
    (pair,) = report["pairs"]
    difference = pair["accuracy"]["difference"]
    for name in ("AP", "AP50", "AP75"):
        assert difference[name]["value"] == 0
        assert difference[name]["interval"] == [0, 0]
        assert difference[name]["relative_percent_interval"] == [0, 0]
    for entry in pair["accuracy"]["classes"]:
        assert entry["difference"]["interval"] == [0, 0]
    estimates = {entry["name"]: entry for entry in pair["estimates"]}
    assert estimates["operating_point.flip_rate"]["value"] == 0
    assert estimates["confidence.slope"]["value"] == 1
    assert estimates["confidence.shift"]["value"] == 0
    assert estimates["pseudo_truth.AP"]["value"] == pytest.approx(100)
    assert "same file" in " ".join(report["notes"])


def test_swapping_the_sides_flips_every_sign(tmp_path: Path, files: Files) -> None:
    swapped = replace(files, reference=files.candidate, candidate=files.reference)
    one = pair_of(files, tmp_path / "one")["accuracy"]
    other = pair_of(swapped, tmp_path / "other")["accuracy"]
    for name in ("AP", "AP50", "AP75"):
        there, back = one["difference"][name], other["difference"][name]
        assert there["value"] == -back["value"]
        assert there["interval"] == [-back["interval"][1], -back["interval"][0]]
    shifts = [
        next(e for e in pair_of(f, tmp_path / f"s{i}")["estimates"] if e["name"] == "confidence.shift")
        for i, f in enumerate((files, swapped))
    ]
    assert shifts[0]["value"] == pytest.approx(-shifts[1]["value"], abs=1e-12)
    for there, back in zip(one["classes"], other["classes"], strict=True):
        assert there["difference"]["value"] == -back["difference"]["value"]
        assert there["p_value"] == back["p_value"]


def without_run(report: dict[str, Any]) -> dict[str, Any]:
    """A report without what differs between two runs of the same command on other files."""
    (pair,) = report["pairs"]
    kept = {key: value for key, value in pair.items() if key not in ("timings", "provenance")}
    return {**{k: v for k, v in report.items() if k not in ("created", "command", "run_id")}, "pairs": [kept]}


def test_the_order_of_rows_plays_no_part(tmp_path: Path, files: Files) -> None:
    shuffled = made.write(
        tmp_path / "shuffled",
        json.loads(files.annotations.read_text()),
        *(
            [rows[i] for i in np.random.default_rng(3).permutation(len(rows))]
            for rows in (json.loads(p.read_text()) for p in (files.reference, files.candidate))
        ),
    )
    one, other = (report_of(f, tmp_path / f"out{i}") for i, f in enumerate((files, shuffled)))
    assert without_run(one) == without_run(other)
    for name in ("images.csv", "differences.csv", "criteria.csv"):
        assert (tmp_path / "out0" / name).read_bytes() == (tmp_path / "out1" / name).read_bytes()


def test_the_same_seed_gives_the_same_report_and_another_one_other_intervals(
    tmp_path: Path, files: Files
) -> None:
    first, again, other = (
        report_of(files, tmp_path / f"out{i}", "--seed", seed) for i, seed in enumerate(("7", "7", "8"))
    )
    assert without_run(first) == without_run(again)
    intervals = [r["pairs"][0]["accuracy"]["difference"]["AP"]["interval"] for r in (first, other)]
    assert intervals[0] != intervals[1]


def test_groups_are_resampled_whole(tmp_path: Path, files: Files) -> None:
    report = report_of(files, tmp_path / "out", "--group", "scene")
    assert {entry["n"] for entry in report["pairs"][0]["estimates"]} == {10}
    assert "scene" in " ".join(report["notes"])
    assert criterion(report["pairs"][0], "map_variance")["n"] == 10


def test_the_limit_is_the_readers(tmp_path: Path, files: Files) -> None:
    strict = criterion(pair_of(files, tmp_path / "strict", "--limit", "0.000001"), "map_variance")
    wide = criterion(pair_of(files, tmp_path / "wide", "--limit", "50"), "map_variance")
    assert (strict["outcome"], strict["limit"]) == ("FAIL", 0.000001)
    assert (wide["outcome"], wide["limit"]) == ("PASS", 50)


def test_a_candidate_that_scores_low_is_seen_although_its_ap_is_the_same(tmp_path: Path) -> None:
    document = made.coco_document()
    reference = made.results(document)
    low = [{**row, "score": row["score"] * 0.9} for row in reference]
    pair = pair_of(made.write(tmp_path / "in", document, reference, low), tmp_path / "out")
    assert pair["accuracy"]["difference"]["AP"]["value"] == 0
    assert criterion(pair, "map_variance")["outcome"] == "PASS"
    shift = criterion(pair, "confidence_shift")
    assert shift["outcome"] == "FAIL"
    # A mean of 0.5 is 0.526 on one side and 0.474 on the other.
    assert shift["observed"] == pytest.approx(-0.1 * 0.5 / 0.95, abs=1e-6)
    slope = next(e for e in pair["estimates"] if e["name"] == "confidence.slope")
    assert slope["value"] == pytest.approx(0.9, abs=1e-5)


def test_a_repeat_gives_the_noise_floor(tmp_path: Path, files: Files) -> None:
    missing = {e["name"]: e for e in pair_of(files, tmp_path / "without")["estimates"]}
    assert missing["noise_floor.AP"]["reason"] == "no repeat of the reference was stored"
    found = pair_of(files, tmp_path / "with", "--repeat", str(files.candidate))
    estimates = {e["name"]: e for e in found["estimates"]}
    difference = found["accuracy"]["difference"]["AP"]
    assert estimates["noise_floor.AP"]["value"] == difference["relative_percent"]
    assert estimates["noise_floor.AP"]["interval"] == difference["relative_percent_interval"]
    # The repeat is the candidate's file, so every measure of it is the candidate's.
    for name in (
        "operating_point.f1.change",
        "operating_point.flip_rate",
        "agreement.iou_0.95",
        "pseudo_truth.AP",
        "confidence.shift",
    ):
        own, floor = estimates[name], estimates[f"noise_floor.{name}"]
        assert (own["value"], own["interval"]) == (floor["value"], floor["interval"]), name


def test_every_estimate_has_an_interval_or_says_why_not(tmp_path: Path, files: Files) -> None:
    for entry in pair_of(files, tmp_path / "out")["estimates"]:
        assert (entry["value"] is not None and entry["interval"] is not None) or entry["reason"], entry


def test_the_score_floor_leaves_out_what_is_under_it(tmp_path: Path, files: Files) -> None:
    floored = [row for row in json.loads(files.reference.read_text()) if row["score"] >= 0.3]
    cut = made.write(tmp_path / "cut", json.loads(files.annotations.read_text()), floored, floored)
    expected, _ = made.pycocotools_on(cut, cut.reference)
    pair = pair_of(files, tmp_path / "out", "--score-floor", "0.3")
    assert pair["accuracy"]["reference"]["AP"] == pytest.approx(expected["AP"], abs=ORACLE_TOLERANCE)


def test_json_to_standard_output_is_the_document_and_nothing_else(tmp_path: Path, files: Files) -> None:
    result = compare(files, tmp_path / "out", "--json", "-")
    assert json.loads(result.stdout) == json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))


def test_its_own_tables_can_be_compared_again(tmp_path: Path, files: Files) -> None:
    pair_of(files, tmp_path / "out")
    folder = tmp_path / "out" / "evidence" / "candidate"
    again = replace(
        files,
        reference=folder / "reference.detections.parquet",
        candidate=folder / "candidate.detections.parquet",
    )
    first = pair_of(files, tmp_path / "first")["accuracy"]["reference"]["AP"]
    assert pair_of(again, tmp_path / "again")["accuracy"]["reference"]["AP"] == pytest.approx(first, abs=1e-6)


def test_the_light_core_is_enough(tmp_path: Path, files: Files) -> None:
    """In a process in which the heavy packages cannot be imported at all."""
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        heavy = ('torch', 'ultralytics', 'tritonclient', 'onnx', 'onnxruntime', 'pycocotools')\n"
        "        if name.split('.')[0] in heavy: raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "sys.argv[0] = 'parity'\n"
        "from parity.cli import main\n"
        "main()\n"
    )
    command = [
        sys.executable, "-c", code, "compare", str(files.reference), str(files.candidate),
        "--annotations", str(files.annotations), "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path.cwd())
    assert done.returncode in (0, 11), done.stderr
    assert (tmp_path / "out" / "index.html").is_file()


def test_a_repeat_is_measured_as_the_sides_are(tmp_path: Path, files: Files) -> None:
    pair = pair_of(files, tmp_path / "out", "--repeat", str(files.reference), "--max-dets", "1")
    floor = next(e for e in pair["estimates"] if e["name"] == "noise_floor.AP")
    assert (floor["value"], floor["interval"]) == (0, [0, 0])


def test_the_score_floor_cuts_tables_and_files_alike(tmp_path: Path) -> None:
    document = made.coco_document()
    rows = made.results(document, decimals=1)
    files = made.write(tmp_path / "in", document, rows, rows)
    first = pair_of(files, tmp_path / "out")
    tables = tmp_path / "out" / "evidence" / "candidate" / "candidate.detections.parquet"
    mixed = pair_of(replace(files, candidate=tables), tmp_path / "mixed", "--score-floor", "0.7")
    counts = mixed["agreement"]
    assert counts["missing"] == counts["extra"] == 0
    assert counts["matched"] < first["agreement"]["matched"]


def test_chance_does_not_cost_a_rare_class(tmp_path: Path) -> None:
    """Sides that differ by chance alone, in a data set whose classes have a handful of boxes."""
    alarms = 0
    for seed in range(10):
        document = made.coco_document(images=60, classes=20, boxes=4, seed=seed)
        base = made.results(document, seed=seed)
        one, other = (made.jittered(base, 2.0, 0.1, seed=2 * seed + side) for side in range(2))
        files = made.write(tmp_path / str(seed), document, one, other)
        pair = pair_of(files, tmp_path / f"out{seed}", "--resamples", "200")
        alarms += criterion(pair, "worst_class")["outcome"] == "FAIL"
    assert alarms <= 1


def test_ties_are_counted_in_the_notes(tmp_path: Path) -> None:
    document = made.coco_document()
    rows = made.results(document, decimals=1, extra=15)
    report = report_of(made.write(tmp_path / "in", document, rows, rows), tmp_path / "out")
    assert "have the score of another of their image and class" in " ".join(report["notes"])


def test_a_class_in_one_image_can_pass_when_its_detections_are_the_same(tmp_path: Path) -> None:
    document = made.coco_document()
    first = document["images"][0]["id"]
    lone = {
        "id": 9999,
        "image_id": first,
        "category_id": 99,
        "bbox": [5, 5, 50, 50],
        "area": 2500,
        "iscrowd": 0,
    }
    document["categories"].append({"id": 99, "name": "once"})
    document["annotations"].append(lone)
    rows = [
        *made.results(document),
        {"image_id": first, "category_id": 99, "bbox": [6, 5, 50, 50], "score": 0.9},
    ]
    same = pair_of(made.write(tmp_path / "same", document, rows, rows), tmp_path / "out1")
    assert criterion(same, "worst_class")["outcome"] == "PASS"
    moved = [{**row, "bbox": [9, 5, 50, 50]} if row["category_id"] == 99 else row for row in rows]
    other = pair_of(made.write(tmp_path / "moved", document, rows, moved), tmp_path / "out2")
    assert criterion(other, "worst_class")["outcome"] == "INCONCLUSIVE"


def test_the_production_threshold_is_the_users(tmp_path: Path) -> None:
    files = nearly_equal(tmp_path / "in")
    found = {}
    for threshold in ("0.2", "0.8"):
        report = report_of(files, tmp_path / threshold, "--score-threshold", threshold)
        (pair,) = report["pairs"]
        assert pair["provenance"]["settings"]["score_threshold"] == float(threshold)
        found[threshold] = {each["name"]: each["value"] for each in pair["estimates"]}
    for side in ("reference", "candidate"):
        name = f"operating_point.recall.{side}"
        assert found["0.2"][name] > found["0.8"][name], "a higher threshold finds less"
