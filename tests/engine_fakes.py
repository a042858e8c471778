"""Stand-ins for TensorRT's Python API and for torch's CUDA memory, for what parity itself does with them.

They show nothing about an engine: tests/integration/test_engine_gpu.py runs a real one, where there is a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
STREAM = 77


@dataclass
class FakePlan:
    """What the fake library makes of any plan. profile: least and most of the input. fails: at which step."""

    profile: tuple[Shape, Shape] = ((1, 3, 64, 96), (8, 3, 64, 96))
    output: Shape = (300, 6)
    types: dict[str, str] = field(default_factory=dict)
    fails: str = ""
    answers: list[Sequence[float]] = field(default_factory=list)
    ran: list[Shape] = field(default_factory=list)


class FakeTensor:
    """An array at an address."""

    memory: dict[int, NDArray[np.float32]]

    def __init__(self, torch: FakeTorch, array: NDArray[np.float32]) -> None:
        self.torch, self.array = torch, array
        torch.memory[id(self)] = array

    @property
    def shape(self) -> Shape:
        return self.array.shape

    def cuda(self) -> FakeTensor:
        if self.torch.full:
            raise RuntimeError("CUDA out of memory.\nTried to allocate")
        return self

    def cpu(self) -> FakeTensor:
        return self

    def numpy(self) -> NDArray[np.float32]:
        return self.array

    def data_ptr(self) -> int:
        return id(self)


class FakeTorch:
    """The part of torch that the runner uses. full: copying to the device fails."""

    float32 = np.float32

    def __init__(self, *, available: bool = True, full: bool = False) -> None:
        self.full = full
        self.memory: dict[int, NDArray[np.float32]] = {}
        self.cuda = SimpleNamespace(
            is_available=lambda: available,
            get_device_name=lambda _index: "a fake GPU",
            Stream=lambda: SimpleNamespace(cuda_stream=STREAM, synchronize=lambda: None),
            stream=self._stream,
        )

    @contextmanager
    def _stream(self, _stream: Any) -> Iterator[None]:
        yield

    def from_numpy(self, array: NDArray[np.float32]) -> FakeTensor:
        return FakeTensor(self, array)

    def empty(self, shape: Shape, dtype: type[np.float32], device: str) -> FakeTensor:
        assert device == "cuda"
        return FakeTensor(self, np.full(shape, np.nan, dtype))


class FakeContext:
    """An execution context: an input shape within the profile, addresses, and answers at those."""

    def __init__(self, plan: FakePlan, torch: FakeTorch) -> None:
        self.plan, self.torch = plan, torch
        self.shape: Shape = (-1, -1, -1, -1)
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: Shape) -> bool:
        assert name == "images"
        least, most = self.plan.profile
        fits = len(shape) == 4 and all(a <= b <= c for a, b, c in zip(least, shape, most, strict=True))
        self.shape = shape if fits else self.shape
        return fits

    def get_tensor_shape(self, name: str) -> Shape:
        return self.shape if name == "images" else (self.shape[0], *self.plan.output)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        """Write each row's answer, which its own brightest pixel stands in, to where the output lies."""
        assert stream == STREAM
        given, answer = (self.torch.memory[self.addresses[name]] for name in ("images", "output0"))
        self.plan.ran.append(given.shape)
        answer[:] = 0
        for row, image in zip(answer, given, strict=True):
            row[0, : len(self.plan.answers[0])] = self.plan.answers[0]
            row[0, 4] = image.max()
        return self.plan.fails != "execution"


class FakeEngine:
    """A deserialised plan with one input and one output."""

    num_io_tensors = 2

    def __init__(self, plan: FakePlan, torch: FakeTorch) -> None:
        self.plan, self.torch = plan, torch

    def get_tensor_name(self, index: int) -> str:
        return ("images", "output0")[index]

    def get_tensor_mode(self, name: str) -> str:
        return "in" if name == "images" else "out"

    def get_tensor_dtype(self, name: str) -> str:
        return f"DataType.{self.plan.types.get(name, 'FLOAT')}"

    def get_tensor_profile_shape(self, _name: str, index: int) -> tuple[Shape, Shape, Shape]:
        assert index == 0
        least, most = self.plan.profile
        return least, most, most

    def create_execution_context(self) -> FakeContext | None:
        return None if self.plan.fails == "memory" else FakeContext(self.plan, self.torch)


class FakeTensorRt:
    """The module `tensorrt`, or TensorRT-RTX's."""

    TensorIOMode = SimpleNamespace(INPUT="in", OUTPUT="out")

    def __init__(self, plan: FakePlan, torch: FakeTorch, name: str = "tensorrt") -> None:
        self.__name__, self.__version__ = name, "11.0.0"
        self.Logger = type("Logger", (), {"ERROR": 1, "__init__": lambda _self, _severity: None})
        engine = None if plan.fails == "loading" else FakeEngine(plan, torch)
        self.Runtime = lambda _logger: SimpleNamespace(deserialize_cuda_engine=lambda _data: engine)
