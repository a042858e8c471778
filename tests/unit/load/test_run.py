"""A load run in virtual time: loops, clocks, failures, endings and what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity.dataset import ImageProblem, ImageRecord
from parity.detections import Status
from parity.errors import EvidenceError, UsageError
from parity.load.answers import OneOfEvery
from parity.load.histogram import decode
from parity.load.observers import Observed, Observer
from parity.load.plan import Load, LoadPlan, StepRules, closed, opened
from parity.load.run import LoadRun, run_steps
from parity.requests import LedgerCounts
from parity.runners import ImageResult
from parity.serving.evidence import GpuUse, LoadStep, SideName
from tests.load_samples import AnyReader, FakeTarget, Inline, in_virtual_time, record, unavailable

RULES = StepRules(warmup_requests=10, warmup_s=1.0, least_requests=500, most_s=12.0, drain_s=5.0)


def plan(*loads: Load, **changed: Any) -> LoadPlan:
    return LoadPlan(**{"loads": loads, "turns": 1, "rules": RULES, **changed})


def go(
    given: LoadPlan,
    candidate: FakeTarget,
    folder: Path,
    *,
    reference: FakeTarget | None = None,
    observers: tuple[Observer, ...] = (),
    run: LoadRun | None = None,
    images: int = 8,
    reader: AnyReader | None = None,
) -> LoadRun:
    run = run or LoadRun()
    targets: dict[SideName, Any] = {"candidate": candidate}
    if reference is not None:
        targets["reference"] = reference
    records = [record(number, folder) for number in range(images)]
    in_virtual_time(
        lambda: run_steps(
            run, given, targets, records, reader or AnyReader(), observers=observers, threads=Inline()
        )
    )
    assert candidate.entered == candidate.left == 1
    assert candidate.under_way == 0
    return run


def constant(seconds: float) -> Callable[[int], float]:
    return lambda number: seconds


def milliseconds(step: LoadStep, name: str) -> float:
    assert step.latency is not None
    value = getattr(step.latency, name)
    assert value is not None
    return float(value.value)


def test_a_closed_loop_has_exactly_its_concurrency_under_way(tmp_path: Path) -> None:
    target = FakeTarget(service=constant(0.02), servers=100)
    (step,) = go(plan(closed(4)), target, tmp_path).steps
    assert target.most_under_way == 4
    assert milliseconds(step, "p50") == pytest.approx(20, rel=1e-6)
    assert step.throughput is not None and step.throughput.value == pytest.approx(200, rel=0.01)
    assert (step.loop, step.concurrency, step.rate, step.late_sends) == ("closed", 4, None, 0)
    assert step.stable and "stable after 5" in step.stability


def test_closed_loop_latency_grows_with_the_queue_before_one_server(tmp_path: Path) -> None:
    (step,) = go(plan(closed(8)), FakeTarget(service=constant(0.01)), tmp_path).steps
    assert milliseconds(step, "p50") == pytest.approx(80, rel=1e-6)
    assert step.throughput is not None and step.throughput.value == pytest.approx(100, rel=0.01)


def test_warm_up_is_in_none_of_the_numbers(tmp_path: Path) -> None:
    target = FakeTarget(service=lambda number: 0.5 if number < 10 else 0.01)
    run = go(plan(closed(1)), target, tmp_path)
    (step,) = run.steps
    assert step.latency is not None and step.latency.max == pytest.approx(10)
    assert step.warmup_requests == run.totals["candidate"].around.counts().requests >= 10
    assert step.warmup_requests + (step.sent or 0) == len(target.sent)


def test_what_is_sent_after_the_measured_part_is_no_warm_up(tmp_path: Path) -> None:
    """Load goes on while the observers ask the servers; of those requests a server may still have counted."""
    during: list[int] = []
    target = FakeTarget(service=constant(0.01), fails=lambda number: unavailable() if number % 2 else None)

    class Slow:
        async def before(self, side: SideName) -> None:
            during.append(len(target.sent))

        async def after(self, side: SideName) -> Observed:
            await asyncio.sleep(0.5)
            return Observed()

    run = go(plan(closed(1)), target, tmp_path, observers=(Slow(),))
    (step,) = run.steps
    assert step.warmup_requests == during[0]
    after = run.totals["candidate"].around.counts().requests - during[0]
    assert after == pytest.approx(33, abs=2)  # a request each 10 ms, and 10 ms after every other one
    assert during[0] + (step.sent or 0) + after == len(target.sent)


def stalled(number: int) -> float:
    """One request in 400 stops the only server for a second, all others take a millisecond."""
    return 1.0 if number % 400 == 200 else 0.001


def test_a_stalled_server_shows_in_an_open_loop_and_would_not_by_the_time_of_sending(tmp_path: Path) -> None:
    """At 100/s a stall of 1 s every 4 s delays a fifth of the requests; a closed loop sends one into it."""
    target = FakeTarget(service=stalled)
    (opening,) = go(plan(opened(100, "constant")), target, tmp_path).steps
    (closing,) = go(plan(closed(1)), FakeTarget(service=stalled), tmp_path).steps
    assert milliseconds(opening, "p99") > 800
    assert milliseconds(opening, "p90") > 300
    assert milliseconds(closing, "p99") == pytest.approx(1, rel=0.01)
    # Sends went on by the clock during the stalls.
    gaps = np.diff(target.sent)
    assert gaps.max() == pytest.approx(0.01, abs=1e-6)


def test_latency_runs_from_the_intended_time_when_the_generator_is_late(tmp_path: Path) -> None:
    """Encoding that blocks the generator for 50 ms delays sends, and their latency says so."""
    target = FakeTarget(service=constant(0.001), servers=100)
    encode = target.encode

    def blocking(image: Any, file: bytes) -> Any:
        if target.encoded % 50 == 20:
            asyncio.get_running_loop().now += 0.05  # type: ignore[attr-defined]
        return encode(image, file)

    target.encode = blocking  # type: ignore[method-assign]
    (step,) = go(plan(opened(100, "constant")), target, tmp_path).steps
    assert step.late_sends > 0
    assert step.latency is not None and step.latency.max == pytest.approx(51, abs=1.5)
    assert milliseconds(step, "p99") > 40


def test_poisson_arrivals_come_at_their_rate_and_alike_on_both_sides(tmp_path: Path) -> None:
    reference = FakeTarget(service=constant(0.001), servers=100)
    candidate = FakeTarget(service=constant(0.001), servers=100)
    run = go(plan(opened(200, "poisson")), candidate, tmp_path, reference=reference)
    first, second = (np.array(each.sent) for each in (reference, candidate))
    n = min(len(first), len(second))
    assert np.allclose(first[:n] - first[0], second[:n] - second[0], atol=1e-6)
    for step in run.steps:
        assert step.throughput is not None and step.throughput.value == pytest.approx(200, rel=0.15)


def test_what_exceeds_the_bound_under_way_is_a_failure_of_its_own(tmp_path: Path) -> None:
    target = FakeTarget(service=constant(1.0), servers=10)
    given = plan(opened(100, "constant"), most_under_way=50)
    run = go(given, target, tmp_path)
    (step,) = run.steps
    assert target.most_under_way == 50
    assert step.failed["not-sent"] > 500
    assert step.sent == (step.ok or 0) + sum(step.failed.values())
    totals = run.totals["candidate"]
    assert totals.sent().requests == len(target.sent)
    assert totals.unsent["not-sent"] >= step.failed["not-sent"]


def test_the_bound_under_way_follows_from_the_memory_of_payloads(tmp_path: Path) -> None:
    target = FakeTarget(service=constant(1.0), servers=100)
    go(plan(opened(100, "constant"), most_payload_bytes=1000), target, tmp_path)
    assert target.most_under_way == 10  # of 100 bytes each


def test_failures_are_counted_by_reason_and_never_in_latency(tmp_path: Path) -> None:
    def fails(number: int) -> BaseException | None:
        return {3: unavailable(), 7: ValueError("what"), 9: asyncio.CancelledError()}.get(number % 20)

    target = FakeTarget(service=lambda n: 5.0 if n == 163 else 0.01, servers=9, fails=fails)
    run = go(plan(closed(2)), target, tmp_path)
    (step,) = run.steps
    assert set(step.failed) == {"unavailable", "ValueError", "cancelled"}
    assert step.latency is not None and step.latency.n == step.ok
    assert step.latency.max == pytest.approx(10)
    assert run.totals["candidate"].sent().requests == len(target.sent)
    assert sum(run.totals["candidate"].sent().failed.values()) >= sum(step.failed.values())


def test_a_step_in_which_everything_fails_has_no_latency(tmp_path: Path) -> None:
    target = FakeTarget(service=constant(0.01), fails=lambda number: unavailable())
    (step,) = go(plan(closed(2)), target, tmp_path).steps
    assert (step.latency, step.throughput, step.ok, step.client) == (None, None, 0, None)
    assert step.sent == step.failed["unavailable"] > 0
    assert not step.stable and "without a usable answer" in step.stability


def test_failures_at_once_do_not_keep_the_loop_from_anything_else(tmp_path: Path) -> None:
    """`send` that raises without waiting: time must still pass, or the step would never end."""

    class Refusing(FakeTarget):
        async def send(self, payload: Any) -> int:
            self.sent.append(0.0)
            asyncio.get_running_loop().now += 1e-3  # type: ignore[attr-defined]
            raise unavailable()

    (step,) = go(plan(closed(2)), Refusing(service=constant(0)), tmp_path).steps
    assert step.latency is None and step.failed["unavailable"] > 50


def test_a_client_pauses_after_a_failure_longer_each_time_and_not_in_latency(tmp_path: Path) -> None:
    def fails(number: int) -> BaseException | None:
        return unavailable() if number % 100 < 6 else None

    target = FakeTarget(service=constant(0.01), fails=fails)
    (step,) = go(plan(closed(1)), target, tmp_path).steps
    gaps = np.round(np.diff(target.sent), 3)[:8]
    assert gaps.tolist() == [0.02, 0.03, 0.05, 0.09, 0.17, 0.21, 0.01, 0.01]
    assert step.latency is not None and step.latency.max == pytest.approx(10)


def test_an_answer_without_sense_is_a_failure(tmp_path: Path) -> None:
    def result(image: Any, number: int) -> ImageResult:
        if number % 10 == 1:
            return ImageResult(image_id=image.image_id, status=Status.FAILED, message="no list of boxes")
        return ImageResult(image_id=image.image_id, nonfinite=int(number % 10 == 2))

    (step,) = go(plan(closed(1)), FakeTarget(service=constant(0.01), result=result), tmp_path).steps
    assert step.failed["bad-answer"] == pytest.approx((step.sent or 0) / 10, abs=2)
    assert step.failed["nonfinite"] == pytest.approx((step.sent or 0) / 10, abs=2)
    assert step.latency is not None and step.latency.n == step.ok == step.checked


def test_a_picture_that_fails_to_encode_is_a_failure_that_no_server_saw(tmp_path: Path) -> None:
    target = FakeTarget(service=constant(0.01))
    encode = target.encode

    def failing(image: Any, file: bytes) -> Any:
        if target.encoded > 150 and target.encoded % 7 == 0:
            target.encoded += 1
            raise ImageProblem(Status.UNREADABLE, "truncated") if image.image_id % 2 else ValueError("what")
        return encode(image, file)

    target.encode = failing  # type: ignore[method-assign]
    run = go(plan(closed(1)), target, tmp_path)
    (step,) = run.steps
    assert set(step.failed) == {"image-unusable", "ValueError"}
    assert step.sent == (step.ok or 0) + sum(step.failed.values())
    assert run.totals["candidate"].sent() == LedgerCounts(ok=len(target.sent), attempts=len(target.sent))
    assert run.totals["candidate"].unsent == step.failed


def test_tensor_work_encodes_before_the_clock_and_decodes_a_sample(tmp_path: Path) -> None:
    target = FakeTarget(service=constant(0.01))
    (step,) = go(plan(closed(1), work="tensor", check_every=10), target, tmp_path).steps
    assert target.encoded == 8  # each image of the working set once
    assert step.checked == pytest.approx((step.ok or 0) / 10, abs=1)
    assert step.client is not None and step.client.sending_ms == pytest.approx(10)
    assert step.client.encoding_ms == step.client.decoding_ms == 0


def test_tensor_work_decodes_answers_to_every_picture(tmp_path: Path) -> None:
    """60 pictures and one answer of ten: a stride of ten would decode those of six."""
    seen: set[int] = set()

    def result(image: ImageRecord, number: int) -> ImageResult:
        seen.add(image.image_id)
        return ImageResult(image_id=image.image_id)

    given = plan(closed(1), work="tensor", check_every=10, rules=replace(RULES, least_requests=6000))
    (step,) = go(given, FakeTarget(service=constant(0.002), result=result), tmp_path, images=60).steps
    assert step.checked == pytest.approx((step.ok or 0) / 10, abs=1)
    assert seen == set(range(60))


def test_the_same_seed_decodes_the_same_answers() -> None:
    one, same, other = (
        [n for n in range(1000) if n in chosen] for chosen in map(OneOfEvery, (10,) * 3, (0, 0, 1))
    )
    assert one == same != other and len(one) == 100 == len({n // 10 for n in one})


def test_both_sides_run_in_turn_and_each_begins_every_other_turn(tmp_path: Path) -> None:
    reference, candidate = (FakeTarget(service=constant(0.01), servers=9) for _ in range(2))
    run = go(plan(closed(1), closed(2), turns=2), candidate, tmp_path, reference=reference)
    assert [(s.concurrency, s.turn, s.side) for s in run.steps] == [
        (concurrency, turn, side)
        for concurrency in (1, 2)
        for turn, side in ((0, "reference"), (0, "candidate"), (1, "candidate"), (1, "reference"))
    ]


def test_answers_are_kept_with_their_side_load_and_turn_and_within_bounds(tmp_path: Path) -> None:
    reference, candidate = (FakeTarget(service=constant(0.01)) for _ in range(2))
    run = go(plan(closed(1), turns=2, keep=5), candidate, tmp_path, reference=reference)
    assert len(run.answers) == 2 * 2 * 5
    assert {(a.side, a.turn, a.load) for a in run.answers} == {
        (side, turn, closed(1)) for side in ("reference", "candidate") for turn in (0, 1)
    }
    assert {a.result.image_id for a in run.answers} <= set(range(8))


def test_observers_are_called_around_the_measured_part_and_fill_the_step(tmp_path: Path) -> None:
    told: list[tuple[str, SideName, int]] = []
    target = FakeTarget(service=constant(0.01))
    gpu = GpuUse(source="none", samples=0, mean=None, max=None, reason="no GPU")

    class Looking:
        async def before(self, side: SideName) -> None:
            told.append(("before", side, len(target.sent)))

        async def after(self, side: SideName) -> Observed:
            told.append(("after", side, len(target.sent)))
            return Observed(gpu=gpu)

    class Blind(Looking):
        async def after(self, side: SideName) -> Observed:
            return Observed()

    run = go(plan(closed(1)), target, tmp_path, observers=(Looking(), Blind()))
    (step,) = run.steps
    assert step.gpu == gpu and step.server is None
    assert [what for what, *_ in told] == ["before", "before", "after"]
    assert told[0][2] >= (step.warmup_requests or 0) - 1
    assert told[2][2] - told[0][2] == pytest.approx(step.sent or 0, abs=2)


def test_a_hanging_server_ends_the_step_and_its_requests_are_unanswered(tmp_path: Path) -> None:
    target = FakeTarget(service=lambda number: 0.01 if number < 150 else 1e6)
    run = go(plan(closed(3)), target, tmp_path)
    (step,) = run.steps
    assert step.failed == {"not-answered": 3}
    assert not step.stable and "without a usable answer" in step.stability
    assert run.totals["candidate"].sent() == LedgerCounts(
        ok=150, failed={"not-answered": 3}, attempts=153, lost_attempts={"not-answered": 3}
    )


def test_answers_that_come_while_draining_are_in_latency(tmp_path: Path) -> None:
    """Slow requests that were sent near the end would else be missing just because they are slow."""
    target = FakeTarget(service=lambda number: 4.0 if number % 100 == 0 else 0.01, servers=99)
    (step,) = go(plan(opened(100, "constant")), target, tmp_path).steps
    assert step.latency is not None and step.latency.n == step.ok == step.sent
    assert step.latency.max == pytest.approx(4000)
    share = 1 - 0.0095
    assert decode(step.latency.histogram or "").get_value_at_percentile(100 * share) < 20_000


def test_an_unstable_step_says_so_after_its_longest_time(tmp_path: Path) -> None:
    target = FakeTarget(service=lambda number: 0.005 * (1 + number // 200 % 2))
    (step,) = go(plan(closed(1)), target, tmp_path).steps
    assert not step.stable and step.stability.startswith("not stable after 12.0 s: last 3 windows apart by")
    assert step.stability.endswith("; allow more `--seconds`")


def test_too_few_requests_are_not_stable(tmp_path: Path) -> None:
    rules = StepRules(window_requests=10, least_requests=500, most_s=30.0)
    (step,) = go(plan(closed(1), rules=rules), FakeTarget(service=constant(0.25)), tmp_path).steps
    assert not step.stable and "too few" in step.stability and step.sent == pytest.approx(120, abs=2)
    assert step.stability.endswith("; allow more `--seconds`, or ask for fewer `--requests`")


def test_a_run_that_is_broken_off_keeps_its_steps_and_leaves_nothing_under_way(tmp_path: Path) -> None:
    run = LoadRun()
    target = FakeTarget(service=constant(0.01))

    class Interrupting:
        async def before(self, side: SideName) -> None:
            if run.steps:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                await asyncio.sleep(1)

        async def after(self, side: SideName) -> Observed:
            return Observed()

    with pytest.raises(asyncio.CancelledError):
        go(plan(closed(4), turns=2), target, tmp_path, observers=(Interrupting(),), run=run)
    assert len(run.steps) == 1
    assert (target.under_way, target.left) == (0, 1)
    assert run.totals["candidate"].sent().requests == len(target.sent)


def test_a_broken_observer_ends_the_run_and_not_silently(tmp_path: Path) -> None:
    target = FakeTarget(service=constant(0.01))

    class Broken:
        async def before(self, side: SideName) -> None:
            raise ValueError("no metrics")

        async def after(self, side: SideName) -> Observed:
            return Observed()

    with pytest.raises(ValueError, match="no metrics"):
        go(plan(opened(50, "poisson")), target, tmp_path, observers=(Broken(),))
    assert target.left == 1 and target.under_way == 0


def test_images_that_cannot_be_used_are_left_out_and_named(tmp_path: Path) -> None:
    target = FakeTarget(service=constant(0.01))
    run = go(plan(closed(1)), target, tmp_path, reader=AnyReader(frozenset({2, 5})))
    assert run.images == 6
    assert run.problems == ("2.jpg: truncated", "5.jpg: truncated")


def test_without_a_usable_image_there_is_no_load(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match=r"no image can be sent: 0\.jpg: truncated"):
        go(plan(closed(1)), FakeTarget(service=constant(0)), tmp_path, reader=AnyReader(frozenset(range(8))))


def test_the_working_set_is_bounded_and_spread_over_the_data_set(tmp_path: Path) -> None:
    target = FakeTarget(service=constant(0.01))
    run = go(plan(closed(1), most_images=4, keep=100), target, tmp_path, images=20)
    assert run.images == 4
    assert {answer.result.image_id for answer in run.answers} == {0, 5, 10, 15}
    few = go(plan(closed(1), work="tensor", most_bytes=350), FakeTarget(service=constant(0.01)), tmp_path)
    assert few.images == 3  # of 9 bytes and a payload of 100 each


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: closed(0),
        lambda: closed(10_001),
        lambda: opened(0),
        lambda: opened(float("nan")),
        lambda: StepRules(most_s=0.5),
        lambda: StepRules(tolerance=float("inf")),
        lambda: LoadPlan(loads=()),
        lambda: LoadPlan(loads=(closed(1), closed(1))),
        lambda: LoadPlan(turns=0),
        lambda: LoadPlan(keep=-1),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(wrong: Callable[[], Any]) -> None:
    with pytest.raises(UsageError):
        wrong()
