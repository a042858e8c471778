"""`parity policy show` and `check`: 80 columns, whole JSON, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from parity import policies
from parity.cli import app
from parity.policies.plan import PHASES, STANDS_FOR, SUCCESS


def policy(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["policy", *map(str, arguments)])


def rows(output: str) -> dict[str, str]:
    """The last cell of each row by its first, lines that go on joined."""
    found: dict[str, str] = {}
    for line in output.splitlines():
        if line.startswith("│"):
            first, *_, last = [cell.strip() for cell in line.split("│")[1:-1]]
            name = first if first and not line.startswith("│   ") else next(reversed(found))
            found[name] = f"{found.get(name, '')} {last}".strip()
    return found


@pytest.mark.parametrize("phase", policies.phases())
def test_each_phase_is_shown_in_80_columns_with_every_sentence_and_limit(phase: str) -> None:
    done = policy("show", phase)
    assert done.exit_code == 0, done.output
    assert max(map(len, done.output.splitlines())) <= 80
    shown, found = rows(done.output), policies.load(phase)
    for name, parameters in found.criteria.items():
        assert shown[name] == STANDS_FOR[name]
        assert all(f"  {field} " in done.output for field, _ in parameters)
    assert shown["evidence"].startswith("answers (parity run)")
    assert shown["images, at least"] == str(found.requires.least_images)
    assert f"digest: {found.digest}" in done.output
    assert done.output.count("Not judged: ") == len([name for name in SUCCESS if name not in found.criteria])
    assert ("INCONCLUSIVE" in done.output) == (phase in PHASES)


def test_json_holds_all_of_it() -> None:
    document = json.loads(policy("show", "canary-10", "--json").output)
    assert document["digest"] == policies.load("canary-10").digest
    assert document["criteria"]["map_variance"] == {
        "parameters": {"limit_percent": 0.1, "confidence": 0.95, "resamples": 1000, "least_images": 500},
        "looser": {
            "limit_percent": "higher", "confidence": "lower", "resamples": "lower", "least_images": "lower",
        },
        "needs": "answers",
        "collected_by": "parity run",
        "stands_for": "Detection accuracy unchanged (< 0.1 % variance).",
    }  # fmt: skip
    assert document["requires"]["soak_hours"] == 24
    assert (document["not_judged"], document["loosened"]) == ({}, [])


def test_an_unknown_phase_is_a_usage_error() -> None:
    done = policy("show", "canary-11")
    assert done.exit_code == 2
    assert "did you mean 'canary-10'?" in done.output


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('extends = "canary-10"\n[criteria]\nflip_rate = { limit_percent = 2.0 }\n')
    refused = policy("check", path)
    assert refused.exit_code == 2
    assert "flip_rate.limit_percent is 2, in canary-10 1" in refused.output
    path.write_text('allow_looser = "Shown to\\u202E be [red]fine[/red]."\n' + path.read_text())
    done = policy("check", path)
    assert done.exit_code == 0, done.output
    assert max(map(len, done.output.splitlines())) <= 80
    told = " ".join(done.output.split())
    assert "Policy loosened: criteria.flip_rate.limit_percent is 2, in canary-10 1." in told
    assert "Reason: Shown to<U+202E> be [red]fine[/red]." in told
    (loosened,) = json.loads(policy("check", path, "--json").output)["loosened"]
    assert (loosened["strict"], loosened["loose"], loosened["than"]) == ("1", "2", "canary-10")


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    done = policy("check", tmp_path / "gone.toml")
    assert done.exit_code == 2
    assert "no such file" in done.output
