"""One region of POSIX shared memory for a request's tensors, as this process sees it."""

from __future__ import annotations

import contextlib
import os
import uuid
from dataclasses import dataclass
from math import prod
from multiprocessing.shared_memory import SharedMemory

import numpy as np
from numpy.typing import NDArray

from parity.requests import RequestError
from parity.serving.process import SHARED_MEMORY

PREFIX = "parity_shm_"
FLOAT = 4
"""Bytes of a float32."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """Room for an input, then for an output; float32. Sizes in bytes."""

    name: str
    memory: SharedMemory
    input_bytes: int
    output_bytes: int

    @property
    def nbytes(self) -> int:
        """Size of the whole."""
        return self.input_bytes + self.output_bytes

    @property
    def key(self) -> str:
        """What the server is to open."""
        return f"/{self.name}"

    def view(self, shape: tuple[int, ...], offset: int = 0) -> NDArray[np.float32]:
        """What is in it, from `offset` on. Not to be kept: memory that is looked at cannot be unmapped.

        Raises RequestError when the region was removed.
        """
        buffer = self.memory.buf
        if buffer is None:
            raise RequestError("shared memory was removed", reason="shared-memory", retryable=False)
        # Not np.ndarray(buffer=...), which does not keep memory from being unmapped under it.
        return np.frombuffer(buffer, np.float32, prod(shape), offset).reshape(shape)

    def put(self, batch: NDArray[np.float32]) -> None:
        """Copy an input into the region, unless it is there."""
        view = self.view(batch.shape)
        if (batch.ctypes.data, batch.strides) != (view.ctypes.data, view.strides):
            view[:] = batch

    def blank(self) -> None:
        """Fill the output with NaN."""
        self.view((self.output_bytes // FLOAT,), self.input_bytes)[:] = np.nan

    def output(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """A copy of the output."""
        return np.array(self.view(shape, self.input_bytes), np.float32)

    def remove(self) -> None:
        """Unlink and unmap; a thread that still has it in hands keeps its mapping until it lets go."""
        with contextlib.suppress(OSError):
            self.memory.unlink()
        with contextlib.suppress(BufferError):
            self.memory.close()


def make_region(input_bytes: int, output_bytes: int) -> Region:
    """A new region, all of which is there. Raises OSError when there is no room, or no file to be had."""
    name, size = f"{PREFIX}{os.getpid()}_{uuid.uuid4().hex}", input_bytes + output_bytes
    memory = SharedMemory(name, create=True, size=size)
    region = Region(name=name, memory=memory, input_bytes=input_bytes, output_bytes=output_bytes)
    try:
        # Otherwise a full /dev/shm shows when it is written to, which ends this process.
        with (SHARED_MEMORY / name).open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError:
        region.remove()
        raise
    return region
