"""The digest of a model repository changes with everything that is in it; evidence stays what was judged."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from parity.errors import EvidenceError
from parity.ledger import append, check_evidence, evidence_digests, read, repository_digest
from tests.ledger_samples import digest, record


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "models"
    for name, text in {"yolo26/config.pbtxt": "c", "yolo26/1/model.plan": "p", "rtdetr/1/x": "x"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_every_file_counts(repository: Path) -> None:
    found = repository_digest(repository)
    assert {file.path: file.sha256 for file in found.files} == {
        "yolo26/config.pbtxt": digest("c"),
        "yolo26/1/model.plan": digest("p"),
        "rtdetr/1/x": digest("x"),
    }
    assert found == repository_digest(repository)
    assert list(found.models()) == ["rtdetr", "yolo26"]


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "yolo26/1/model.plan").write_text("P"),
        lambda root: (root / "yolo26/config.pbtxt").write_text("c\n"),
        lambda root: (root / "yolo26/labels.txt").write_text(""),
        lambda root: (root / "yolo26/1/.hidden").write_text(""),
        lambda root: (root / ".hidden").write_text(""),
        lambda root: (root / "yolo26/.git").mkdir(),
        lambda root: (root / "yolo26/2").mkdir(),
        lambda root: (root / "third").mkdir(),
        lambda root: (root / "yolo26/1").replace(root / "yolo26/2"),
        lambda root: (root / "rtdetr/1/x").unlink(),
        lambda root: (root / "yolo26/3").symlink_to("1"),
    ],
)
def test_every_change_is_another_repository(repository: Path, change: Callable[[Path], object]) -> None:
    before = repository_digest(repository)
    change(repository)
    assert repository_digest(repository).digest != before.digest


def test_what_git_keeps_in_the_root_does_not_count(repository: Path) -> None:
    before = repository_digest(repository)
    (repository / ".git").mkdir()
    (repository / ".git" / "HEAD").write_text("ref")
    assert repository_digest(repository) == before


def test_a_link_counts_as_what_it_leads_to(repository: Path, tmp_path: Path) -> None:
    before = repository_digest(repository)
    store = tmp_path / "store"
    store.mkdir()
    (repository / "yolo26/1/model.plan").replace(store / "plan")
    (repository / "yolo26/1/model.plan").symlink_to(store / "plan")
    with pytest.raises(EvidenceError, match=r"yolo26/1/model.plan: a link to .*/store/plan"):
        repository_digest(repository)
    assert repository_digest(repository, [store]) == before
    (store / "plan").write_text("other")
    assert repository_digest(repository, [store]).digest != before.digest


def test_everything_that_cannot_be_read_is_named(repository: Path, tmp_path: Path) -> None:
    (repository / "out").symlink_to(tmp_path)
    (repository / "loop").symlink_to(repository / "yolo26")
    (repository / "yolo26/up").symlink_to("..")
    (repository / "gone").symlink_to("nowhere")
    os.mkfifo(repository / "pipe")
    with open(os.path.join(os.fsencode(repository), b"\xff"), "w"):  # noqa: PTH118, PTH123
        pass
    with pytest.raises(EvidenceError) as error:
        repository_digest(repository)
    for line in (
        f"out: a link to {tmp_path}, out of reach",
        "yolo26/up: a link to a folder that it lies in",
        "gone: cannot be read: No such file or directory",
        "pipe: no regular file",
        r"the name '\udcff' is not UTF-8",
    ):
        assert line in str(error.value)


def test_a_repository_without_files(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="no file"):
        repository_digest(tmp_path)
    (tmp_path / "yolo26").mkdir()
    with pytest.raises(EvidenceError, match="no file"):
        repository_digest(tmp_path)
    with pytest.raises(EvidenceError, match="cannot be read: No such file"):
        repository_digest(tmp_path / "none")


def test_many_files_are_refused(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parity.ledger.digests.MOST_FILES", 3)
    repository_digest(repository)
    monkeypatch.setattr("parity.ledger.digests.MOST_FILES", 2)
    with pytest.raises(EvidenceError, match="more than 2 files"):
        repository_digest(repository)


def test_many_problems_are_cut(tmp_path: Path) -> None:
    for number in range(25):
        (tmp_path / f"{number}").symlink_to("nowhere")
    with pytest.raises(EvidenceError, match="and 5 more"):
        repository_digest(tmp_path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("reports/run/report.json", "reports/run/a/b.parquet", "policy.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_evidence_is_files_and_all_files_of_folders(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    names = ["policy.toml", "reports/run/a/b.parquet", "reports/run/report.json"]
    for paths in (
        [Path("policy.toml"), Path("reports/run")],
        [root / "policy.toml", root / "reports", root / "reports/run/report.json"],
        [Path()],
    ):
        found = evidence_digests(root, paths)
        assert [(file.path, file.sha256) for file in found] == [(name, digest(name)) for name in names]
    assert evidence_digests(root, []) == ()


def test_evidence_that_is_missing_empty_or_elsewhere(root: Path) -> None:
    (root / "empty").mkdir()
    (root / "etc").symlink_to("/etc/hostname")
    paths = [root / "empty", root / "none", root / "etc", root.parent, root / ".." / "x"]
    with pytest.raises(EvidenceError) as error:
        evidence_digests(root, paths)
    assert "5 problems" in str(error.value)
    for line in ("empty: a folder without files", "none: cannot be read", "a link to", f"outside {root}"):
        assert line in str(error.value)


def test_evidence_is_held_to_what_was_judged(root: Path) -> None:
    folder = root / "ledger"
    evidence = evidence_digests(root, [root / "reports", root / "policy.toml"])
    append(folder, record(evidence=evidence))
    append(folder, record(evidence=evidence[:2]))
    append(folder, record(evidence=evidence[:1]))
    before = evidence[0].model_copy(update={"sha256": digest("before")})
    append(folder, record(evidence=(before,)))
    stored = read(folder)
    assert check_evidence(stored[:3], root) == []
    (finding,) = check_evidence(stored, root)
    assert (finding.file, finding.expected) == ("policy.toml", f"{before.sha256[:16]}..., as in 000004.json")
    (root / "policy.toml").write_text("looser")
    shutil.rmtree(root / "reports" / "run" / "a")
    (root / "reports/run/report.json").unlink()
    (root / "reports/run/report.json").symlink_to("/etc/hostname")
    found = [
        (each.code, each.file, each.expected.split(" as in ")[1]) for each in check_evidence(stored, root)
    ]
    assert found == [
        ("EVIDENCE_CHANGED", "policy.toml", "000001.json and 2 more"),
        ("EVIDENCE_GONE", "reports/run/a/b.parquet", "000001.json and 1 more"),
        ("EVIDENCE_GONE", "reports/run/report.json", "000001.json"),
        ("EVIDENCE_CHANGED", "policy.toml", "000004.json"),
    ]


def test_a_large_file_is_read_to_its_end(repository: Path) -> None:
    content = os.urandom(5 << 20)
    (repository / "yolo26/1/model.plan").write_bytes(content)
    found = {file.path: file.sha256 for file in repository_digest(repository).files}
    assert found["yolo26/1/model.plan"] == hashlib.sha256(content).hexdigest()
