"""How busy the GPU is while a step runs: by Triton's own metrics, or by the driver's NVML on this machine.

What kind of device there is, `parity.repository.gpu` tells. One reading holds every GPU that can be seen;
of each reading the busiest counts, for a server that uses one of eight is not an eighth as busy.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal

from typing_extensions import Self

from parity.errors import EvidenceError, RunnerError, first_line
from parity.serving.evidence import GpuUse
from parity.serving.prometheus import Scrape
from parity.visible import one_line

UTILISATION: Literal["nv_gpu_utilization"] = "nv_gpu_utilization"
PREFIXES = ("nv_gpu_", "nv_energy_")
NO_GPU = "no GPU"

Reading = Mapping[str, float]


def triton_reading(scrape: Scrape, uuids: Collection[str] = ()) -> Reading:
    """Utilisation by the GPU's UUID in one scrape; empty where Triton writes none. uuids: only of these.

    Raises EvidenceError for a value outside 0 to 1, NaN among them.
    """
    found = scrape.select(UTILISATION)
    damaged = [f"{sample} is {sample.value:g}" for sample in found if not 0 <= sample.value <= 1]
    if damaged:
        raise EvidenceError("; ".join(damaged)[:400], where=scrape.where, expected="0 to 1")
    readings = {sample.labels.get("gpu_uuid", ""): sample.value for sample in found}
    return {uuid: value for uuid, value in readings.items() if not uuids or uuid in uuids}


def has_gpu_metrics(scrape: Scrape) -> bool:
    """Whether Triton writes anything of a GPU."""
    return any(name.startswith(PREFIXES) for name in scrape.names())


def gpu_use(
    source: Literal["nv_gpu_utilization", "nvml"],
    readings: Sequence[Reading],
    *,
    damage: str = "",
    nothing: str = "",
) -> GpuUse:
    """Mean and maximum of the busiest GPU of each reading.

    damage: why the readings cannot be trusted, in which case they are counted and nothing more is made of
    them. nothing: why there is none, where the caller knows.
    """
    busiest = [max(reading.values()) for reading in readings if reading]
    wrong = [value for value in busiest if not (math.isfinite(value) and 0 <= value <= 1)]
    if wrong and not damage:
        damage = f"a utilisation of {wrong[0]:g}, expected 0 to 1"
    if damage:
        return GpuUse(source=source, samples=len(busiest), mean=None, max=None, reason=damage)
    if not busiest:
        reason = "no value of the GPUs that count" if readings else nothing or "no sample was taken"
        return GpuUse(source="none", samples=0, mean=None, max=None, reason=reason)
    return GpuUse(source=source, samples=len(busiest), mean=statistics.fmean(busiest), max=max(busiest))


class Nvml:
    """The driver's own library, as a context manager; it sees the GPUs of this machine only.

    uuids: only these GPUs; empty: all. Raises RunnerError with the reason where there is no driver or no GPU.
    """

    def __init__(self, uuids: Collection[str] = ()) -> None:
        self.uuids = frozenset(uuids)
        self._library: Any = None
        self._devices: dict[str, Any] = {}

    def __enter__(self) -> Self:
        try:
            import pynvml
        except ImportError as error:
            raise RunnerError(
                f"pynvml cannot be imported: {error}", remedy="pip install 'triton-parity[load]'"
            ) from error
        self._library = pynvml
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise _no_gpu(error) from error
        try:
            self._devices = self._find()
        except BaseException:
            pynvml.nvmlShutdown()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._library.nvmlShutdown()

    def read(self) -> Reading:
        """Utilisation by UUID, 0 to 1. Raises RunnerError when a GPU cannot be read, as under MIG."""
        try:
            return {
                uuid: self._library.nvmlDeviceGetUtilizationRates(device).gpu / 100
                for uuid, device in self._devices.items()
            }
        except self._library.NVMLError as error:
            raise RunnerError(f"NVML cannot read the GPU: {one_line(str(error))}", where="nvml") from error

    def _find(self) -> dict[str, Any]:
        library = self._library
        try:
            devices = map(library.nvmlDeviceGetHandleByIndex, range(library.nvmlDeviceGetCount()))
            found = {_text(library.nvmlDeviceGetUUID(device)): device for device in devices}
        except library.NVMLError as error:
            raise _no_gpu(error) from error
        wanted = {uuid: device for uuid, device in found.items() if not self.uuids or uuid in self.uuids}
        if not wanted:
            there = ", ".join(found) or "none"
            raise RunnerError(
                f"{NO_GPU}: NVML sees none of those that are wanted", where="nvml", expected=f"one of {there}"
            )
        return wanted


def _no_gpu(error: Exception) -> RunnerError:
    return RunnerError(f"{NO_GPU}: {one_line(first_line(error))}", where="nvml")


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
