"""Which GPU is CUDA's device 0: read from what nvidia-smi says and the environment, and never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from parity.repository.builders.base import Wish
from parity.repository.builders.tensorrt import missing_gpu
from parity.repository.gpu import Gpu, UncertainGpu, find_gpu, first_device, parse_parents, parse_query

L4 = Gpu(name="NVIDIA L4", driver="580.95.05", compute_capability="8.9")
H100 = Gpu(name="NVIDIA H100 80GB HBM3", driver="580.95.05", compute_capability="9.0")
L4_ROW = "0, GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77, NVIDIA L4, 580.95.05, 8.9\n"
H100_ROW = "1, GPU-6d4a8f1e-0000-1111-2222-333344445555, NVIDIA H100 80GB HBM3, 580.95.05, 9.0\n"
TWO = parse_query(L4_ROW + H100_ROW)
ALIKE = parse_query(L4_ROW + L4_ROW.replace("0, GPU-5d", "1, GPU-7e"))
LISTED = """GPU 0: NVIDIA L4 (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-6d4a8f1e-0000-1111-2222-333344445555)
  MIG 3g.40gb     Device  0: (UUID: MIG-1c8ac3e0-75ee-5f2c-a8e1-17a3a3f3ab2e)
  MIG 4g.40gb     Device  1: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
"""


@pytest.mark.parametrize(
    ("said", "names"),
    [
        (L4_ROW + H100_ROW, ["NVIDIA L4", "NVIDIA H100 80GB HBM3"]),
        ("0, GPU-1, A, B, 580, 9.0\n3, GPU-2, C, 1, 8.9", ["A, B", "C"]),
        (" 0,GPU-1,C,1,12.0\r\n", ["C"]),
        ("No devices were found\n", []),
        ("0, GPU-1, NVIDIA L4, 580, [N/A]\n" + H100_ROW, ["NVIDIA H100 80GB HBM3"]),
        ("0, GPU-1, , 580, 8.9\n", []),
        ("", []),
    ],
)
def test_what_nvidia_smi_says(said: str, names: list[str]) -> None:
    assert [each.gpu.name for each in parse_query(said)] == names


@pytest.mark.parametrize(
    ("visible", "order", "gpu"),
    [
        (None, "PCI_BUS_ID", L4),
        ("1", "PCI_BUS_ID", H100),
        ("1,0", "PCI_BUS_ID", H100),
        (" 1 , 0", "PCI_BUS_ID", H100),
        ("2", "PCI_BUS_ID", None),
        ("2", None, None),
        ("", None, None),
        ("-1", None, None),
        ("-1,0", "PCI_BUS_ID", None),
        ("NoDevFiles", None, None),
        ("GPU-6d4a8f1e-0000-1111-2222-333344445555", None, H100),
        ("GPU-6d4a,GPU-5d", "FASTEST_FIRST", H100),
        ("GPU-", None, None),
        ("GPU-ffff", None, None),
        ("MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", None, H100),
        ("MIG-GPU-6d4a8f1e-0000-1111-2222-333344445555/1/0", None, H100),
        ("MIG-ffff", None, None),
        ("MIG-", None, None),
    ],
)
def test_which_of_two_different_gpus_is_device_0(
    visible: str | None, order: str | None, gpu: Gpu | None
) -> None:
    assert first_device(TWO, visible, order, parse_parents(LISTED)) == gpu


@pytest.mark.parametrize(
    ("visible", "order"), [(None, None), ("1", None), ("0,1", "FASTEST_FIRST"), (None, "")]
)
def test_without_an_order_it_is_uncertain(visible: str | None, order: str | None) -> None:
    with pytest.raises(UncertainGpu) as caught:
        first_device(TWO, visible, order, {})
    said = str(caught.value)
    for part in (
        "NVIDIA L4 of 8.9",
        "NVIDIA H100 80GB HBM3 of 9.0",
        "not certain",
        "CUDA_DEVICE_ORDER=PCI_BUS_ID",
    ):
        assert part in said


@pytest.mark.parametrize("visible", [None, "0", "1", "1,0"])
def test_between_gpus_of_one_kind_the_order_does_not_matter(visible: str | None) -> None:
    assert first_device(ALIKE, visible, None, {}) == L4


def test_no_gpus_no_device() -> None:
    assert first_device((), None, None, {}) is None


def nvidia_smi(folder: Path, query: str, listing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of that name, which answers the two questions that are asked."""
    (folder / "query").write_text(query)
    (folder / "list").write_text(listing)
    program = folder / "nvidia-smi"
    program.write_text(
        f'#!/bin/sh\ncase "$1" in -L) read_=list;; *) read_=query;; esac\n/bin/cat "{folder}/$read_"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_the_environment_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(tmp_path, L4_ROW + H100_ROW, LISTED, monkeypatch)
    assert find_gpu({"CUDA_VISIBLE_DEVICES": "MIG-1c8ac3e0-75ee-5f2c-a8e1-17a3a3f3ab2e"}) == H100
    assert find_gpu({"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}) == L4
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    with pytest.raises(UncertainGpu):
        find_gpu()
    assert "not certain" in missing_gpu(Wish(capabilities=(), engine=None))


def test_no_driver_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_gpu() is None
