"""The observer of a load run: what it reads of a page with a GPU, and that it never ends the load."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from itertools import cycle
from pathlib import Path

import pytest

from parity.load import observe
from parity.load.observe import Sources, SourcesObserver
from parity.load.observers import Observed
from parity.load.sampler import Sampler
from parity.serving.gpu import NO_GPU, UTILISATION
from parity.serving.prometheus import MetricsSource
from parity.serving.statistics import StatisticsSource
from parity.serving.web import Access
from tests.metrics_text import with_gpu, written
from tests.web_server import body, serving

SOON = Access(timeout_s=5.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses are for servers of the world; those of this test change with every answer."""
    for name in ("SAMPLE_S", "REST_POLL_S"):
        monkeypatch.setattr(observe, name, 0.01)


@contextmanager
def pages(*texts: str) -> Iterator[Sources]:
    """A side whose metrics are these pages in turn, over and over."""
    turn = cycle(texts)

    def answer(request: BaseHTTPRequestHandler) -> None:
        body(next(turn).encode())(request)

    with serving({"/metrics": answer}) as address:
        yield Sources(metrics=MetricsSource(url=f"http://{address}/metrics", access=SOON))


def seen(sources: Sources, samples: int = 3) -> tuple[Observed, SourcesObserver]:
    """What is seen of a step that lasts until there are so many samples."""

    async def run() -> tuple[Observed, SourcesObserver]:
        async with SourcesObserver({"candidate": sources}) as observer:
            await observer.before("candidate")
            side = observer._sides["candidate"]
            while side.samples and len(side.samples.readings) + len(side.samples.failures) < samples:
                await asyncio.sleep(0.005)
            return await observer.after("candidate"), observer

    return asyncio.run(asyncio.wait_for(run(), 30))


def test_the_gpu_of_a_step_is_that_of_its_samples() -> None:
    with pages(with_gpu("0.25"), with_gpu("0.75")) as sources:
        found, observer = seen(sources)
    assert found.gpu is not None and found.server is None
    assert (found.gpu.source, found.gpu.reason) == (UTILISATION, "")
    assert found.gpu.samples >= 3
    assert found.gpu.max == 0.75 and found.gpu.mean is not None and 0.25 < found.gpu.mean < 0.75
    assert observer.unseen("candidate") == []
    assert len(observer.scrapes("candidate")) == 4, "on entering, in the midst, after, and on leaving"


@pytest.mark.parametrize("value", ["37", "NaN"])
def test_one_damaged_sample_leaves_no_number(value: str) -> None:
    with pages(with_gpu("0.25"), with_gpu(value)) as sources:
        found, _ = seen(sources)
    assert found.gpu is not None and found.gpu.mean is found.gpu.max is None
    assert f'{UTILISATION}{{gpu_uuid="GPU-7e8a"}} is {value.lower()}' in found.gpu.reason


def test_a_server_without_gpu_says_so() -> None:
    with pages(written()) as sources:
        found, _ = seen(sources)
    assert found.gpu is not None
    assert (found.gpu.source, found.gpu.samples, found.gpu.mean) == ("none", 0, None)
    assert found.gpu.reason.startswith(NO_GPU)


def test_a_step_too_short_for_a_sample_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "SAMPLE_S", 60.0)
    with pages(with_gpu("0.5")) as sources:
        found, _ = seen(sources, samples=0)
    assert found.gpu is not None and found.gpu.mean is None
    assert "before its first sample, 60 s after" in found.gpu.reason


@pytest.mark.skipif(Path("/proc/driver/nvidia/version").exists(), reason="this machine has a driver")
def test_nvml_without_a_driver_is_a_reason_and_not_0() -> None:
    found, _ = seen(Sources(nvml=True))
    assert found.gpu is not None and (found.gpu.source, found.gpu.mean) == ("none", None)
    assert found.gpu.reason.startswith(NO_GPU)


def test_a_side_that_nothing_tells_of() -> None:
    found, observer = seen(Sources())
    assert found.server is None and found.gpu is not None and found.gpu.reason
    assert asyncio.run(observer.after("reference")) == Observed()
    assert not observer.scrapes("reference") and not observer.unseen("reference")


def test_servers_that_are_not_there_end_nothing_and_are_named() -> None:
    with serving({}) as gone:
        pass
    sources = Sources(
        metrics=MetricsSource(url=f"http://{gone}/metrics", access=SOON),
        statistics=StatisticsSource(url=gone, model="yolo26", access=SOON),
    )
    found, observer = seen(sources, samples=1)
    assert found.server is None
    assert found.gpu is not None and found.gpu.mean is None and gone in found.gpu.reason
    assert observer.scrapes("candidate") == []
    told = observer.unseen("candidate")
    assert {line.partition(": ")[0] for line in told} == {"metrics", "statistics"}
    assert all(gone in line for line in told) and len(told) == len(set(told))


def test_a_server_that_goes_away_leaves_the_last_scrape_missing() -> None:
    async def run(observer: SourcesObserver) -> None:
        async with observer:
            leaving.close()

    with ExitStack() as leaving:
        observer = SourcesObserver({"candidate": leaving.enter_context(pages(with_gpu("0.5")))})
        assert "no scrape from before and after" in observer.incomplete("candidate")
        asyncio.run(run(observer))
    assert len(observer.scrapes("candidate")) == 1
    assert observer.incomplete("candidate").startswith("no scrape from after the load (metrics: http://")


def test_a_server_that_comes_late_leaves_the_first_scrape_missing() -> None:
    with pages("<html>", *[written()] * 50) as sources:
        _, observer = seen(sources, samples=0)
    assert len(observer.scrapes("candidate")) == 2
    assert observer.incomplete("candidate").startswith("no scrape from before the load (metrics: http://")
    with pages(written()) as sources:
        _, observer = seen(sources, samples=0)
    assert observer.incomplete("candidate") == ""


def test_pages_without_sense_end_nothing() -> None:
    with pages("<html>\x1b[2J</html>", written()[:100]) as sources:
        found, observer = seen(sources)
    assert found.gpu is not None and found.gpu.mean is None and found.gpu.reason
    assert observer.scrapes("candidate") == []
    assert any("no metric of a Triton" in line for line in observer.unseen("candidate"))


def test_a_load_that_breaks_leaves_nothing_running() -> None:
    with pages(with_gpu("0.5")) as sources:

        async def broken() -> None:
            async with SourcesObserver({"candidate": sources}) as observer:
                await observer.before("candidate")
                raise RuntimeError("the load broke")

        async def left() -> set[asyncio.Task[None]]:
            with pytest.raises(RuntimeError, match="the load broke"):
                await broken()
            return asyncio.all_tasks() - {asyncio.current_task()}

        assert asyncio.run(left()) == set()


def test_a_sampler_outlives_a_reading_that_fails() -> None:
    answers = cycle([1, None])

    async def read() -> int:
        answer = next(answers)
        if answer is None:
            raise OSError("away")
        return answer

    async def run() -> Sampler[int]:
        sampler = Sampler(read, interval_s=0)
        sampler.start()
        while len(sampler.readings) < 3:
            await asyncio.sleep(0)
        await sampler.stop()
        assert await sampler.stop() == sampler.readings
        return sampler

    sampler = asyncio.run(run())
    assert sampler.readings == [1, 1, 1]
    assert sampler.failures[0] == "OSError: away"
