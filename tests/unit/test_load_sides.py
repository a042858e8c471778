"""The sides of a load run: which can be put under load, and where a token goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parity.load_sides import sources
from parity.runners.triton import TritonRunner, TritonSettings
from parity.serving.web import Access
from tests.http_samples import context

TOKEN_ENV = "MY_TOKEN"
TOKEN = "very-secret-token"
BEARER = {"authorization": f"Bearer {TOKEN}"}


def accesses(folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> tuple[Access, Access]:
    """How statistics and metrics of such a Triton are asked for."""
    monkeypatch.setenv(TOKEN_ENV, TOKEN)
    given = TritonSettings.model_validate({"token_env": TOKEN_ENV, "model": "yolo26", **settings})
    runner = TritonRunner(context(folder), given)
    runner.reached = runner.connection
    found = sources(runner)
    assert found.statistics is not None and found.metrics is not None
    return found.statistics.access, found.metrics.access


@pytest.mark.parametrize(
    "metrics_url",
    [
        "http://gpu-1:8002/metrics",
        "https://gpu-2:8002/metrics",
        "http://127.0.0.1:8002/metrics",
        "https://gpu-1.example/metrics",
    ],
)
def test_a_token_is_not_sent_in_clear_text_nor_to_another_host(
    metrics_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statistics, metrics = accesses(tmp_path, monkeypatch, tls=True, url="gpu-1:8001", metrics_url=metrics_url)
    assert statistics.headers == BEARER
    assert metrics.headers == {}


@pytest.mark.parametrize(
    ("tls", "url", "metrics_url"),
    [
        (True, "GPU-1:8001", "https://gpu-1:8002/metrics"),
        (False, "localhost:8001", "http://localhost:8002/metrics"),
        (False, "[::1]:8001", "http://[::1]:8002/metrics"),
    ],
)
def test_a_token_goes_where_the_model_is_and_nobody_listens(
    tls: bool, url: str, metrics_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, metrics = accesses(tmp_path, monkeypatch, tls=tls, url=url, metrics_url=metrics_url)
    assert metrics.headers == BEARER
