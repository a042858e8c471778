"""Links are followed to what the user named and no further, and where they lead is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from parity.cli import app
from parity.repository.check import Request, check
from parity.repository.check.files import Unreadable
from parity.repository.check.links import OutOfReach, Reach
from tests.repository_faults import linked_out, version
from tests.repository_samples import Sample

EVERYTHING = ("../labels.txt", "model.plan", "model.onnx", "build.json", "../config.pbtxt", "", "..")


def request_with(root: Path, *stores: Path) -> Request:
    return Sample(request={"stores": stores}).write(root)


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_link_to_a_named_store_is_followed(tmp_path: Path, name: str) -> None:
    store = tmp_path / "store"
    request = request_with(tmp_path, store)
    linked_out(name)(tmp_path)
    store.mkdir()
    place = tmp_path / "elsewhere"
    link = next(path for path in (tmp_path / "repository").rglob("*") if path.is_symlink())
    link.unlink()
    link.symlink_to(place.rename(store / "kept"))
    assert check(request).findings == ()


@pytest.mark.parametrize("name", EVERYTHING)
def test_what_lies_behind_a_link_that_leads_out_is_neither_read_nor_told(tmp_path: Path, name: str) -> None:
    request = request_with(tmp_path)
    linked_out(name)(tmp_path)
    if name not in ("", ".."):
        (tmp_path / "elsewhere").write_text("password: hunter2")
    (found,) = check(request).findings
    assert str(tmp_path / "elsewhere") in found.found
    assert "--store" in found.fix
    assert "hunter2" not in f"{found}"


def test_links_within_the_repository_are_followed(tmp_path: Path) -> None:
    request = request_with(tmp_path)
    kept = tmp_path / "repository" / ".kept"
    (version(tmp_path) / "model.plan").rename(kept)
    (version(tmp_path) / "model.plan").symlink_to("../../.kept")
    assert check(request).findings == ()


def test_a_repository_that_is_itself_a_link(tmp_path: Path) -> None:
    request_with(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "repository")
    found = check(Request(repository=tmp_path / "link", reports=tmp_path)).findings
    assert {finding.code for finding in found} == {"NO_EVIDENCE", "NO_TARGET"}


def test_a_plan_that_was_lost_behind_its_link_is_never_allowed(tmp_path: Path) -> None:
    sample = Sample(request={"allow_unbuilt": True})
    request = sample.write(tmp_path)
    for name in ("model.onnx", "build.json", "model.plan"):
        (version(tmp_path) / name).unlink()
    (version(tmp_path) / "model.plan").symlink_to(tmp_path / "gone.plan")
    (found,) = check(request).findings
    assert (found.code, found.found) == (
        "PLAN_MISSING",
        f"a link to {tmp_path / 'gone.plan'}, where nothing is",
    )


def test_many_folders_are_one_finding(tmp_path: Path) -> None:
    request = request_with(tmp_path)
    for i in range(20):
        (version(tmp_path).parent / f"v{i:02}").mkdir()
    (found,) = check(request).findings
    assert found.file == "yolo26"
    assert found.found == "folders called 'v00', 'v01', 'v02', 'v03', 'v04' and 15 more"


def test_a_store_has_to_be_there(tmp_path: Path) -> None:
    Sample().write(tmp_path)
    done = CliRunner().invoke(
        app, ["repository", "check", str(tmp_path / "repository"), "--no-run-file", "--store", "nowhere"]
    )
    assert done.exit_code == 2
    assert "--store nowhere" in done.stderr


def test_reach(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "ab").write_text("x")
    (tmp_path / "a" / "f").write_text("x")
    (tmp_path / "a" / "out").symlink_to("../ab")
    (tmp_path / "a" / "loop").symlink_to("loop")
    reach = Reach(tmp_path / "a")
    reach.open(tmp_path / "a" / "f").close()
    assert reach.escape(tmp_path / "a" / "out") == tmp_path / "ab"
    assert reach.escape(tmp_path / "ab") == tmp_path / "ab", "a name that only begins alike"
    with pytest.raises(OutOfReach, match="out of the repository"):
        reach.open(tmp_path / "a" / ".." / "ab")
    with pytest.raises(Unreadable):
        reach.open(tmp_path / "a" / "loop")
    Reach(tmp_path / "ab").open(tmp_path / "a" / "out").close()
