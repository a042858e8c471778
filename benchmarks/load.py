"""What the load generator itself costs, as ratios against bare loops in the same run.

    nox -s benchmarks

The server is the embedded Triton with a model that answers at once: it returns rows that do not depend on
the pixels, of the shape of the demo's YOLO26n. It shares the cores with its client, for both of a pair.

- `requests`: `parity load` with work `tensor` against tritonclient's asynchronous client that sends one
  tensor again and again, at the same concurrency to the same server. Goal: at least 0.9.
- `pictures`: work `image` on a path that answers without a server, against decoding and letterboxing the
  same files on as many threads. This is what the generator adds to the client's own work. Goal: at least 0.9.
- `large_pictures`: the same with files of four times the width and height, for an input of 640 pixels.
- `served_pictures`: work `image` on the Triton, against the same bare loop. Here the tensors go through
  gRPC, and the server takes its part of the cores. Goal: at least 0.9 too, on a machine that has the cores.

Runs alternate (A B A B), and the median of the ratios of neighbours counts, since machines drift. Beside each
rate stands what one answer costs this process in processor time, which a busy machine changes less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from typing_extensions import Self

from benchmarks.paths import context
from parity import policies, runners
from parity.config import RunFile, RunnerConfig, load
from parity.dataset import Dataset, ImageRecord
from parity.dataset import load as load_dataset
from parity.load.observers import Observed
from parity.load.plan import LoadPlan, StepRules, closed
from parity.load.run import LoadRun, run_load
from parity.load.threads import cores
from parity.runners import ImageResult, RunnerContext
from parity.runners.preprocess import preprocess
from parity.runners.target import Target
from parity.serving.environment import prepare
from parity.serving.evidence import SideName, Work
from parity.serving.triton import EmbeddedTriton, ServedModel

ROOT = Path(__file__).resolve().parents[1]
NAME = "yolo26"
GOAL = 0.9
PICTURES = 64
LARGE = 4
LARGE_INPUT = (640, 640)
ROWS = 300


def instant_model(folder: Path, size: tuple[int, int]) -> ServedModel:
    """A model of YOLO26n's tensors that reads one value of its input and answers the same rows to all."""
    from onnx import TensorProto, helper, numpy_helper

    rows = np.zeros((1, ROWS, 6), np.float32)
    rows[0, :20] = [10, 10, 60, 60, 0.9, 0]
    constants = {"begin": [0, 0, 0], "end": [1, 1, 1], "axes": [1, 2, 3], "flat": [-1, 1, 1]}
    nodes = [
        helper.make_node("Slice", ["images", "begin", "end", "axes"], ["pixel"]),
        helper.make_node("Reshape", ["pixel", "flat"], ["column"]),
        helper.make_node("Mul", ["column", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "rows"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "instant",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, *size])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["n", ROWS, 6])],
        [
            numpy_helper.from_array(rows, "rows"),
            numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
            *(numpy_helper.from_array(np.array(value, np.int64), name) for name, value in constants.items()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = folder / "instant.onnx"
    path.write_bytes(model.SerializeToString())
    config = f"""
name: "{NAME}"
backend: "python"
max_batch_size: 8
input {{ name: "images" data_type: TYPE_FP32 dims: [3, {size[0]}, {size[1]}] }}
output {{ name: "output0" data_type: TYPE_FP32 dims: [{ROWS}, 6] }}
instance_group {{ count: 1 kind: KIND_CPU }}
"""
    return ServedModel(name=NAME, onnx=path, config=config)


def enlarged(
    dataset: Dataset, images: Sequence[ImageRecord], made: RunnerContext, folder: Path
) -> tuple[Dataset, RunnerContext]:
    """The images as pictures of LARGE times the size, and a context whose model takes 640 pixels."""
    records = []
    for image in images:
        pixels = cv2.imread(str(image.path), cv2.IMREAD_COLOR)
        path = folder / f"{image.image_id}.jpg"
        size = image.width * LARGE, image.height * LARGE
        cv2.imwrite(str(path), cv2.resize(np.asarray(pixels), size, interpolation=cv2.INTER_CUBIC))
        records.append(replace(image, path=path, width=size[0], height=size[1], sha256=None))
    model = made.model.model_copy(update={"input_size": LARGE_INPUT})
    return replace(dataset, images=tuple(records)), replace(made, model=model)


class InProcess:
    """The client's own work of the path to Triton, with nothing behind it."""

    def __init__(self, given: RunnerContext) -> None:
        self.model = given.model

    @property
    def endpoint(self) -> str:
        """For messages."""
        return "in process"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """There is nothing to close."""

    def encode(self, image: ImageRecord, file: bytes) -> Any:
        """What the bare loop does for a picture, and nothing else."""
        return prepared(self.model, file)

    async def send(self, payload: Any) -> None:
        """Answer at once, after a turn of the event loop."""
        await asyncio.sleep(0)

    def decode(self, image: ImageRecord, payload: Any, answer: None) -> ImageResult:
        """No boxes."""
        return ImageResult(image_id=image.image_id)


def prepared(model: Any, file: bytes) -> Any:
    """Decode a file and make the network's input of it."""
    pixels = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    return preprocess(np.asarray(pixels, np.uint8), model.input_size, model.resize)


@dataclass(frozen=True)
class Rate:
    """Answers or pictures a second, and this process's time on the processors for one of them, ms."""

    per_s: float
    cpu_ms: float


class Processor:
    """Observes how much processor time the measured part takes."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def before(self, side: SideName) -> None:
        """The measured part begins."""
        self.seconds = -time.process_time()

    async def after(self, side: SideName) -> Observed:
        """It is over."""
        self.seconds += time.process_time()
        return Observed()


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

    began, processor = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(cores()) as pool:
        total = sum(each.result() for each in [pool.submit(work) for _ in range(cores())])
    return rate(total, time.perf_counter() - began, time.process_time() - processor)


def rate(total: float, seconds: float, processor: float) -> Rate:
    """What came to a total in that time."""
    return Rate(per_s=total / seconds, cpu_ms=1e3 * processor / total)


def bare_requests(url: str, size: tuple[int, int], concurrency: int, seconds: float) -> Rate:
    """What tritonclient's asynchronous client gets when it resends one tensor."""

    async def main() -> Rate:
        from tritonclient import grpc
        from tritonclient.grpc import aio

        tensor = grpc.InferInput("images", [1, 3, *size], "FP32")
        tensor.set_data_from_numpy(np.full((1, 3, *size), 0.5, np.float32))
        wanted = [grpc.InferRequestedOutput("output0")]
        async with aio.InferenceServerClient(url) as client:
            end = time.perf_counter() + seconds

            async def one() -> int:
                done = 0
                while time.perf_counter() < end:
                    result = await client.infer(NAME, [tensor], outputs=wanted)
                    result.as_numpy("output0")
                    done += 1
                return done

            began, processor = time.perf_counter(), time.process_time()
            total = sum(await asyncio.gather(*(one() for _ in range(concurrency))))
            return rate(total, time.perf_counter() - began, time.process_time() - processor)

    return asyncio.run(main())


def loaded(
    target: Target, made: RunnerContext, dataset: Dataset, work: Work, concurrency: int, seconds: float
) -> Rate:
    """One step of `parity load`."""
    rules = StepRules(
        warmup_requests=0,
        warmup_s=0.2,
        window_s=seconds / 5,
        least_requests=1 << 40,  # so that the step takes its whole time
        most_s=seconds,
    )
    run, processor = LoadRun(), Processor()
    plan = LoadPlan(loads=(closed(concurrency),), turns=1, work=work, rules=rules, most_images=PICTURES)
    run_load(run, plan, {"candidate": target}, dataset.images, made.reader, observers=[processor])
    (step,) = run.steps
    if step.throughput is None or step.seconds is None or step.failed:
        raise SystemExit(f"the load failed: {step.failed}")
    return rate(step.throughput.value * step.seconds, step.seconds, processor.seconds)


def compared(bare: Callable[[], Rate], ours: Callable[[], Rate], rounds: int) -> dict[str, Any]:
    """Rates of both, in turn, and the medians of the neighbours' ratios."""
    rows = [(bare(), ours()) for _ in range(rounds)]
    ratios = [after.per_s / before.per_s for before, after in rows]
    return {
        "rounds": [{"bare": asdict(before), "parity": asdict(after)} for before, after in rows],
        "ratios": ratios,
        "ratio": statistics.median(ratios),
        "processor_time_ratio": statistics.median(after.cpu_ms / before.cpu_ms for before, after in rows),
        "goal": GOAL,
    }


def pictures(
    dataset: Dataset, made: RunnerContext, target: Callable[[], Target], rounds: int, seconds: float
) -> dict[str, Any]:
    """Work `image` on a target against the bare loop over the same files."""
    files = [image.path.read_bytes() for image in dataset.images]
    return compared(
        lambda: bare_pictures(made.model, files, seconds),
        lambda: loaded(target(), made, dataset, "image", 4 * cores(), seconds),
        rounds,
    )


def requests(
    dataset: Dataset, made: RunnerContext, runner: Any, concurrency: int, rounds: int, seconds: float
) -> dict[str, Any]:
    """Work `tensor` on the server against the bare client."""
    url, size = runner.settings.url, made.model.input_size
    return compared(
        lambda: bare_requests(url, size, concurrency, seconds),
        lambda: loaded(runner.target(), made, dataset, "tensor", concurrency, seconds),
        rounds,
    )


def measure(run_file: RunFile, dataset: Dataset, rounds: int, seconds: float) -> dict[str, Any]:
    """All parts, on one server."""
    made = context(run_file, NAME, dataset)
    chosen = dataset.images[:: max(1, len(dataset.images) // PICTURES)][:PICTURES]
    few = replace(dataset, images=chosen)
    with tempfile.TemporaryDirectory(prefix="parity-") as folder:
        place = Path(folder)
        large, large_made = enlarged(few, chosen, made, place)
        served = instant_model(place, made.model.input_size)
        with EmbeddedTriton([served], prepare(made.cache), place / "triton.log") as server:
            config = RunnerConfig.model_validate({"runner": "triton", "url": server.grpc_url})
            runner: Any = runners.create(config, made)
            with runner:
                return {
                    "requests, 1 at a time": requests(few, made, runner, 1, rounds, seconds),
                    "requests, 8 at a time": requests(few, made, runner, 8, rounds, seconds),
                    "pictures": pictures(few, made, lambda: InProcess(made), rounds, seconds),
                    "large_pictures": pictures(
                        large, large_made, lambda: InProcess(large_made), rounds, seconds
                    ),
                    "served_pictures": pictures(few, made, runner.target, rounds, seconds),
                }


def main() -> None:
    """Measure, and write benchmarks/results/load.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "load.json")
    given = parser.parse_args()
    run_file = load(ROOT / "parity.toml", runners.SETTINGS, policies.phases())
    dataset = load_dataset("street", run_file.datasets["street"])
    busy = [round(each, 1) for each in os.getloadavg()]
    parts = measure(run_file, dataset, given.rounds, given.seconds)
    result = {
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, no GPU",
        "python": platform.python_version(),
        "load_average_before": busy,
        "seconds": given.seconds,
        "parts": parts,
    }
    for name, part in parts.items():
        print(
            f"{name:24} ratio {part['ratio']:.3f} (goal {part['goal']}), processor time "
            f"{part['processor_time_ratio']:.2f} times the bare loop's"
        )
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
