"""What the servers tell while load is put on them: for each step the server's split and the GPU's use.

Observing must not disturb: what cannot be seen is noted with its reason, and the load goes on. While a step
is measured, metrics are only fetched, twice a second, and taken apart after it. A sample of the GPU tells of
the time before it: up to two seconds in Triton, which reads its GPUs no more often (`--metrics-interval-ms`),
and up to one in NVML. The first ones of a step are of its warm-up, which is the same load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

from typing_extensions import Self

from parity.errors import ParityError, first_line
from parity.load.observers import Observed
from parity.load.sampler import Sampler
from parity.serving.evidence import GpuUse, SideName
from parity.serving.gpu import (
    NO_GPU,
    UTILISATION,
    Nvml,
    Reading,
    gpu_use,
    has_gpu_metrics,
    triton_reading,
)
from parity.serving.prometheus import MetricsSource, Scrape
from parity.serving.statistics import ModelStatistics, StatisticsSource, split
from parity.visible import one_line

T = TypeVar("T")

SAMPLE_S = 0.5
SAMPLE_SIZE = 65_536
REST_POLL_S = 0.1
REST_POLLS = 4
REST_MOST_S = 5.0
COUNTED = ("nv_inference_request_success", "nv_inference_request_failure")
PENDING = "nv_inference_pending_request_count"


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where one side can be observed; what it has not got is None.

    nvml: whether the side's GPU is in this machine and no Triton's metrics tell of it. gpus: UUIDs of the
    GPUs that count; empty: all that can be seen.
    """

    statistics: StatisticsSource | None = None
    metrics: MetricsSource | None = None
    nvml: bool = False
    gpus: frozenset[str] = frozenset()


class SourcesObserver:
    """An `Observer` of a load run, and an asynchronous context manager around all of the run.

    Entering and leaving it take the scrapes that everything is counted between, so it is entered before the
    first request and left after the last answer. Its hooks raise nothing: see `unseen`.
    """

    def __init__(self, sides: Mapping[SideName, Sources]) -> None:
        self._sides = {name: _Side(sources) for name, sources in sides.items()}

    async def __aenter__(self) -> Self:
        for side in self._sides.values():
            await side.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for side in self._sides.values():
            await side.close()

    async def before(self, side: SideName) -> None:
        """The measured part of a step begins."""
        if side in self._sides:
            await self._sides[side].before()

    async def after(self, side: SideName) -> Observed:
        """The measured part is over: what changed in it."""
        return await self._sides[side].after() if side in self._sides else Observed()

    def scrapes(self, side: SideName) -> list[Scrape]:
        """All scrapes of a side in their order: to see what moved, and to reconcile with."""
        return list(self._sides[side].scrapes) if side in self._sides else []

    def incomplete(self, side: SideName) -> str:
        """Why the scrape from before the first request or after the last answer is missing; else empty."""
        return self._sides[side].incomplete() if side in self._sides else "nobody was asked"

    def unseen(self, side: SideName) -> list[str]:
        """What could not be observed of a side, and why; each once."""
        return list(dict.fromkeys(self._sides[side].unseen)) if side in self._sides else []


