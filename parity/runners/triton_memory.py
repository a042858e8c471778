"""System shared memory between this process and a Triton on the same machine: tensors that nobody sends.

A region holds one request's input, output or both. An output is used again only after a good answer: a server
that was too late may still write into it, and would then answer the next image with the last one's boxes. For
the same reason the output is filled with NaN before each request, which are counted where they remain.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.errors import first_line
from parity.requests import RequestError
from parity.runners.shared_region import Region, make_region
from parity.runners.triton_transport import Transport

UNKNOWN_REGION = "shared memory region"
"""What is in Triton's message about a region that it does not know, as after its restart."""

IN_USE = "currently in use"
"""What is in Triton's message about a region that it will not forget yet, as for a moment after an answer."""
IN_USE_S = 1.0


class Loan:
    """A region for as long as somebody holds the loan. Afterwards it is lent again, unless it was removed."""

    __slots__ = ("_regions", "region")

    def __init__(self, regions: SharedRegions, region: Region) -> None:
        self._regions = regions
        self.region = region

    @property
    def nbytes(self) -> int:
        """Size of the region."""
        return self.region.nbytes

    def __del__(self) -> None:
        self._regions.give_back(self.region)


class SharedRegions:
    """As many regions as were lent at a time; thread-safe. `close` removes all of them.

    Python's resource tracker, a process of its own, unlinks them when this process is killed with -9. What
    then remains is the server's mapping of them, until it restarts; and, when the tracker is killed as well
    (a whole process group or container), the files /dev/shm/parity_shm_*.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        # Their methods are atomic. A lock would not do: a loan may end in the middle of anything.
        self._free: deque[Region] = deque()
        self._all: dict[str, Region] = {}
        self._in_use: list[str] = []
        self._closed = False

    @contextlib.contextmanager
    def lent(self, input_bytes: int, output_bytes: int) -> Iterator[Region]:
        """A region of at least that size; it is removed when the block ends in an exception.

        Raises as `lend` does, and RequestError for a region that the server does not know.
        """
        loan = self.lend(input_bytes, output_bytes)
        try:
            yield loan.region
        except BaseException as error:
            self._drop(loan.region)
            if isinstance(error, RequestError) and UNKNOWN_REGION in error.found:
                self._drop_free()
                raise unknown_region(error) from error
            raise

    def lend(self, input_bytes: int, output_bytes: int) -> Loan:
        """A region of at least that size, which the server has mapped.

        Raises RequestError when there is no room, when the server cannot map it, or after `close`.
        """
        loan = self.free(input_bytes, output_bytes)
        if loan is not None:
            return loan
        loan = self.make(input_bytes, output_bytes)
        try:
            self._transport.register(loan.region.name, loan.region.key, loan.nbytes)
        except BaseException as error:
            self.remove(loan.region)
            if isinstance(error, RequestError):
                raise self.unmapped(error) from error
            raise
        if self._closed:  # meanwhile, by a thread that tells the server of no region after that
            self._drop(loan.region)
            raise self._error("shared memory is closed")
        return loan

    def free(self, input_bytes: int, output_bytes: int) -> Loan | None:
        """A region of at least that size that was lent before, if there is one."""
        while self._free:
            try:
                region = self._free.pop()
            except IndexError:  # another thread was faster
                return None
            if region.input_bytes >= input_bytes and region.output_bytes >= output_bytes:
                if region.name in self._all:
                    return Loan(self, region)
            else:
                self._drop(region)
        return None

    def make(self, input_bytes: int, output_bytes: int) -> Loan:
        """A new region, of which the server has yet to be told. Raises RequestError when there is no room."""
        if self._closed:
            raise self._error("shared memory is closed")
        try:
            region = make_region(input_bytes, output_bytes)
        except OSError as error:
            raise self._error(
                f"no shared memory: {first_line(error)}",
                remedy="make room in /dev/shm, allow more open files, or set shared_memory = false",
            ) from error
        self._all[region.name] = region
        return Loan(self, region)

    def close(self) -> None:
        """Unlink every region, and have the server forget them, as far as it can be reached."""
        self._closed = True
        names = [region.name for region in list(self._all.values()) if self.remove(region)] + self._in_use
        deadline = time.monotonic() + IN_USE_S
        try:
            while names := [name for name in names if not self._forgotten(name)]:
                if time.monotonic() > deadline:
                    return
                time.sleep(IN_USE_S / 100)
        except RequestError:  # one that is away has forgotten all of them, and is not asked once for each
            return

    def remove(self, region: Region) -> bool:
        """Unlink a region, for good. False when that was done before; the server is yet to be told."""
        if self._all.pop(region.name, None) is None:
            return False
        region.remove()
        return True

    def give_back(self, region: Region) -> None:
        """Lend the region again, if it is still there."""
        if region.name in self._all:
            self._free.append(region)

    def unmapped(self, error: RequestError) -> RequestError:
        """What it means that a server refused to map a region."""
        if error.retryable:
            return error
        return self._error(
            f"the server cannot map shared memory ({error.found})",
            expected="a server on this machine that sees its /dev/shm",
            remedy="in containers: --ipc=host on both; or set shared_memory = false",
        )

    def put_off(self, name: str) -> None:
        """Have `close` tell the server to forget a removed region, which it would not do so far."""
        self._in_use.append(name)

    def _drop_free(self) -> None:
        """Remove all that wait to be lent: a restart spoilt them all, and each would cost an attempt."""
        while (loan := self.free(0, 0)) is not None:
            self._drop(loan.region)

    def _drop(self, region: Region) -> None:
        """Remove it, and have the server forget it; one that is away has done so anyway."""
        if self.remove(region):
            with contextlib.suppress(RequestError):
                if not self._forgotten(region.name):
                    self.put_off(region.name)

    def _forgotten(self, name: str) -> bool:
        """Have the server forget a region; False while it uses it. Raises RequestError when it is away."""
        try:
            self._transport.unregister(name)
        except RequestError as error:
            if error.retryable:
                raise
            return not in_use(error)
        return True

    def _error(self, found: str, *, expected: str = "", remedy: str = "") -> RequestError:
        return RequestError(
            found,
            reason="shared-memory",
            retryable=False,
            where=self._transport.connection.address,
            expected=expected,
            remedy=remedy,
        )


def input_of(region: Region, library: Any, name: str, batch: NDArray[np.float32]) -> Any:
    """Put a batch into a region; the `InferInput` of tritonclient's module that refers to it."""
    region.put(batch)
    tensor = library.InferInput(name, list(batch.shape), "FP32")
    tensor.set_shared_memory(region.name, batch.nbytes)
    return tensor


def output_of(region: Region, library: Any, name: str, size: int) -> Any:
    """The `InferRequestedOutput` that refers to a region's output of so many bytes."""
    output = library.InferRequestedOutput(name)
    output.set_shared_memory(region.name, size, offset=region.input_bytes)
    return output


def unknown_region(error: RequestError) -> RequestError:
    """What it means that a server does not know a region: it restarted, and a new region may help."""
    return RequestError(error.found, reason="shared-memory", retryable=True, where=error.where)


def in_use(error: RequestError) -> bool:
    """Whether a server would not forget a region: the request has ended for its client and not for it."""
    return IN_USE in error.found
