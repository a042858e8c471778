"""The server's split of a step from two answers of its statistics extension."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from parity.errors import EvidenceError, RunnerError
from parity.serving.evidence import ServerSplit
from parity.serving.statistics import StatisticsSource, parse, split
from parity.serving.web import Access
from tests.web_server import body, serving

MS = 1_000_000
PARTS = ("queue", "compute_input", "compute_infer", "compute_output")


def version(
    count: int, *, name: str = "1", batches: dict[int, int] | None = None, fail: int = 0, hits: int = 0
) -> dict[str, Any]:
    """One version that answered so many requests, each with 1, 2, 3 and 4 ms in its parts.

    64-bit numbers are text and zeros are left out, as protobuf writes JSON.
    """
    stats: dict[str, Any] = {
        part: {"count": str(count), "ns": str(count * (place + 1) * MS)} for place, part in enumerate(PARTS)
    }
    stats["success"] = {"count": str(count + hits), "ns": str(count * 10 * MS)}
    stats["fail"] = {"count": str(fail)} if fail else {}
    stats["cache_hit"] = {"count": str(hits)} if hits else {}
    sizes = batches or {1: count}
    return {
        "name": "yolo26",
        "version": name,
        "last_inference": "1795617145875",
        "inference_count": str(sum(size * times for size, times in sizes.items())),
        "execution_count": str(sum(sizes.values())),
        "inference_stats": stats,
        "batch_stats": [
            {"batch_size": str(size), "compute_infer": {"count": str(times), "ns": "1"}}
            for size, times in sizes.items()
        ],
    }


def change(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> ServerSplit:
    return split(
        parse({"model_stats": before}, "yolo26", where="test"),
        parse({"model_stats": after}, "yolo26", where="test"),
    )


def test_a_step_is_the_change_and_not_the_whole() -> None:
    found = change([version(9, batches={1: 1, 8: 1})], [version(39, batches={1: 5, 8: 2, 2: 9}, fail=2)])
    assert found == ServerSplit(
        requests=30,
        failures=2,
        inferences=30,
        executions=14,
        queue_ms=1.0,
        compute_input_ms=2.0,
        compute_infer_ms=3.0,
        compute_output_ms=4.0,
        batch_sizes={1: 4, 2: 9, 8: 1},
        cache_hits=0,
    )


def test_means_are_of_the_requests_of_the_step_alone() -> None:
    after = version(39)
    after["inference_stats"]["queue"]["ns"] = str(9 * MS + 30 * 7 * MS)
    assert change([version(9)], [after]).queue_ms == pytest.approx(7.0)


def test_without_requests_there_is_no_mean() -> None:
    found = change([version(9)], [version(9)])
    assert (found.requests, found.executions, found.batch_sizes) == (0, 0, {})
    assert found.queue_ms is found.compute_infer_ms is None
    assert not found.reset


def test_cache_hits_are_answers_without_an_execution() -> None:
    found = change([version(9)], [version(11, hits=5)])
    assert (found.requests, found.inferences, found.cache_hits) == (7, 2, 5)
    assert found.queue_ms == 1.0


def test_all_versions_are_summed() -> None:
    found = change([version(9), version(4, name="2")], [version(10), version(7, name="2")])
    assert (found.requests, found.queue_ms) == (4, 1.0)


def test_a_version_that_was_loaded_in_between_counts_from_zero() -> None:
    found = change([version(9)], [version(9), version(3, name="2")])
    assert (found.requests, found.reset) == (3, False)


def test_a_restart_is_said_and_nothing_is_negative() -> None:
    found = change([version(900, batches={8: 100, 1: 100})], [version(12, batches={1: 12})])
    assert found.reset
    assert (found.requests, found.executions, found.batch_sizes) == (12, 12, {1: 12})


def test_a_restart_that_only_one_counter_shows_is_said_too() -> None:
    """The new server has served more requests than the old one, but not yet in that batch size."""
    found = change([version(9, batches={1: 1, 8: 1})], [version(30, batches={1: 30})])
    assert found.reset and found.requests == 30


def test_a_version_that_is_gone_is_a_reset() -> None:
    assert change([version(9), version(4, name="2")], [version(12)]).reset


def damaged(*path: str | int, value: Any) -> dict[str, Any]:
    document: dict[str, Any] = {"model_stats": [copy.deepcopy(version(9))]}
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({}, "model_stats"),
        ({"model_stats": []}, "model_stats"),
        ({"model_stats": [version(1), version(2)]}, "statistics of yolo26 1, yolo26 1"),
        (damaged("model_stats", 0, "name", value="rtdetr"), "statistics of rtdetr 1"),
        (damaged("model_stats", 0, "inference_count", value="-1"), "inference_count"),
        (damaged("model_stats", 0, "inference_count", value="many"), "inference_count"),
        (damaged("model_stats", 0, "inference_count", value=1e300), "inference_count"),
        (damaged("model_stats", 0, "inference_stats", "queue", value=[]), "queue"),
        (damaged("model_stats", 0, "batch_stats", 0, "batch_size", value="0"), "batch_size"),
        (b"<html>", "the whole"),
        (b'{"model_stats": [', "the whole"),
        (b"[" * 100_000, "the whole"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_damaged_statistics_are_no_evidence(document: Any, told: str) -> None:
    with pytest.raises(EvidenceError, match=told):
        parse(document, "yolo26", where="test")


def test_over_http_the_named_version_is_asked_for() -> None:
    document = json.dumps({"model_stats": [version(9)]}).encode()
    answers = {
        "/v2/models/yolo26/stats": body(document),
        "/v2/models/yolo26/versions/1/stats": body(document),
    }
    with serving(answers) as address:
        for number in ("", "1"):
            source = StatisticsSource(url=address, model="yolo26", version=number, protocol="http")
            assert asyncio.run(source.read()).requests() == 9
        with pytest.raises(RunnerError, match="404"):
            asyncio.run(StatisticsSource(url=address, model="yolo26", version="2", protocol="http").read())


def test_no_model_name_leads_elsewhere() -> None:
    with serving({"/v2/health/ready": body(b"{}")}) as address, pytest.raises(RunnerError, match="404"):
        asyncio.run(StatisticsSource(url=address, model="../health/ready?", protocol="http").read())


def test_a_server_that_speaks_no_grpc_is_named() -> None:
    with (
        serving({}) as address,
        pytest.raises(RunnerError, match="no statistics of the model 'yolo26'") as caught,
    ):
        asyncio.run(StatisticsSource(url=address, model="yolo26").read())
    assert caught.value.where == address


@contextmanager
def grpc_that_says_it_back() -> Iterator[str]:
    """The address of a gRPC server that refuses every call and quotes its authorization."""

    def refuse(request: bytes, context: Any) -> bytes:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, dict(context.invocation_metadata())["authorization"])
        return b""

    class Refusing(grpc.GenericRpcHandler):  # type: ignore[misc, unused-ignore]
        def service(self, call: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(refuse)

    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((Refusing(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def test_a_token_that_a_server_says_back_is_in_no_message() -> None:
    access = Access(headers={"authorization": "Bearer very-secret"})
    with grpc_that_says_it_back() as address, pytest.raises(RunnerError, match=r"\[token\]") as caught:
        asyncio.run(StatisticsSource(url=address, model="yolo26", access=access).read())
    assert "very-secret" not in str(caught.value)
    strange = json.dumps({"model_stats": [{**version(9), "name": "very-secret"}]}).encode()
    with serving({"/v2/models/yolo26/stats": body(strange)}) as address:
        source = StatisticsSource(url=address, model="yolo26", protocol="http", access=access)
        with pytest.raises(EvidenceError, match=r"statistics of \[token\]"):
            asyncio.run(source.read())
