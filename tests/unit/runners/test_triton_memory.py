"""Lending shared memory: what a restart of the server costs, and what is left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parity.requests import RequestError
from parity.runners.triton_memory import UNKNOWN_REGION, SharedRegions
from parity.runners.triton_transport import Connection

SHM = Path("/dev/shm")


class Server:
    """What SharedRegions asks of a transport, and a memory of the regions that are mapped."""

    connection = Connection(wire="grpc", address="127.0.0.1:1", timeout=1.0)

    def __init__(self) -> None:
        self.mapped: set[str] = set()

    def register(self, name: str, key: str, size: int) -> None:
        assert (SHM / key.lstrip("/")).stat().st_size >= size
        self.mapped.add(name)

    def unregister(self, name: str) -> None:
        self.mapped.discard(name)

    def use(self, name: str) -> None:
        if name not in self.mapped:
            raise RequestError(f"no {UNKNOWN_REGION} {name}", reason="invalid-argument", retryable=False)


def regions(server: Server) -> SharedRegions:
    transport: Any = server
    return SharedRegions(transport)


def left() -> set[Path]:
    return set(SHM.glob("parity_shm_*"))


def use(shared: SharedRegions, server: Server) -> None:
    with shared.lent(16, 16) as region:
        server.use(region.name)


def test_a_region_is_lent_again() -> None:
    server = Server()
    shared = regions(server)
    with shared.lent(16, 16) as first:
        name = first.name
    with shared.lent(16, 16) as again:
        assert again.name == name
    shared.close()
    assert server.mapped == set()


def test_a_restart_costs_one_attempt_however_many_regions_there_are() -> None:
    before = left()
    server = Server()
    shared = regions(server)
    loans = [shared.lend(16, 16) for _ in range(8)]
    del loans
    server.mapped.clear()  # as a restart does
    with pytest.raises(RequestError) as caught:
        use(shared, server)
    assert caught.value.retryable and caught.value.reason == "shared-memory"
    for _ in range(8):
        use(shared, server)
    shared.close()
    assert left() <= before and server.mapped == set()


def test_another_failure_costs_its_own_region_only() -> None:
    server = Server()
    shared = regions(server)
    loans = [shared.lend(16, 16) for _ in range(2)]
    names = {loan.region.name for loan in loans}
    del loans
    spoilt = ""

    def fail() -> None:
        nonlocal spoilt
        with shared.lent(16, 16) as region:
            spoilt = region.name
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with shared.lent(16, 16) as other:
        assert other.name in names - {spoilt}
    shared.close()
