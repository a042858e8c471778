"""The documents hold no placeholder and no dead link."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCUMENTS = sorted([*Path().glob("*.md"), *Path("docs").rglob("*.md"), *Path("benchmarks").glob("*.md")])


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_documents_are_whole(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.findall(r"@[A-Z]+@|TODO|FIXME", text)
    for target in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path} links to {target}"


def test_there_are_documents() -> None:
    assert len(DOCUMENTS) >= 8
