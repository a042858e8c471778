"""The ledger against the counters: what has a cause, what has none, and what cannot be said."""

from __future__ import annotations

import pytest

from parity.load.reconcile import ClientTotals, reconcile
from parity.requests import LedgerCounts
from parity.serving.evidence import Reconciliation
from parity.serving.prometheus import Scrape, parse
from tests.metrics_text import scrape, written


def ours(ok: int, **lost: int) -> ClientTotals:
    return ClientTotals.of_single_images(ok, {name.replace("_", "-"): n for name, n in lost.items()})


def found(
    client: ClientTotals, after: Scrape, *between: Scrape, python: bool = False, version: str = ""
) -> Reconciliation:
    scrapes = [scrape(), *between, after]
    return reconcile(client, scrapes, model="yolo26", version=version, python_backend=python)


def test_equal_counts_need_no_words() -> None:
    told = found(ours(30), scrape(success=39))
    assert told == Reconciliation(
        client_requests=30,
        client_ok=30,
        client_failed={},
        server_success=30,
        server_failure={},
        server_inferences=30,
        explained=[],
        unexplained=[],
        resets=[],
    )


@pytest.mark.parametrize(
    ("client", "success", "failures", "python", "explained"),
    [
        (ours(30, deadline=2), 41, {}, False, ["2 requests ('deadline') that the server finished after"]),
        (
            ours(30, deadline=2),
            39,
            {},
            False,
            ["2 requests ('deadline') that did not reach the model before"],
        ),
        (
            ours(30, deadline=2),
            39,
            {"CANCELED": 2},
            False,
            ["2 requests ('deadline') that the server counts"],
        ),
        (
            ours(30, invalid_argument=4),
            39,
            {},
            False,
            ["4 requests ('invalid-argument') that were refused at once"],
        ),
        (ours(30, http_400=1), 39, {}, False, ["1 request ('http-400') that were refused at once"]),
        (ours(30, internal=3), 42, {}, True, ["3 requests ('internal') that the Python backend answered"]),
        (ours(30, http_500=3), 39, {"BACKEND": 3}, False, ["3 requests ('http-500') that the server counts"]),
        (ours(30, unavailable=3), 39, {"REJECTED": 3}, False, ["3 requests ('unavailable') that the server"]),
        (ours(30, unavailable=3), 39, {}, False, ["3 requests ('unavailable') that did not reach"]),
        (ours(30, nonfinite=3), 42, {}, False, ["3 requests ('nonfinite') that the server answered and"]),
        (ours(30, not_answered=1), 40, {}, False, ["1 request ('not-answered') that the server finished"]),
    ],
)
def test_a_difference_with_a_known_cause(
    client: ClientTotals, success: int, failures: dict[str, int], python: bool, explained: list[str]
) -> None:
    told = found(client, scrape(success=success, failures=failures), python=python)
    assert told.unexplained == []
    assert [line[: len(want)] for line, want in zip(told.explained, explained, strict=True)] == explained
    assert told.client_requests == client.ok + sum(client.lost.values())
    assert told.server_failure == failures


def test_one_reason_may_have_several_causes() -> None:
    told = found(ours(30, deadline=6, cancelled=1), scrape(success=41, failures={"CANCELED": 3}))
    assert told.unexplained == []
    assert [line.partition(" that ")[0] for line in told.explained] == [
        "1 request ('cancelled')",
        "2 requests ('deadline')",
        "2 requests ('deadline')",
        "2 requests ('deadline')",
    ]


@pytest.mark.parametrize(
    ("client", "success", "failures", "unexplained"),
    [
        (ours(30), 40, {}, "1 request that the server counts as success and this client does not know of"),
        (ours(30), 38, {}, "1 request that got an answer and that the server does not count"),
        (ours(30), 39, {"OTHER": 2}, "2 requests that the server counts as failed, OTHER, and this client"),
        (ours(30), 39, {"LOST": 2}, "2 requests that the server counts as failed, LOST, which is no reason"),
        (ours(30, internal=2), 39, {}, "2 requests ('internal') failed and the server does not count them"),
        (ours(30, http_500=2), 39, {}, "2 requests ('http-500') failed and the server does not count them"),
        (ours(30, internal=2), 41, {}, "2 requests that the server counts as success"),
        (ours(30, KeyError=1), 39, {}, "1 request ('KeyError') failed and the server does not count them"),
        (ours(30, KeyError=1), 40, {}, "1 request that the server counts as success"),
        (ours(30, bad_answer=1), 39, {}, "1 request ('bad-answer') failed and the server does not count"),
        (ours(30, invalid_argument=1), 40, {}, "1 request that the server counts as success"),
    ],
)
def test_a_difference_without_one(
    client: ClientTotals, success: int, failures: dict[str, int], unexplained: str
) -> None:
    told = found(client, scrape(success=success, failures=failures))
    assert any(line.startswith(unexplained) for line in told.unexplained), told.unexplained


