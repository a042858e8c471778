"""System shared memory between this process and a Triton on the same machine: tensors that nobody sends.

A region holds one request's input and output. It is used again only after a good answer: a server that was
too late may still write into it, and would then answer the next image with the last one's boxes. For the
same reason the output is filled with NaN before each request, which are counted where they remain.
"""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.errors import RunnerError, first_line
from parity.requests import RequestError
from parity.runners.triton_transport import Transport

PREFIX = "parity_shm_"
UNKNOWN_REGION = "shared memory region"
"""What is in Triton's message about a region that it does not know, as after its restart."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """One region: room for the input, then for the output. Sizes in bytes."""

    name: str
    handle: Any
    input_bytes: int
    output_bytes: int


class SharedRegions:
    """As many regions as requests were under way at a time; thread-safe. `close` removes all of them.

    Python's resource tracker, a process of its own, unlinks them when this process is killed with -9. What
    then remains is the server's mapping of them, until it restarts; and, when the tracker is killed as well
    (a whole process group or container), the files /dev/shm/parity_shm_*.
    """

    def __init__(self, transport: Transport) -> None:
        from tritonclient.utils import shared_memory

        self._library = shared_memory
        self._transport = transport
        self._lock = threading.Lock()
        self._free: list[Region] = []
        self._all: dict[str, Region] = {}

    @contextlib.contextmanager
    def lent(self, input_bytes: int, output_bytes: int) -> Iterator[Region]:
        """A region of at least that size; it is dropped when the block ends in an exception.

        Raises RunnerError when there is no room, RequestError when the server cannot map it.
        """
        region = self._take(input_bytes, output_bytes)
        try:
            yield region
        except BaseException as error:
            self._drop(region)
            if isinstance(error, RequestError) and UNKNOWN_REGION in error.found:
                raise RequestError(
                    error.found, reason="shared-memory", retryable=True, where=error.where
                ) from error
            raise
        with self._lock:
            self._free.append(region)

    def describe(
        self, region: Region, library: Any, names: tuple[str, str], batch: NDArray[np.float32], size: int
    ) -> tuple[Any, Any]:
        """Copy a batch into a region, and its input and output for `infer`. size: of the output, bytes."""
        offset = region.input_bytes
        blank = np.full(size // batch.itemsize, np.nan, np.float32)
        self._library.set_shared_memory_region(region.handle, [np.ascontiguousarray(batch)])
        self._library.set_shared_memory_region(region.handle, [blank], offset=offset)
        tensor = library.InferInput(names[0], list(batch.shape), "FP32")
        tensor.set_shared_memory(region.name, batch.nbytes)
        output = library.InferRequestedOutput(names[1])
        output.set_shared_memory(region.name, size, offset=offset)
        return tensor, output

    def contents(self, region: Region, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """A copy of the output in a region."""
        view = self._library.get_contents_as_numpy(
            region.handle, np.float32, list(shape), offset=region.input_bytes
        )
        return np.array(view, np.float32)

    def close(self) -> None:
        """Have the server forget every region, and unlink them, whether or not it can be reached."""
        for region in list(self._all.values()):
            self._drop(region)

    def _take(self, input_bytes: int, output_bytes: int) -> Region:
        with self._lock:
            region = self._free.pop() if self._free else None
        if region is None:
            return self._make(input_bytes, output_bytes)
        if region.input_bytes >= input_bytes and region.output_bytes >= output_bytes:
            return region
        self._drop(region)
        return self._make(max(input_bytes, region.input_bytes), max(output_bytes, region.output_bytes))

    def _make(self, input_bytes: int, output_bytes: int) -> Region:
        name = f"{PREFIX}{os.getpid()}_{uuid.uuid4().hex}"
        where = self._transport.connection.address
        try:
            handle = self._library.create_shared_memory_region(
                name, name, input_bytes + output_bytes, create_only=True
            )
        except self._library.SharedMemoryException as error:
            raise RunnerError(
                f"no shared memory: {first_line(error.__cause__ or error)}",
                where=where,
                remedy="make room in /dev/shm, or set shared_memory = false",
            ) from error
        region = Region(name=name, handle=handle, input_bytes=input_bytes, output_bytes=output_bytes)
        self._all[name] = region
        try:
            self._transport.register(name, f"/{name}", input_bytes + output_bytes)
        except RequestError as error:
            self._drop(region)
            if error.retryable:
                raise
            raise RequestError(
                f"the server cannot map shared memory ({error.found})",
                reason="shared-memory",
                retryable=False,
                where=where,
                expected="a server on this machine that sees its /dev/shm",
                remedy="in containers: --ipc=host on both; or set shared_memory = false",
            ) from error
        return region

    def _drop(self, region: Region) -> None:
        """Unregister and unlink; a server that is away has forgotten it anyway."""
        if self._all.pop(region.name, None) is None:
            return
        with self._lock:
            self._free = [free for free in self._free if free.name != region.name]
        try:
            with contextlib.suppress(RequestError):
                self._transport.unregister(region.name)
        finally:
            self._library.destroy_shared_memory_region(region.handle)
