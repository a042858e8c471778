"""Waiting for a server that went away: together, for so long, and no longer than sense allows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from parity.requests import RequestError
from parity.runners import outage as module
from parity.runners.outage import Outage

LOST = RequestError("unavailable: no", reason="unavailable", retryable=True, where="gpu:8001")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.001)


def test_without_an_outage_nobody_is_asked() -> None:
    def ready() -> bool:
        raise AssertionError("asked")

    Outage(ready=ready, gone=lambda: False, patience=0).pass_()


def test_all_threads_wait_until_the_server_is_back_and_one_of_them_asks() -> None:
    asked: list[int] = []

    def ready() -> bool:
        asked.append(1)
        return len(asked) > 5

    outage = Outage(ready=ready, gone=lambda: False, patience=60)
    outage.notice(LOST)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: outage.pass_(), range(8)))
    assert len(asked) == 6, "the others took the first one's word"
    assert not outage.given_up


def test_patience_ends_and_those_after_it_do_not_wait_again() -> None:
    asked: list[int] = []

    def ready() -> bool:
        asked.append(1)
        return False

    outage = Outage(ready=ready, gone=lambda: False, patience=0.02)
    outage.notice(LOST)
    with pytest.raises(RequestError, match=r"not back within 0\.02 s") as caught:
        outage.pass_()
    assert outage.given_up and not caught.value.retryable
    assert caught.value.reason == "unavailable" and caught.value.where == "gpu:8001"
    count = len(asked)
    with pytest.raises(RequestError):
        outage.pass_()
    assert len(asked) == count


def test_a_server_that_has_ended_is_not_waited_for() -> None:
    outage = Outage(ready=lambda: False, gone=lambda: True, patience=3600)
    outage.notice(LOST)
    with pytest.raises(RequestError, match="it has ended"):
        outage.pass_()


def test_one_that_comes_back_after_all_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.0)
    back: list[int] = []
    outage = Outage(ready=lambda: bool(back), gone=lambda: False, patience=0)
    outage.notice(LOST)
    with pytest.raises(RequestError):
        outage.pass_()
    back.append(1)
    outage.pass_()
    assert not outage.given_up


def test_the_end_of_a_run_is_not_waited_for() -> None:
    outage = Outage(ready=lambda: False, gone=lambda: False, patience=3600)
    outage.notice(LOST)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(outage.pass_)
        with outage.ending(), pytest.raises(RequestError, match="the run ends"):
            waiting.result(30)
    assert not outage.given_up, "another run may begin"