@dataclass
class _Side:
    """One side. unseen: why something was not seen. page: all that the last sample is from.

    first, last: the scrapes from before and after all requests; None while, or because, there is none.
    """

    sources: Sources
    scrapes: list[Scrape] = field(default_factory=list)
    first: Scrape | None = None
    last: Scrape | None = None
    unseen: list[str] = field(default_factory=list)
    statistics: ModelStatistics | None = None
    page: str = ""
    samples: Sampler[str] | None = None
    gpus: Sampler[Reading] | None = None
    no_nvml: str = ""
    stack: ExitStack = field(default_factory=ExitStack)

    async def open(self) -> None:
        """Take the scrape that counting begins with, and find the GPU."""
        metrics = self.sources.metrics
        if metrics is not None:
            self.samples = Sampler(lambda: self._sample(metrics), SAMPLE_S)
            self.first = await self._tried("metrics", lambda: self._scrape(metrics))
        elif self.sources.nvml:
            try:
                nvml = self.stack.enter_context(Nvml(self.sources.gpus))
            except ParityError as error:
                self.no_nvml = error.found
                return
            self.gpus = Sampler(lambda: asyncio.to_thread(nvml.read), SAMPLE_S)

    async def close(self) -> None:
        """End what runs, and take the scrape that counting ends with; also of a load that was broken off."""
        for sampler in (self.samples, self.gpus):
            if sampler is not None:
                await sampler.stop()
        self.stack.close()
        metrics = self.sources.metrics
        if metrics is not None:
            self.last = await self._tried("metrics", lambda: self._rest(metrics))

    def incomplete(self) -> str:
        """Which of the two scrapes that count is missing, and why; empty when both are there."""
        missing = [when for when, scrape in (("before", self.first), ("after", self.last)) if scrape is None]
        why = "; ".join(dict.fromkeys(self.unseen)) or "nothing tells of it"
        return f"no scrape from {' and '.join(missing)} the load ({why})" if missing else ""

    async def before(self) -> None:
        """Note where the counters stand, and begin to watch the GPU."""
        source = self.sources.statistics
        self.statistics = None if source is None else await self._tried("statistics", source.read)
        for sampler in (self.samples, self.gpus):
            if sampler is not None:
                sampler.start()

    async def after(self) -> Observed:
        """What changed since `before`."""
        samples = await self.samples.stop() if self.samples else []
        readings = await self.gpus.stop() if self.gpus else []
        source, server = self.sources.statistics, None
        after = None if source is None else await self._tried("statistics", source.read)
        if self.statistics is not None and after is not None:
            server = split(self.statistics, after)
        metrics = self.sources.metrics
        if metrics is None:
            return Observed(server=server, gpu=self._gpu_of_nvml(readings))
        if samples:
            await self._tried("metrics", lambda: self._keep(metrics, self.page))
        await self._tried("metrics", lambda: self._scrape(metrics))
        return Observed(server=server, gpu=await asyncio.to_thread(self._gpu_of_samples, metrics, samples))

    async def _tried(self, what: str, call: Callable[[], Awaitable[T]]) -> T | None:
        """The answer, or None with its reason noted."""
        try:
            return await call()
        except ParityError as error:
            self.unseen.append(one_line(f"{what}: {error.where}: {error.found}"))
        except Exception as error:  # noqa: BLE001  # the load goes on, whatever a library raises
            self.unseen.append(one_line(f"{what}: {first_line(error)}"))
        return None

    async def _sample(self, metrics: MetricsSource) -> str:
        """The lines that tell of the GPU, for all pages of a long step would be much to keep."""
        self.page = await metrics.text()
        lines = (f"{line}\n" for line in self.page.split("\n") if UTILISATION in line)
        return "".join(lines)[:SAMPLE_SIZE]

    async def _scrape(self, metrics: MetricsSource) -> Scrape:
        return await self._keep(metrics, await metrics.text())

    async def _keep(self, metrics: MetricsSource, page: str) -> Scrape:
        """Taken apart on another thread: load may still be going on."""
        scrape = await asyncio.to_thread(metrics.parse, page)
        self.scrapes.append(scrape)
        return scrape

    async def _rest(self, metrics: MetricsSource) -> Scrape:
        """Scrape until the counters rest, for Triton counts a request only after it has answered it.

        They rest when nothing is pending and several scrapes in a row are equal. After REST_MOST_S the last
        scrape has to do, and what it lacks is then unexplained.
        """
        counted: list[object] = []
        for _ in range(int(REST_MOST_S / REST_POLL_S)):
            scrape = await metrics.scrape()
            pending = any(sample.value for sample in scrape.select(PENDING))
            now = [(str(sample), sample.value) for name in COUNTED for sample in scrape.select(name)]
            counted = [*counted, now] if counted[-1:] == [now] and not pending else [now]
            if len(counted) >= REST_POLLS:
                break
            await asyncio.sleep(REST_POLL_S)
        self.scrapes.append(scrape)
        return scrape

    def _gpu_of_samples(self, metrics: MetricsSource, samples: Sequence[str]) -> GpuUse:
        """By Triton's metrics; the last scrape tells whether there is a GPU at all."""
        if self.scrapes and not has_gpu_metrics(self.scrapes[-1]):
            return gpu_use(UTILISATION, [], nothing=f"{NO_GPU}: the server writes no metric of one")
        readings: list[Reading] = []
        damage = ""
        for lines in samples:
            try:
                readings.append(triton_reading(metrics.parse(lines), self.sources.gpus) if lines else {})
            except ParityError as error:
                damage = damage or error.found
        return gpu_use(UTILISATION, readings, damage=damage, nothing=_why_none(self.samples))

    def _gpu_of_nvml(self, readings: Sequence[Reading]) -> GpuUse:
        if self.gpus is None:
            return gpu_use("nvml", [], nothing=self.no_nvml or "nothing tells of this side's GPU")
        return gpu_use("nvml", readings, nothing=_why_none(self.gpus))


def _why_none(sampler: Sampler[Any] | None) -> str:
    if sampler is not None and sampler.failures:
        return sampler.failures[0]
    return f"the step ended before its first sample, {SAMPLE_S:g} s after its begin"
