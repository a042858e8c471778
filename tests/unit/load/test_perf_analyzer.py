"""perf_analyzer's two files as evidence, what they lack, and files that are none of its."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from parity.errors import EvidenceError
from parity.load import perf_analyzer
from parity.load.histogram import decode
from parity.load.ratios import p95_ratios

# The columns are those of its ReportWriter; the numbers are made up.
HEADER = (
    "Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,Server Compute Input,"
    "Server Compute Infer,Server Compute Output,Client Recv,p50 latency,p90 latency,p95 latency,p99 latency"
)
LINES = (
    "1,70.5,230,2100,60,200,11000,20,1,14000,18000,19500,21000",
    "4,85,280,33000,30,230,11700,18,1,47000,56000,59000,64000",
)
SECOND = 1_000_000_000


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "given"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def exported(count: int = 3000, **changed: Any) -> dict[str, Any]:
    """An export of one experiment: a request each 10 ms that takes 8 ms, in three windows."""
    begin = 1_700_000_000 * SECOND
    times = [begin + number * SECOND // 100 for number in range(count)]
    experiment: dict[str, Any] = {
        "experiment": {"mode": "concurrency", "value": 4},
        "requests": [
            {
                "timestamp": time,
                "request_inputs": {"images": [0.5, 0.25]},
                "response_timestamps": [time + 8_000_000],
                "response_outputs": [{"output0": [1, 2]}],
            }
            for time in times
        ],
        "window_boundaries": [begin, begin + 10 * SECOND, begin + 20 * SECOND, begin + 30 * SECOND],
    }
    experiment.update(changed)
    return {"experiments": [experiment], "version": "1", "service_kind": "triton", "endpoint": ""}


def test_a_csv_gives_throughput_and_percentiles_and_says_what_it_lacks(tmp_path: Path) -> None:
    path = written(tmp_path, "\n".join((HEADER, *LINES)) + "\n")
    steps, imported = perf_analyzer.read(path, "candidate")
    first, second = steps
    assert (first.loop, first.concurrency, second.concurrency) == ("closed", 1, 4)
    assert first.throughput is not None and first.throughput.value == 70.5
    assert first.latency is not None and first.latency.p95 is not None
    assert (first.latency.p95.value, first.latency.p95.interval) == (19.5, None)
    assert first.latency.p95.reason
    assert (first.sent, first.ok, first.seconds, first.warmup_requests) == (None,) * 4
    assert (first.latency.n, first.latency.mean, first.latency.max, first.latency.histogram) == (None,) * 4
    assert not first.stable
    assert imported.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert any("error rate" in lack for lack in imported.lacks)
    assert any("intervals" in lack for lack in imported.lacks)


def test_a_verbose_csv_at_a_request_rate_has_a_mean(tmp_path: Path) -> None:
    header = "Request Rate,Inferences/Second,Client Send,Client Recv,p95 latency,Avg latency,request/response"
    (step,), _ = perf_analyzer.read(written(tmp_path, f"{header}\n12.5,12.4,1,1,900,700,2\n"), "reference")
    assert (step.side, step.loop, step.rate, step.arrivals) == ("reference", "open", 12.5, None)
    assert step.latency is not None and step.latency.mean == 0.7
    assert step.latency.p50 is None


def test_an_export_gives_latencies_with_intervals_and_a_histogram(tmp_path: Path) -> None:
    path = written(tmp_path, json.dumps(exported()))
    (step,), imported = perf_analyzer.read(path, "candidate")
    assert step.latency is not None and step.latency.p95 is not None
    assert step.latency.n == step.ok == 3000
    assert step.latency.p95.value == pytest.approx(8.0)
    assert step.latency.p95.interval == pytest.approx((8.0, 8.0))
    assert decode(step.latency.histogram or "").get_total_count() == 3000
    assert step.throughput is not None and step.throughput.value == pytest.approx(100, rel=1e-3)
    assert step.throughput.interval is None and "3 windows" in step.throughput.reason
    assert (step.sent, step.seconds, step.failed) == (None, 30.0, {})
    assert any("error rate" in lack for lack in imported.lacks)


def test_requests_without_a_response_are_told(tmp_path: Path) -> None:
    document = exported(50)
    for request in document["experiments"][0]["requests"][:2]:
        request["response_timestamps"] = []
    (step,), _ = perf_analyzer.read(written(tmp_path, json.dumps(document)), "candidate")
    assert (step.ok, step.failed) == (48, {"no-response": 2})


def test_an_export_in_which_nothing_was_answered_has_no_latency(tmp_path: Path) -> None:
    (step,), _ = perf_analyzer.read(written(tmp_path, json.dumps(exported(0))), "candidate")
    assert (step.latency, step.throughput, step.ok) == (None, None, 0)


def test_imported_evidence_alone_has_no_bounds_on_a_ratio(tmp_path: Path) -> None:
    path = written(tmp_path, "\n".join((HEADER, *LINES)))
    steps = [*perf_analyzer.read(path, "candidate")[0], *perf_analyzer.read(path, "reference")[0]]
    assert [(ratio.value, ratio.upper) for ratio in p95_ratios(steps)] == [(1.0, None), (1.0, None)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected one column"),
        ("Concurrency\n1\n", "no column 'Inferences/Second'"),
        (f"{HEADER}\n", "0 lines"),
        (f"{HEADER},p95 latency\n", "twice"),
        (f"{HEADER}\n1,2,3\n", "line 2: 3 values for 13 columns"),
        (f"{HEADER}\n{LINES[0]}\n{LINES[0]}\n", "the load 1 is there twice"),
        (f"{HEADER}\n" + LINES[0].replace("70.5", "nan"), "line 2: Inferences/Second is 'nan'"),
        (f"{HEADER}\n" + LINES[0].replace("70.5", "-1"), "'-1'"),
        (f"{HEADER}\n" + LINES[0].replace("70.5", "1e999"), "'1e999'"),
        (f"{HEADER}\n" + LINES[0].replace("21000", "\x1b[2J"), r"'\\x1b\[2J'"),
        (f"{HEADER}\n" + LINES[0].replace("1,70", "1.5,70"), "a concurrency of 1.5"),
        (f"{HEADER}\n" + LINES[0].replace("1,70", "0,70"), "a concurrency of 0"),
        (f"{HEADER}\n" + LINES[0].replace("19500", "1"), "percentiles that do not rise"),
        (f'{HEADER}\n"1', "neither CSV nor JSON"),
        (b"\xff\xfe\x00", "neither CSV nor JSON"),
        ("x" * ((8 << 20) + 1), "bytes, expected at most"),
        ("{", "no profile export"),
        ('{"experiments": 1}', "no profile export"),
        ('{"experiments": []}', "0 experiments"),
        ('{"a": ' * 100_000, "no profile export"),
        (json.dumps(exported(3, window_boundaries=[5])), "window boundaries"),
        (json.dumps(exported(3, window_boundaries=[5, 5])), "window boundaries"),
        (json.dumps(exported(3, window_boundaries=[0, 1 << 63])), "out of range"),
        (json.dumps(exported(3, experiment={"mode": "fun", "value": 1})), "mode 'fun'"),
        (json.dumps(exported(3, experiment={"mode": "request_rate", "value": 0})), "a request rate of 0"),
        (
            json.dumps(exported(requests=[{"timestamp": 9, "response_timestamps": [8]}])),
            "a response before its request",
        ),
        (json.dumps(exported(requests=[{"timestamp": -9}])), "out of range"),
        (json.dumps(exported(requests=[{"timestamp": 1 << 80}])), "no profile export|out of range"),
        (json.dumps({"experiments": exported(3)["experiments"] * 2}), "there twice"),
    ],
)
def test_what_is_not_perf_analyzers_is_refused(tmp_path: Path, text: str | bytes, told: str) -> None:
    with pytest.raises(EvidenceError, match=told) as caught:
        perf_analyzer.read(written(tmp_path, text), "candidate")
    assert caught.value.where.endswith("given") and caught.value.remedy


def test_all_that_is_wrong_is_told_in_one_go(tmp_path: Path) -> None:
    bad = "\n".join([HEADER, *(f"{n},-1" + ",x" * 11 for n in range(1, 9))])
    with pytest.raises(EvidenceError) as caught:
        perf_analyzer.read(written(tmp_path, bad), "candidate")
    assert "line 2" in str(caught.value) and "and 20 more" in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="cannot be read"):
        perf_analyzer.read(tmp_path / "none.csv", "candidate")
