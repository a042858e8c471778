"""Servers that the integration tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.demo_service import DemoServices


@pytest.fixture(scope="session")
def services() -> Iterator[DemoServices]:
    """The demo's FastAPI services: `services.get("yolo26").url`."""
    running = DemoServices()
    yield running
    running.close()
