"""Evidence is compared with the versions that Triton would load, and with no others."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from parity.repository.check import check
from tests import repository_samples as made
from tests.repository_faults import version
from tests.repository_samples import Sample

POLICY = "latest { num_versions: 1 }"


def add_version(root: Path, number: int) -> None:
    """Another build of the same model: its own plan, which the manifest beside it describes."""
    folder = version(root).parent / str(number)
    shutil.copytree(version(root), folder)
    plan = made.plan()[:-1] + bytes([number])
    document = json.loads((folder / "build.json").read_text())
    document["plan_sha256"] = hashlib.sha256(plan).hexdigest()
    (folder / "model.plan").write_bytes(plan)
    (folder / "build.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("policy", "drifted"),
    [
        (POLICY, ["10"]),
        ("", ["10"]),
        ("latest { }", ["10"]),
        ("latest { num_versions: 2 }", ["2", "10"]),
        ("latest { num_versions: 9 }", ["2", "10"]),
        ("all { }", ["2", "10"]),
        ("specific { versions: [ 1 ] }", []),
        ("specific { versions: [ 1, 2 ] }", ["2"]),
        ("specific { versions: [ 2 ] }", ["2"]),
    ],
)
def test_the_versions_that_are_loaded(tmp_path: Path, policy: str, drifted: list[str]) -> None:
    """Version 1 was measured; 2 and 10 were not."""
    sample = Sample()
    sample.replace(POLICY, policy)
    request = sample.write(tmp_path)
    for number in (2, 10):
        add_version(tmp_path, number)
    found = check(request).findings
    assert {finding.code for finding in found} <= {"EVIDENCE_DRIFT"}
    assert [finding.file for finding in found] == [f"yolo26/{number}/model.plan" for number in drifted]
