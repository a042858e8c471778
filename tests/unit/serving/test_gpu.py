"""How busy the GPU was: from the text of a Triton with GPUs, and NVML's refusal where there is none."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pynvml
import pytest

from parity.errors import EvidenceError, RunnerError
from parity.serving.gpu import NO_GPU, UTILISATION, Nvml, gpu_use, has_gpu_metrics, triton_reading
from parity.serving.prometheus import parse
from tests.metrics_text import scrape, with_gpu

FIRST, SECOND = "GPU-7e8a", "GPU-01cc"


def test_each_gpu_is_read() -> None:
    found = parse(with_gpu("0.83"), where="metrics")
    assert has_gpu_metrics(found)
    assert triton_reading(found) == {FIRST: 0.83, SECOND: 0.0}
    assert triton_reading(found, {SECOND}) == {SECOND: 0.0}


def test_a_server_without_gpu_has_no_reading() -> None:
    assert triton_reading(scrape()) == {}
    assert not has_gpu_metrics(scrape())


@pytest.mark.parametrize("value", ["0", "1", "0.0", "1e0"])
def test_the_ends_of_the_range_belong_to_it(value: str) -> None:
    assert triton_reading(parse(with_gpu(value), where="metrics"))[FIRST] == float(value)


@pytest.mark.parametrize("value", ["1.01", "83", "-0.1", "NaN", "+Inf"])
def test_a_value_outside_is_damage_and_named(value: str) -> None:
    with pytest.raises(EvidenceError, match=f"{UTILISATION}.*{FIRST}.* is ") as caught:
        triton_reading(parse(with_gpu(value), where="metrics"))
    assert caught.value.expected == "0 to 1"


def test_of_each_reading_the_busiest_counts() -> None:
    found = gpu_use(UTILISATION, [{FIRST: 0.2, SECOND: 0.0}, {FIRST: 0.4, SECOND: 0.6}, {}])
    assert (found.source, found.samples, found.max) == (UTILISATION, 2, 0.6)
    assert found.mean == pytest.approx(0.4)


def test_an_idle_gpu_is_0_and_an_unseen_one_is_nothing() -> None:
    assert gpu_use("nvml", [{FIRST: 0.0}]).mean == 0.0
    unseen = gpu_use("nvml", [], nothing="no driver")
    assert (unseen.source, unseen.samples, unseen.mean, unseen.max) == ("none", 0, None, None)
    assert unseen.reason == "no driver"
    assert gpu_use("nvml", []).reason
    assert "GPUs that count" in gpu_use("nvml", [{}]).reason


@pytest.mark.parametrize("value", [math.nan, 1.5, -0.5, math.inf])
def test_damage_leaves_no_number(value: float) -> None:
    found = gpu_use("nvml", [{FIRST: 0.5}, {FIRST: value}])
    assert (found.source, found.samples, found.mean, found.max) == ("nvml", 2, None, None)
    assert "expected 0 to 1" in found.reason
    told = gpu_use("nvml", [{FIRST: 0.5}], damage="a page without sense")
    assert (told.samples, told.mean, told.reason) == (1, None, "a page without sense")


@pytest.mark.skipif(Path("/proc/driver/nvidia/version").exists(), reason="this machine has a driver")
def test_nvml_refuses_where_there_is_no_driver() -> None:
    with pytest.raises(RunnerError, match=f"^nvml: {NO_GPU}: .*[Nn]ot [Ff]ound"), Nvml():
        pytest.fail("NVML opened without a driver")


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """In place of a driver, which no machine of the tests has: the calls of NVML that are used."""
    library = ModuleType("pynvml")
    busy = {FIRST: 83, SECOND: 0}
    library.__dict__.update(
        NVMLError=pynvml.NVMLError,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: len(busy),
        nvmlDeviceGetHandleByIndex=lambda index: list(busy)[index],
        nvmlDeviceGetUUID=lambda device: device,
        nvmlDeviceGetUtilizationRates=lambda device: SimpleNamespace(gpu=busy[device], memory=99),
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    return library


def test_nvml_tells_percent_and_is_read_as_shares(two_gpus: ModuleType) -> None:
    with Nvml() as nvml:
        assert nvml.read() == {FIRST: 0.83, SECOND: 0.0}
    with Nvml({SECOND}) as nvml:
        assert nvml.read() == {SECOND: 0.0}


def test_nvml_without_the_gpu_that_is_wanted(two_gpus: ModuleType) -> None:
    with pytest.raises(RunnerError, match="none of those") as caught, Nvml({"GPU-0"}):
        pytest.fail("NVML opened without the GPU")
    assert caught.value.expected == f"one of {FIRST}, {SECOND}"


def test_a_gpu_that_nvml_cannot_read_has_no_value(
    two_gpus: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(device: object) -> object:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(two_gpus, "nvmlDeviceGetUtilizationRates", refuse)
    with Nvml() as nvml, pytest.raises(RunnerError, match="cannot read the GPU: Not Supported"):
        nvml.read()
