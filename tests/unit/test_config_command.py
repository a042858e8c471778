"""`parity config`: each value, what it comes from, and no secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from parity.cli import app
from tests.unit.test_config import GOOD

TOKEN = "s3cret.of.nobody"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + 'timeout = 7.0\ntoken_env = "MY_TOKEN"\n')
    return path


def config(*arguments: str | Path, **variables: str) -> Result:
    return CliRunner().invoke(app, ["config", *map(str, arguments)], env=variables)


def rows(output: str) -> dict[str, tuple[str, str]]:
    cells = [line.split("│")[1:-1] for line in output.splitlines() if line.startswith("│")]
    return {key.strip(): (value.strip(), source.strip()) for key, value, source in cells}


def test_each_value_and_what_it_comes_from(path: Path) -> None:
    done = config(
        path, "--retries", "9", MY_TOKEN=TOKEN, TRITON_URL="localhost:8001", TRITON_TIMEOUT="3",
        TRITON_CONFIDENCE_THRESHOLD="0.4",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert max(map(len, done.output.splitlines())) <= 80
    shown = rows(done.output)
    assert shown["timeout"] == ("7.0", "run file")
    assert shown["retries"] == ("9", "--retries")
    assert shown["url"] == ("localhost:8001", "TRITON_URL")
    assert shown["http_url"] == ("none", "default")
    assert shown["metrics_url"][0].startswith("port 8002 of the same")
    assert shown["protocol"] == ("grpc", "default")
    assert shown["score_threshold"] == ("0.4", "TRITON_CONFIDENCE_THRESHOLD")
    assert shown["token_env"] == ("MY_TOKEN (set)", "run file")
    assert TOKEN not in done.output


def test_a_server_that_parity_starts_has_its_own_metrics(path: Path) -> None:
    shown = rows(config(path, MY_TOKEN=TOKEN).output)
    assert shown["url"] == ("none: parity starts a server", "default")
    assert shown["metrics_url"] == ("its own server's", "default")


def test_as_a_document(path: Path) -> None:
    done = config(path, "--json", MY_TOKEN=TOKEN, TRITON_URL="localhost:8001")
    assert done.exit_code == 0 and TOKEN not in done.output
    document = json.loads(done.output)
    (url,) = (row for row in document["rows"] if row["key"] == "url")
    assert url["value"] == "localhost:8001" and url["source"] == "environment"
    assert url["variable"] == "TRITON_URL" and url["models"] == ["yolo"]


def test_what_would_keep_a_run_from_starting(path: Path) -> None:
    """All of it: the table, then the message, and exit code 2."""
    done = config(path, TRITON_HTTP_URL="localhost:8000")
    assert done.exit_code == 2
    assert rows(done.output)["token_env"] == ("MY_TOKEN (NOT SET)", "run file")
    assert "only the other protocol's address is set" in done.output
    assert config(path, "--json", TRITON_HTTP_URL="localhost:8000").exit_code == 2
    clear = config(path, MY_TOKEN=TOKEN, TRITON_URL="gpu.example:8001")
    assert clear.exit_code == 2 and "in clear text" in clear.output and TOKEN not in clear.output


def test_switched_off(path: Path) -> None:
    done = config(path, TRITON_ENABLED="false")
    assert done.exit_code == 0
    assert rows(done.output)["enabled"] == ("false", "TRITON_ENABLED")
    assert "the reference answers in its place" in done.output


def test_bad_values(path: Path) -> None:
    done = config(path, TRITON_TIMEOUT="abc", TRITON_PROTOCOL="ftp")
    assert done.exit_code == 2
    assert "TRITON_TIMEOUT" in done.output and "TRITON_PROTOCOL" in done.output


def test_a_token_in_the_run_file_is_refused_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + f'token_env = "{TOKEN}"\n')
    done = config(path)
    assert done.exit_code == 2
    assert "candidate.token_env" in done.output and TOKEN not in done.output
