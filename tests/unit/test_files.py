"""Files and folders are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from parity.files import folder_whole


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_takes_the_place_of_the_former(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr("sys.platform", "other")
    target = tmp_path / "deep" / "1"
    for content in ("one", "two"):
        with folder_whole(target) as part:
            (part / "file").write_text(content)
            assert part.parent == target.parent
        assert (target / "file").read_text() == content
    assert [path.name for path in target.parent.iterdir()] == ["1"]
    assert target.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_folder_that_fails_leaves_the_former(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "1"
    target.mkdir()
    (target / "file").write_text("one")
    with pytest.raises(error), folder_whole(target) as part:  # noqa: PT012
        (part / "file").write_text("two")
        raise error
    assert (target / "file").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
