"""Metrics by name and labels, and what becomes of text that is none."""

from __future__ import annotations

import math

import pytest

from parity.errors import EvidenceError
from parity.serving.prometheus import LINE_LIMIT, MetricsSource, parse
from parity.serving.web import Access
from tests.metrics_text import scrape, written


def test_a_value_is_found_by_name_and_labels() -> None:
    found = scrape(success=12, failures={"REJECTED": 3})
    assert found.total("nv_inference_request_success", model="yolo26", version="1") == 12
    assert found.total("nv_inference_request_failure", reason="REJECTED") == 3
    assert found.total("nv_inference_request_failure") == 3
    assert [sample.value for sample in found.select("nv_inference_request_summary_us_sum")] == [12_000]


def test_what_is_not_there_is_none_and_not_zero() -> None:
    assert scrape().total("nv_inference_request_success", model="rtdetr") is None
    assert scrape().total("nv_inference_exec_duration_us") is None


def test_counters_keep_the_name_that_triton_wrote() -> None:
    found = scrape()
    assert "nv_inference_request_success" in found.names()
    assert not any(name.endswith("_total") for name in found.names())
    assert found.kinds["nv_inference_request_success"] == "counter"
    assert found.kinds["nv_inference_request_summary_us"] == "summary"
    total = parse("# TYPE nv_seen_total counter\nnv_seen_total 3\n", where="metrics")
    assert total.total("nv_seen_total") == 3 and total.names() == {"nv_seen_total"}


def test_a_model_on_a_gpu_is_the_sum_of_its_series() -> None:
    lines = written(success=9).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("nv_inference_request_success{"))
    lines.insert(at, 'nv_inference_request_success{gpu_uuid="GPU-7e8a",model="yolo26",version="1"} 30')
    found = parse("\n".join(lines) + "\n", where="metrics")
    assert found.total("nv_inference_request_success", model="yolo26") == 39


@pytest.mark.parametrize("quantile", ["NaN", "Nan", "nan"])
def test_a_quantile_of_a_quiet_minute_is_no_number(quantile: str) -> None:
    found = scrape(quantile=quantile)
    (sample,) = found.select("nv_inference_request_summary_us", quantile="0.95")
    assert math.isnan(sample.value)
    assert found.total("nv_inference_request_summary_us", quantile="0.95") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("  \n\n", "empty"),
        ("<html><body>nginx</body></html>", "no metric of a Triton"),
        ('{"status": "ok"}', "no metric of a Triton"),
        ("# TYPE go_goroutines gauge\ngo_goroutines 8\n", "no metric of a Triton"),
        ("nv_x{model=} 1\n", "damaged"),
        ('nv_x{model="a} 1\n', "damaged"),
        ("nv_x one\n", "damaged"),
        ("nv_x\n", "damaged"),
        ('nv_x{a="1",a="2"} 1\n', "damaged"),
        ("# TYPE nv_x sandwich\nnv_x 1\n", "damaged"),
        ("nv_x 1\nnv_x 2\n", "nv_x is there twice"),
        ('nv_x{a="1",b="2"} 1\nnv_x{b="2",a="1"} 1\n', "twice"),
        ("nv_x " + "9" * 4000 + "\n", "without end|damaged"),
        ("nv_x{" + "a" * LINE_LIMIT + '="1"} 1\n', "a line of"),
        (written().replace('version="1"} 9\n', 'version="1"} -9\n', 1), "is -9"),
        (written().replace('version="1"} 9\n', 'version="1"} NaN\n', 1), "is nan"),
        (written().replace('version="1"} 9\n', 'version="1"} +Inf\n', 1), "is inf"),
        (written()[: written().index("nv_inference_count{") + 25], "break off"),
        (written()[:-1], "break off"),
        ("nv_x 1\nnv_y nothing at all\n", "line 2 is 'nv_y nothing at all'"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_damaged_text_is_no_evidence(text: str, told: str) -> None:
    with pytest.raises(EvidenceError, match=told) as caught:
        parse(text, where="http://triton:8002/metrics")
    assert str(caught.value).startswith("http://triton:8002/metrics: ")


def test_what_damaged_text_says_is_shown_and_not_obeyed() -> None:
    with pytest.raises(EvidenceError) as caught:
        parse("nv_\x1b[2J\u202e 1\n", where="metrics")
    assert "\x1b" not in str(caught.value) and "\u202e" not in str(caught.value)


def test_a_damaged_line_is_quoted_without_the_token() -> None:
    access = Access(headers={"authorization": "Bearer very-secret"})
    with pytest.raises(EvidenceError, match=r"line 1 is .*\[token\]"):
        MetricsSource(url="http://127.0.0.1:1/metrics", access=access).parse("nv_a very-secret x\n")
