"""build.json: what is written is read again, and what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parity.errors import EvidenceError
from parity.repository.manifest import BuildManifest, read_manifest, write_manifest
from tests.build_samples import manifest


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "build.json"
    write_manifest(manifest(), path)
    assert read_manifest(path) == manifest()
    assert [file.name for file in tmp_path.iterdir()] == ["build.json"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("plan_sha256", "abc"),
        ("compute_capabilities", []),
        ("compute_capabilities", ["sm90"]),
        ("profile", {"min": 0, "opt": 4, "max": 8}),
        ("profile", {"min": 1, "opt": 99, "max": 8}),
        ("format", 2),
        ("precision", "best"),
        ("surprise", 1),
        ("input_size", ["256", "256"]),
        ("seconds", -1),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, key: str, value: object) -> None:
    document = {**manifest().model_dump(mode="json"), key: value}
    path = tmp_path / "build.json"
    path.write_text(json.dumps(document))
    with pytest.raises(EvidenceError, match=key):
        read_manifest(path)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    document = {**manifest().model_dump(mode="json"), "builder": 3, "names": []}
    del document["gpu"]
    path = tmp_path / "build.json"
    path.write_text(json.dumps(document))
    with pytest.raises(EvidenceError) as caught:
        read_manifest(path)
    assert all(key in caught.value.found for key in ("builder", "names", "gpu"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"[" * 100_000])
def test_what_is_no_manifest(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "build.json"
    path.write_bytes(content)
    with pytest.raises(EvidenceError):
        read_manifest(path)


def test_a_missing_manifest_is_not_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_manifest(tmp_path / "build.json")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "build.json"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(EvidenceError, match="MiB"):
        read_manifest(path)


def test_the_model_is_strict() -> None:
    assert BuildManifest.model_config["extra"] == "forbid"
