"""What the commands share: folders that options name."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from parity.cli import app
from parity.cli.common import folder_of


@pytest.mark.parametrize("option", ["--out", "--cache"])
def test_an_empty_name_is_not_the_current_folder(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["run", option, ""])
    assert done.exit_code == 2
    assert "an empty name" in done.output
    assert list(tmp_path.iterdir()) == []


def test_any_other_name_is_a_folder() -> None:
    assert folder_of(".") == Path()
    assert folder_of(Path("reports")) == Path("reports")
