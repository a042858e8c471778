"""The bare loops that benchmarks/load.py compares with, and processor time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from parity.load.threads import cores
from parity.runners.preprocess import preprocess

ROWS, COLUMNS = 300, 6
"""Of the output of the model that is served."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Answers or pictures a second; time on the processors for one of them, ms, of client and server."""

    per_s: float
    cpu_ms: float
    server_cpu_ms: float = 0.0


class Stopwatch:
    """Wall time and processor time from its making on. server: the server's process, 0 without one."""

    def __init__(self, server: int) -> None:
        self.server = server
        self.began = time.perf_counter(), time.process_time(), processor_time(server)

    def rate(self, total: float) -> Rate:
        """What came to a total in the time up to now."""
        wall, own, served = time.perf_counter(), time.process_time(), processor_time(self.server)
        return Rate(
            per_s=total / (wall - self.began[0]),
            cpu_ms=1e3 * (own - self.began[1]) / total,
            server_cpu_ms=1e3 * (served - self.began[2]) / total,
        )


def processor_time(pid: int) -> float:
    """Seconds that a process and all its living descendants have been on the processors; Linux."""
    if pid == 0:
        return 0.0
    process = Path(f"/proc/{pid}")
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    children = [child for task in (process / "task").iterdir() for child in _children(task)]
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + sum(map(processor_time, children))


def _children(task: Path) -> list[int]:
    return [int(child) for child in (task / "children").read_text().split()]


def prepared(model: Any, file: bytes) -> Any:
    """Decode a file and make the network's input of it."""
    pixels = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    return preprocess(np.asarray(pixels, np.uint8), model.input_size, model.resize)


def bare_pictures(model: Any, files: list[bytes], seconds: float) -> Rate:
    """Pictures decoded and letterboxed, on a thread for each core."""
    end = time.perf_counter() + seconds
    numbers = count()

    def work() -> int:
        done = 0
        while time.perf_counter() < end:
            prepared(model, files[next(numbers) % len(files)])
            done += 1
        return done

    watch = Stopwatch(0)
    with ThreadPoolExecutor(cores()) as pool:
        total = sum(each.result() for each in [pool.submit(work) for _ in range(cores())])
    return watch.rate(total)


def bare_requests(
    server: tuple[str, int], name: str, size: tuple[int, int], shared: bool, concurrency: int, seconds: float
) -> Rate:
    """What tritonclient's asynchronous client gets that resends one tensor. server: address and process."""

    async def main() -> Rate:
        from tritonclient.grpc import aio

        with ExitStack() as stack:
            calls = [
                stack.enter_context(_call(server[0], size, shared, number)) for number in range(concurrency)
            ]
            async with aio.InferenceServerClient(server[0]) as client:
                watch = Stopwatch(server[1])
                end = time.perf_counter() + seconds

                async def one(call: Call) -> int:
                    done = 0
                    while time.perf_counter() < end:
                        call.read(await client.infer(name, call.inputs, outputs=call.outputs))
                        done += 1
                    return done

                return watch.rate(sum(await asyncio.gather(*map(one, calls))))

    return asyncio.run(main())


@dataclass(frozen=True)
class Call:
    """One request that is sent again and again, and what reads its answer."""

    inputs: list[Any]
    outputs: list[Any]
    read: Callable[[Any], Any]


@contextmanager
def _call(url: str, size: tuple[int, int], shared: bool, number: int) -> Iterator[Call]:
    from tritonclient import grpc
    from tritonclient.utils import shared_memory

    tensor = np.full((1, 3, *size), 0.5, np.float32)
    given, wanted = (
        grpc.InferInput("images", list(tensor.shape), "FP32"),
        grpc.InferRequestedOutput("output0"),
    )
    if not shared:
        given.set_data_from_numpy(tensor)
        yield Call([given], [wanted], lambda result: result.as_numpy("output0"))
        return
    rows = (1, ROWS, COLUMNS)
    output = ROWS * COLUMNS * 4
    region = f"parity_bare_{os.getpid()}_{number}"
    handle = shared_memory.create_shared_memory_region(region, region, tensor.nbytes + output, True)
    try:
        shared_memory.set_shared_memory_region(handle, [tensor])
        with grpc.InferenceServerClient(url) as client:
            client.register_system_shared_memory(region, f"/{region}", tensor.nbytes + output)
            given.set_shared_memory(region, tensor.nbytes)
            wanted.set_shared_memory(region, output, offset=tensor.nbytes)
            read = shared_memory.get_contents_as_numpy
            yield Call([given], [wanted], lambda _: read(handle, np.float32, rows, tensor.nbytes).copy())
            time.sleep(0.05)  # the server holds it for a moment after its answer
            client.unregister_system_shared_memory(region)
    finally:
        shared_memory.destroy_shared_memory_region(handle)
