"""What a user may not read is a finding: the check runs as somebody who is not root."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repository_samples import Sample

NOBODY = 65534
# Everything is imported as whoever runs the tests, whose environment others may not be able to read.
AS_NOBODY = """
import json, os, sys
from pathlib import Path
from parity.repository.check import Request, check
request = {root: Request(repository=Path(root), reports=Path("none")) for root in sys.argv[2:]}
check(request[sys.argv[2]])
if os.geteuid() == 0:
    os.setegid(int(sys.argv[1])), os.seteuid(int(sys.argv[1]))
found = {}
for root in sys.argv[2:]:
    try:
        found[root] = [[f.code, f.file, f.found] for f in check(request[root]).findings]
    except Exception as error:
        found[root] = [["RAISED", type(error).__name__, str(error)]]
print(json.dumps(found))
"""
CLOSED = (
    "",
    "yolo26",
    "yolo26/1",
    "yolo26/1/build.json",
    "yolo26/1/model.plan",
    "yolo26/config.pbtxt",
    "sub",
)


@pytest.fixture(scope="module")
def found() -> Iterator[dict[str, list[list[str]]]]:
    """The findings of a repository in which one file or folder, the key, has no permissions at all."""
    folder = Path(tempfile.mkdtemp())
    try:
        yield _found(folder)
    finally:
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)
        shutil.rmtree(folder)


def _found(folder: Path) -> dict[str, list[list[str]]]:
    if not all(parent.stat().st_mode & stat.S_IXOTH for parent in folder.parents):
        pytest.skip(f"another user cannot reach {folder}")
    roots = {}
    for number, closed in enumerate(("clean", *CLOSED)):
        sample = Sample()
        if closed == "sub":
            sample.replace("max_batch_size: 8", 'max_batch_size: 8\ndefault_model_filename: "sub/a.plan"')
        sample.write(folder / str(number))
        roots[closed] = folder / str(number) / "repository"
    inner = roots["sub"] / "yolo26" / "1" / "sub"
    inner.mkdir()
    (inner.parent / "model.plan").rename(inner / "a.plan")
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    for closed in CLOSED:
        (inner if closed == "sub" else roots[closed] / closed).chmod(0)
    command = [sys.executable, "-c", AS_NOBODY, str(NOBODY), *map(str, roots.values())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "PermissionError" in done.stderr and "seteuid" in done.stderr:
        pytest.skip("root cannot become another user here, and for root nothing is unreadable")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return {closed: told[str(root)] for closed, root in roots.items()}


def codes(rows: list[list[str]]) -> list[str]:
    return sorted(code for code, _, _ in rows if code not in ("NO_EVIDENCE", "NO_TARGET"))


def test_a_repository_that_can_be_read(found: dict[str, list[list[str]]]) -> None:
    assert codes(found["clean"]) == []


@pytest.mark.parametrize(
    "closed",
    ["yolo26/1", "yolo26/1/build.json", "yolo26/1/model.plan", "sub"],
)
def test_what_cannot_be_read_is_the_one_finding(closed: str, found: dict[str, list[list[str]]]) -> None:
    assert codes(found[closed]) == ["UNREADABLE"], found[closed]
    ((_, file, said),) = [row for row in found[closed] if row[0] == "UNREADABLE"]
    assert file == ("yolo26/1/sub/a.plan" if closed == "sub" else closed)
    assert "Permission denied" in said or "cannot be entered" in said


@pytest.mark.parametrize("closed", ["yolo26", "yolo26/config.pbtxt"])
def test_without_its_folder_or_configuration_a_model_is_not_checked(
    closed: str, found: dict[str, list[list[str]]]
) -> None:
    assert set(codes(found[closed])) == {"UNREADABLE"}, found[closed]
    assert "yolo26/config.pbtxt" in [file for _, file, _ in found[closed]]


def test_a_repository_that_cannot_be_entered_is_an_error_of_usage(found: dict[str, list[list[str]]]) -> None:
    ((code, kind, said),) = found[""]
    assert (code, kind) == ("RAISED", "UsageError")
    assert "cannot be read: Permission denied" in said