def test_images_are_counted_apart_from_requests() -> None:
    batches = ClientTotals(ok=3, lost={}, images=17, lost_images=0)
    assert found(batches, scrape(success=12, inferences=26)).unexplained == []
    told = found(batches, scrape(success=12, inferences=25))
    assert told.unexplained == ["the server computed 16 images, expected 17"]
    late = ClientTotals(ok=3, lost={"deadline": 2}, images=17, lost_images=16)
    assert found(late, scrape(success=13, inferences=34)).unexplained == []
    told = found(late, scrape(success=13, inferences=80))
    assert told.unexplained == ["the server computed 71 images, expected 18 to 33"]


def test_a_cache_hit_is_said() -> None:
    scrapes = [scrape(hits=0), scrape(success=39, inferences=34, hits=5)]
    told = reconcile(ours(30), scrapes, model="yolo26")
    assert (told.cache_hits, told.unexplained) == (5, [])
    assert told.explained == ["5 requests that the response cache answered, not the model"]
    told = reconcile(ours(30), [scrape(hits=0), scrape(success=39, hits=5)], model="yolo26")
    assert told.unexplained == ["the server computed 30 images, expected 25"]


def test_a_restart_is_said_and_nothing_is_negative() -> None:
    told = found(ours(30), scrape(success=14), scrape(success=24), scrape(success=9))
    assert 'nv_inference_request_success{model="yolo26",version="1"}' in told.resets
    assert told.server_success == 15 + 9 + 5, "what came before the restart that was seen, and all after it"
    assert told.unexplained


def test_a_restart_between_two_scrapes_that_look_alike_shows_in_what_is_missing() -> None:
    told = found(ours(30), scrape(success=20))
    assert told.resets == [] and told.unexplained


def test_counters_that_vanish_are_a_reset() -> None:
    other = parse(written(model="rtdetr"), where="metrics")
    told = found(ours(0), scrape(), other)
    assert len(told.resets) >= 2
    assert told.server_success == 9, "the new counters, which begin at the warm-up's"


def test_versions_and_models_are_told_apart() -> None:
    def both(first: int, second: int, other: int) -> Scrape:
        text = written(success=first) + written(success=second, version="2")
        return parse(text + written(success=other, model="rtdetr"), where="metrics")

    scrapes = [both(9, 9, 9), both(19, 29, 500)]
    assert reconcile(ours(30), scrapes, model="yolo26").unexplained == []
    assert reconcile(ours(20), scrapes, model="yolo26", version="2").unexplained == []
    assert reconcile(ours(30), scrapes, model="yolo26", version="2").unexplained


def test_series_of_several_gpus_are_summed() -> None:
    refused_in_the_queue = written(success=9)
    reached_a_gpu = [
        line
        for line in written(success=30, labels=',gpu_uuid="GPU-7e8a"').splitlines()
        if "_failure" not in line
    ]
    with_gpu = parse(refused_in_the_queue + "\n".join(reached_a_gpu) + "\n", where="metrics")
    told = reconcile(ours(30), [scrape(), with_gpu], model="yolo26")
    assert (told.server_success, told.resets, told.unexplained) == (30, [], [])


@pytest.mark.parametrize("scrapes", [[], [scrape()]])
def test_without_two_scrapes_nothing_can_be_said(scrapes: list[Scrape]) -> None:
    told = reconcile(ours(30), scrapes, model="yolo26")
    assert (told.server_success, told.server_inferences, told.explained) == (None, None, [])
    assert "expected one before and one after" in told.reason
    assert reconcile(ours(30), scrapes, model="yolo26", reason="no answer").reason == "no answer"
    whole = [scrape(), scrape(success=39)]
    assert reconcile(ours(30), whole, model="yolo26", reason="none after").reason == "none after"


def test_a_model_that_is_not_counted_is_named() -> None:
    told = reconcile(ours(30), [scrape(), scrape()], model="rtdetr", version="3")
    assert told.reason.endswith("of 'rtdetr' version 3; the server counts yolo26")
    assert told.server_success is None


@pytest.mark.parametrize("name", ["nv_inference_request_failure", "nv_inference_count"])
def test_a_counter_that_nobody_writes_is_not_0(name: str) -> None:
    without = [
        parse(written(success=count).replace(name, "nv_renamed"), where="metrics") for count in (9, 39)
    ]
    told = reconcile(ours(30, unavailable=2), without, model="yolo26")
    assert told.reason == f"no {name} of 'yolo26'; the server counts no model"
    assert told.server_success is None


def test_a_ledger_counts_attempts_for_each_may_have_reached_the_server() -> None:
    ledger = LedgerCounts(
        ok=20, retried=5, failed={"deadline": 1}, attempts=33, lost_attempts={"deadline": 2, "unavailable": 6}
    )
    client = ClientTotals.of_ledger(ledger)
    assert (client.ok, dict(client.lost)) == (25, {"deadline": 2, "unavailable": 6})
    assert (client.images, client.lost_images) == (25, 8)
    assert found(client, scrape(success=36)).unexplained == []
