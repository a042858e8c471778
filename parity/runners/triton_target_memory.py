"""Shared memory under load: inputs that may be sent many times at once, an output for each request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from parity.requests import RequestError
from parity.runners.shared_region import FLOAT, Region
from parity.runners.triton_client import TritonClient
from parity.runners.triton_memory import (
    UNKNOWN_REGION,
    Loan,
    SharedRegions,
    in_use,
    input_of,
    output_of,
    unknown_region,
)

Tensor = NDArray[np.float32]
T = TypeVar("T")
Ask = Callable[..., Awaitable[Any]]
"""Calls a method of tritonclient's asynchronous client by its name. Raises RequestError."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server told, and the memory that its output is in, for as long as this is held."""

    result: Any
    memory: Loan


class TargetMemory:
    """The regions of one target.

    An input's region is the payload's for as long as that lives, since the server only reads it. An output's
    is one request's from sending to decoding; it is removed when the request fails, however it does. So there
    are as many as payloads are alive, and as requests are under way.
    """

    def __init__(self, client: TritonClient, library: Any, ask: Ask) -> None:
        """library: tritonclient's module for the protocol."""
        contract = client.tensors
        self._client = client
        self._library = library
        self._ask = ask
        self._input, self._output = contract.input, contract.output
        self._shape = (1, *contract.output_shape)
        self._size = prod(self._shape) * FLOAT
        self._inputs = SharedRegions(client.transport)
        self._outputs = SharedRegions(client.transport)
        self._wanted: dict[str, Any] = {}  # an `InferRequestedOutput` by region, which takes long to make
        self._forgetting: dict[str, asyncio.Future[None]] = {}

    def input(self, size: tuple[int, int], fill: Callable[..., tuple[Tensor, T]]) -> tuple[Any, T, Loan]:
        """The `InferInput` of an image, what else `fill` gives, and its memory. Called from several threads.

        size: height and width of the network's input. fill: makes the tensor (3, H, W), in the memory that
        it is given if it can. Raises RequestError when there is no room, or the server cannot map it.
        """
        shape = (3, *size)
        loan = self._inputs.lend(prod(shape) * FLOAT, 0)
        tensor, more = fill(loan.region.view(shape, 0))
        return input_of(loan.region, self._library, self._input, tensor[None]), more, loan

    async def infer(self, given: Loan, send: Callable[[Any], Awaitable[Any]]) -> Answer:
        """Have `send` send a request with an `InferRequestedOutput`. given: the input's memory.

        Raises RequestError.
        """
        loan = self._outputs.free(0, self._size) or await self._new()
        try:
            loan.region.blank()
            return Answer(await send(self._wanted[loan.region.name]), loan)
        except BaseException as error:
            self._lose(loan.region)
            if isinstance(error, RequestError) and UNKNOWN_REGION in error.found:
                with suppress(RequestError):  # it may be the output that the server does not know
                    await self._map(given.region)
                raise unknown_region(error) from error
            raise

    def contents(self, answer: Answer) -> Tensor:
        """A copy of the output (1, ...). Raises RequestError when it is not what the server promised."""
        self._client.check_told(answer.result, self._shape)
        return answer.memory.region.output(self._shape)

    async def close(self) -> None:
        """Remove all of it, whether or not the server can be reached."""
        unsure = dict(self._forgetting)
        for name, task in unsure.items():
            task.cancel()
            self._outputs.put_off(name)
        await asyncio.gather(*unsure.values(), return_exceptions=True)
        try:
            self._outputs.close()
        finally:
            self._inputs.close()

    async def _new(self) -> Loan:
        """A region that the server has mapped, while other requests go on."""
        loan = self._outputs.make(0, self._size)
        region = loan.region
        try:
            await self._map(region)
        except BaseException as error:
            self._lose(region)
            if isinstance(error, RequestError):
                raise self._outputs.unmapped(error) from error
            raise
        self._wanted[region.name] = output_of(region, self._library, self._output, self._size)
        return loan

    async def _map(self, region: Region) -> None:
        await self._ask("register_system_shared_memory", region.name, region.key, region.nbytes)

    def _lose(self, region: Region) -> None:
        """Remove a region into which a late server may still write; the server hears of it by the way."""
        name = region.name
        self._wanted.pop(name, None)
        if self._outputs.remove(region):
            self._forgetting[name] = asyncio.ensure_future(self._forget(name))
            self._forgetting[name].add_done_callback(lambda _: self._forgetting.pop(name))

    async def _forget(self, name: str) -> None:
        try:
            await self._ask("unregister_system_shared_memory", name)
        except RequestError as error:  # one that is away has forgotten it anyway
            if in_use(error):
                self._outputs.put_off(name)
