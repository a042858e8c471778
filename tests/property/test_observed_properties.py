"""Counters and text that nobody thought of: no false alarm, no missed request, no crash, nothing negative."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from parity.errors import EvidenceError
from parity.load.reconcile import LOSSES, PLACES, UNCOUNTED, ClientTotals, reconcile
from parity.serving.prometheus import Sample, parse
from parity.serving.statistics import ModelStatistics, split
from tests.metrics_text import REASONS, scrape

NOWHERE = "nowhere"

# What a client lost, and where the server counted it: any place that the loss can be in.
ENDS = st.sampled_from(
    [
        (reason, place)
        for reason, loss in LOSSES.items()
        for place in (*PLACES, NOWHERE)
        if (loss in UNCOUNTED if place == NOWHERE else loss in PLACES[place])
    ]
)


@given(ok=st.integers(0, 50), ends=st.lists(ENDS, max_size=30), more=st.integers(0, 5))
def test_every_possible_course_is_explained_and_foreign_requests_are_not_added_to_it(
    ok: int, ends: list[tuple[str, str]], more: int
) -> None:
    placed = Counter(place for _, place in ends)
    client = ClientTotals.of_single_images(ok, Counter(reason for reason, _ in ends))
    failures = {reason: placed[reason] for reason in REASONS}
    after = scrape(success=9 + ok + placed["success"], failures=failures)
    assert reconcile(client, [scrape(), after], model="yolo26", python_backend=True).unexplained == []
    foreign = len(ends) + 1 + more
    after = scrape(success=9 + ok + placed["success"] + foreign, failures=failures)
    told = reconcile(client, [scrape(), after], model="yolo26", python_backend=True)
    assert told.unexplained, "more than all losses together cannot be this client's"


@given(counts=st.lists(st.integers(0, 1000), min_size=2, max_size=6))
def test_no_count_is_negative_whatever_restarts(counts: list[int]) -> None:
    scrapes = [scrape(success=count) for count in counts]
    told = reconcile(ClientTotals.of_single_images(0, {}), scrapes, model="yolo26")
    assert told.server_success is not None and told.server_success >= 0
    fell = any(later < earlier for earlier, later in pairwise(counts))
    assert bool(told.resets) == fell


SPENT = st.fixed_dictionaries({}, optional={"count": st.integers(0, 2**63), "ns": st.integers(0, 2**63)})
STATISTICS = st.builds(
    lambda stats, inferences, executions, batches: {
        "name": "m",
        "version": "1",
        "inference_count": inferences,
        "execution_count": executions,
        "inference_stats": stats,
        "batch_stats": [
            {"batch_size": size, "compute_infer": {"count": count}} for size, count in batches.items()
        ],
    },
    st.dictionaries(st.sampled_from(["success", "fail", "queue", "compute_infer", "cache_hit"]), SPENT),
    st.integers(0, 2**63),
    st.integers(0, 2**63),
    st.dictionaries(st.integers(1, 64), st.integers(0, 2**63), max_size=4),
)


@given(before=STATISTICS, after=STATISTICS)
def test_no_part_of_a_split_is_negative(before: dict[str, object], after: dict[str, object]) -> None:
    found = split(
        ModelStatistics.model_validate({"model_stats": [before]}),
        ModelStatistics.model_validate({"model_stats": [after]}),
    )
    values = [found.requests, found.failures, found.inferences, found.executions, found.cache_hits]
    means = [found.queue_ms, found.compute_input_ms, found.compute_infer_ms, found.compute_output_ms]
    assert min(values) >= 0
    assert all(mean is None or mean >= 0 for mean in means)
    assert all(count > 0 for count in found.batch_sizes.values())


NAMES = st.text("abcxyz", min_size=1, max_size=6)
LABELS = st.dictionaries(NAMES, st.text('a\\"\n{}=, #\u00e9\u202e', max_size=8), max_size=3)


@given(labels=LABELS, value=st.floats())
def test_what_was_written_is_read(labels: dict[str, str], value: float) -> None:
    escaped = {
        name: text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        for name, text in labels.items()
    }
    series = ",".join(f'{name}="{text}"' for name, text in escaped.items())
    (sample,) = parse(f"nv_x{{{series}}} {value!r}\n", where="metrics").samples
    assert sample.labels == labels
    assert sample.value == value or math.isnan(value)


@given(
    text=st.lists(
        st.one_of(
            st.text(max_size=30),
            st.sampled_from(["nv_x", "{", "}", '="', '"', ",", "\\", " 1\n", "# TYPE nv_x counter\n", "\n"]),
        ),
        max_size=20,
    ).map("".join)
)
@example("nv_x{} 1\n")
@example("# HELP\n# TYPE\nnv_x 1\n")
@example('# HELP "\n# TYPE nv_x\nnv_x 1\n')
@example('nv_x{="a"} 1\n')
def test_any_other_text_is_damage_and_no_crash(text: str) -> None:
    with contextlib.suppress(EvidenceError):
        assert all(isinstance(sample, Sample) for sample in parse(f"{text}\nnv_y 1\n", where="m").samples)
