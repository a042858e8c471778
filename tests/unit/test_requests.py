"""Retries and the ledger: what is tried again, and that every request is counted once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.requests import LedgerCounts, RequestError, RequestLedger, Retries

AT_ONCE = Retries(most=3, first_wait_s=0, longest_wait_s=0)


def lost(reason: str, *, retryable: bool = True) -> RequestError:
    return RequestError("no answer", reason=reason, retryable=retryable)


def attempts(*endings: RequestError | str) -> Callable[[], str]:
    waiting: Iterator[RequestError | str] = iter(endings)

    def attempt() -> str:
        ending = next(waiting)
        if isinstance(ending, RequestError):
            raise ending
        return ending

    return attempt


def test_an_answer_at_once_is_ok() -> None:
    ledger = RequestLedger()
    assert AT_ONCE.ask(attempts("boxes"), ledger) == "boxes"
    assert ledger.counts() == LedgerCounts(ok=1, attempts=1)


def test_a_lost_attempt_costs_a_retry_and_not_the_request() -> None:
    ledger = RequestLedger()
    assert AT_ONCE.ask(attempts(lost("unavailable"), lost("deadline"), "boxes"), ledger) == "boxes"
    assert ledger.counts() == LedgerCounts(
        retried=1, attempts=3, lost_attempts={"deadline": 1, "unavailable": 1}
    )


def test_what_no_retry_can_mend_is_not_tried_again() -> None:
    ledger = RequestLedger()
    with pytest.raises(RequestError, match="no answer"):
        AT_ONCE.ask(attempts(lost("invalid-argument", retryable=False), "never asked for"), ledger)
    assert ledger.counts() == LedgerCounts(
        failed={"invalid-argument": 1}, attempts=1, lost_attempts={"invalid-argument": 1}
    )


def test_the_last_reason_names_the_failure() -> None:
    ledger = RequestLedger()
    with pytest.raises(RequestError):
        AT_ONCE.ask(attempts(*[lost("unavailable")] * 3, lost("deadline")), ledger)
    counts = ledger.counts()
    assert counts.failed == {"deadline": 1} and counts.attempts == 4 and counts.requests == 1


def test_no_retries_means_one_attempt() -> None:
    with pytest.raises(RequestError):
        Retries(most=0).ask(attempts(lost("unavailable"), "never asked for"), RequestLedger())


def test_another_exception_is_counted_by_its_class_and_not_tried_again() -> None:
    def broken() -> str:
        raise ZeroDivisionError

    ledger = RequestLedger()
    with pytest.raises(ZeroDivisionError):
        AT_ONCE.ask(broken, ledger)
    assert ledger.counts().failed == {"ZeroDivisionError": 1}


def test_an_ending_that_contradicts_its_attempts_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot have lost"):
        RequestLedger().enter("ok", ["deadline"])
    with pytest.raises(ValueError, match="cannot have lost"):
        RequestLedger().enter("failed", [])


@given(st.lists(st.lists(st.booleans(), max_size=5), max_size=40))
def test_every_request_ends_once_whatever_happens(plan: list[list[bool]]) -> None:
    """plan: for each request, whether each lost attempt before the answer may be tried again."""
    ledger = RequestLedger()

    def request(kinds: list[bool]) -> None:
        endings = [lost("unavailable" if again else "not-found", retryable=again) for again in kinds]
        try:
            AT_ONCE.ask(attempts(*endings, "boxes"), ledger)
        except RequestError:
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(request, plan))
    counts = ledger.counts()
    assert counts.requests == len(plan)
    assert counts.attempts == counts.ok + counts.retried + sum(counts.lost_attempts.values())
