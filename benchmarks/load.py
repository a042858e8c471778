"""What the harness costs where the server is not the limit, as ratios against bare loops in the same run.

    nox -s benchmarks
    python -m benchmarks.load --quick

The server is the embedded Triton with models that answer at once: they return rows that do not depend on the
pixels, of the shape of the demo's YOLO26n. It shares the cores with its client, for both of a pair.

- `requests`: `parity load` with work `tensor` against tritonclient's asynchronous client that sends one
  tensor again and again, at the same concurrency to the same server, by gRPC or shared memory.
- `pictures`: work `image` on a path that answers without a server, against decoding and letterboxing the
  same files on as many threads. This is what the generator adds to the client's own work.
- `served`: `parity load` with work `image`, and the runner's own `predict` as `parity run` has it, on the
  Triton, against the same bare loop, by gRPC and by shared memory. `client` is what any client of this path
  cannot do without: the processor time of the bare loop and of the bare request together.
- `memory`: resident memory of this process while it sends pictures to the Triton through shared memory.

Pictures are the demo's at 256 pixels, and (`large`) of four times the width and height for an input of 640.
The goal of each ratio is 0.9. Rounds alternate (A B A B), and the median of the ratios of neighbours counts,
since machines drift. Beside each rate stands what one answer costs this process in processor time, which a
busy machine changes less.

What the served rates would be without the server's work on the same cores is reckoned from its own processor
time: of `cores`, the client has left cores - rate * server_cpu, and the bare loop's rate on those is its rate
on all, times left / cores. `ratio_of_cores_left` is the rate over that.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.load_bare import Rate, Stopwatch, bare_pictures, bare_requests
from benchmarks.load_setting import InProcess, enlarged, instant_model
from benchmarks.paths import context
from parity import policies, runners
from parity.config import RunFile, RunnerConfig, load
from parity.dataset import Dataset
from parity.dataset import load as load_dataset
from parity.load.clock import undisturbed
from parity.load.observers import Observed
from parity.load.plan import LoadPlan, StepRules, closed
from parity.load.run import LoadRun, run_load
from parity.load.threads import cores
from parity.progress import Progress, Step
from parity.runners import RunnerContext
from parity.runners.target import Target
from parity.serving.environment import prepare
from parity.serving.evidence import SideName, Work
from parity.serving.triton import EmbeddedTriton

ROOT = Path(__file__).resolve().parents[1]
SMALL, BIG = "yolo26", "large"
GOAL = 0.9
PICTURES = 64
AT_ONCE = 4 * cores()
FULL = StepRules(warmup_requests=0, warmup_s=0.2)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Pictures of one size, the model that takes them, and the server's process."""

    name: str
    dataset: Dataset
    made: RunnerContext
    server: EmbeddedTriton
    seconds: float

    def runner(self, *, shared: bool) -> Any:
        """The runner `triton`, not yet entered."""
        config = {
            "runner": "triton",
            "url": self.server.grpc_url,
            "model": self.name,
            "shared_memory": shared,
        }
        return runners.create(RunnerConfig.model_validate(config), self.made)

    def bare_pictures(self) -> Rate:
        """Decoded and letterboxed."""
        files = [image.path.read_bytes() for image in self.dataset.images]
        return bare_pictures(self.made.model, files, self.seconds)

    def bare_requests(self, concurrency: int, *, shared: bool) -> Rate:
        """One tensor resent."""
        server = self.server.grpc_url, self.server.pid
        return bare_requests(server, self.name, self.made.model.input_size, shared, concurrency, self.seconds)

    def loaded(self, target: Target, work: Work, concurrency: int) -> Rate:
        """One step of `parity load`."""
        most = 1 << 40  # so that the step takes its whole time
        rules = replace(FULL, window_s=self.seconds / 5, least_requests=most, most_s=self.seconds)
        observer = Processor(self.server.pid)
        step = one_step(
            self, target, LoadPlan(loads=(closed(concurrency),), work=work, rules=rules), observer
        )
        return observer.rate(step)

    def predicted(self, runner: Any) -> Rate:
        """`predict` of the runner, from file to boxes, over the pictures again and again."""
        end = time.perf_counter() + self.seconds

        def images() -> Iterator[Any]:
            while time.perf_counter() < end:
                yield from self.dataset.images

        list(runner.predict(self.dataset.images[:AT_ONCE]))
        watch = Stopwatch(self.server.pid)
        results = [result.message for result in runner.predict(images())]
        if any(results):
            raise SystemExit(f"the runner failed: {next(filter(None, results))}")
        return watch.rate(len(results))


class Processor:
    """Observes how much processor time the measured part takes."""

    def __init__(self, server: int) -> None:
        self.server = server
        self.spent = Rate(per_s=0, cpu_ms=0)

    async def before(self, side: SideName) -> None:
        """The measured part begins."""
        self.watch = Stopwatch(self.server)

    async def after(self, side: SideName) -> Observed:
        """It is over."""
        self.spent = self.watch.rate(1)
        return Observed()

    def rate(self, step: Any) -> Rate:
        """Of the step that was observed."""
        total = step.throughput.value * step.seconds
        return Rate(
            per_s=step.throughput.value,
            cpu_ms=self.spent.cpu_ms / total,
            server_cpu_ms=self.spent.server_cpu_ms / total,
        )


def one_step(
    setting: Setting, target: Target, plan: LoadPlan, observer: Processor, progress: Progress | None = None
) -> Any:
    """Run a plan's only load once; its step."""
    run, plan = LoadRun(), replace(plan, turns=1, most_images=PICTURES)
    images, reader = setting.dataset.images, setting.made.reader
    run_load(run, plan, {"candidate": target}, images, reader, observers=[observer], progress=progress)
    (step,) = run.steps
    if step.throughput is None or step.seconds is None or step.failed:
        raise SystemExit(f"the load failed: {step.failed}")
    return step


def compared(bare: Callable[[], Rate], ours: Callable[[], Rate], rounds: int) -> dict[str, Any]:
    """Rates of both, in turn, and the medians of the neighbours' ratios."""
    return judged([{"bare": bare(), "parity": ours()} for _ in range(rounds)], "parity")


def judged(rows: list[dict[str, Rate]], name: str) -> dict[str, Any]:
    """Ratios of one of the rates against the bare loop's in its round."""
    pairs = [(row["bare"], row[name]) for row in rows]
    ratios = [ours.per_s / bare.per_s for bare, ours in pairs]
    return {
        "rounds": [{each: asdict(rate) for each, rate in row.items()} for row in rows],
        "ratios": ratios,
        "ratio": statistics.median(ratios),
        "processor_time_ratio": statistics.median(ours.cpu_ms / bare.cpu_ms for bare, ours in pairs),
        "goal": GOAL,
    }


def served(setting: Setting, rounds: int, *, shared: bool) -> dict[str, Any]:
    """`parity load` and the runner's `predict` against the bare loop, with the server's part told apart."""
    with setting.runner(shared=shared) as runner:
        rows = [
            {
                "bare": setting.bare_pictures(),
                "parity load": setting.loaded(runner.target(), "image", AT_ONCE),
                "bare requests": setting.bare_requests(AT_ONCE, shared=shared),
                "parity run": setting.predicted(runner),
            }
            for _ in range(rounds)
        ]
    parts = {}
    for name in ("parity load", "parity run"):
        part = judged([{"bare": row["bare"], name: row[name]} for row in rows], name)
        part["client_ratio"] = statistics.median(
            (row["bare"].cpu_ms + row["bare requests"].cpu_ms) / row[name].cpu_ms for row in rows
        )
        part["ratio_of_cores_left"] = statistics.median(of_cores_left(row["bare"], row[name]) for row in rows)
        parts[name] = part
    return {**parts, "bare_requests": [asdict(row["bare requests"]) for row in rows]}


def of_cores_left(bare: Rate, ours: Rate) -> float:
    """The rate over what the bare loop reaches on the cores that the server leaves."""
    left = cores() - ours.per_s * ours.server_cpu_ms / 1e3
    return ours.per_s / (bare.per_s * left / cores())


class Resident:
    """Progress that writes down this process's resident memory, MiB, by images answered."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.points: list[dict[str, float]] = []
        self.done = 0

    @contextmanager
    def step(self, label: str, total: int) -> Iterator[Step]:
        """The only step that counts requests is that of the load; the other one counts steps."""
        yield self if label.startswith("candidate") else _Nothing()

    def advance(self, count: int = 1) -> None:
        """So many more were answered."""
        self.done += count
        if not self.points or self.done >= self.points[-1]["images"] + self.every:
            self.points.append({"images": self.done, "rss_mib": round(resident(), 1)})


class _Nothing:
    def advance(self, count: int = 1) -> None:
        """Write nothing down."""


def resident() -> float:
    """Resident memory of this process but for what is shared, MiB; Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    parts = dict(line.split(":", 1) for line in lines)
    return sum(int(parts[name].split()[0]) for name in ("RssAnon", "RssFile")) / 1024


def memory(setting: Setting, images: int) -> dict[str, Any]:
    """Resident memory while so many pictures go to the server and come back as boxes."""
    rules = replace(FULL, least_requests=images, most_s=3600.0, tolerance=1e9)
    plan = LoadPlan(loads=(closed(AT_ONCE),), work="image", rules=rules)
    watched = Resident(max(1, images // 20))
    with setting.runner(shared=True) as runner:
        step = one_step(setting, runner.target(), plan, Processor(setting.server.pid), watched)
    settled = next(point for point in watched.points if point["images"] >= images / 10)
    return {
        "images": watched.done,
        "seconds": step.seconds,
        "points": watched.points,
        "growth_mib_after_a_tenth": watched.points[-1]["rss_mib"] - settled["rss_mib"],
    }


def measure(
    run_file: RunFile, dataset: Dataset, rounds: int, seconds: float, images: int
) -> dict[str, dict[str, Any]]:
    """All parts, on one server."""
    made = context(run_file, SMALL, dataset)
    chosen = dataset.images[:: max(1, len(dataset.images) // PICTURES)][:PICTURES]
    few = replace(dataset, images=chosen)
    with tempfile.TemporaryDirectory(prefix="parity-") as folder, undisturbed():
        place = Path(folder)
        large, large_made = enlarged(few, chosen, made, place)
        models = [
            instant_model(place, SMALL, made.model.input_size),
            instant_model(place, BIG, large_made.model.input_size),
        ]
        with EmbeddedTriton(models, prepare(made.cache), place / "triton.log") as server:
            small = Setting(name=SMALL, dataset=few, made=made, server=server, seconds=seconds)
            big = replace(small, name=BIG, dataset=large, made=large_made)
            return {
                "memory": memory(small, images),  # before all others, whose memory it would find
                "requests": {
                    "1 at a time": requests(small, 1, rounds, shared=False),
                    "8 at a time": requests(small, 8, rounds, shared=False),
                    "8 at a time, shared memory": requests(small, 8, rounds, shared=True),
                },
                "pictures": {
                    each.name: compared(
                        each.bare_pictures,
                        lambda each=each: each.loaded(InProcess(each.made), "image", AT_ONCE),  # type: ignore[misc]
                        rounds,
                    )
                    for each in (small, big)
                },
                "served": {
                    f"{each.name}, {'shared memory' if shared else 'gRPC'}": served(
                        each, rounds, shared=shared
                    )
                    for each in (small, big)
                    for shared in (False, True)
                },
            }


def requests(setting: Setting, concurrency: int, rounds: int, *, shared: bool) -> dict[str, Any]:
    """Work `tensor` on the server against the bare client."""
    with setting.runner(shared=shared) as runner:
        return compared(
            lambda: setting.bare_requests(concurrency, shared=shared),
            lambda: setting.loaded(runner.target(), "tensor", concurrency),
            rounds,
        )


def told(parts: dict[str, dict[str, Any]]) -> Iterator[str]:
    """A line for each ratio."""
    rows = {
        f"{kind}, {name}": part for kind in ("requests", "pictures") for name, part in parts[kind].items()
    }
    for name, both in parts["served"].items():
        rows |= {f"{way}, {name}": both[way] for way in ("parity load", "parity run")}
    for name, part in rows.items():
        line = f"{name:40} rate {part['ratio']:.2f}, processor time {part['processor_time_ratio']:.2f}"
        if "client_ratio" in part:
            line += f", of cores left {part['ratio_of_cores_left']:.2f}, of client {part['client_ratio']:.2f}"
        yield line
    seen = parts["memory"]
    grown, images = seen["growth_mib_after_a_tenth"], seen["images"]
    yield f"memory: {grown:+.1f} MiB in the last nine tenths of {images} images"


def main() -> None:
    """Measure, and write benchmarks/results/load.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.8)
    parser.add_argument("--images", type=int, default=100_000, help="of the part `memory`")
    parser.add_argument("--quick", action="store_true", help="one short round, and nothing is written")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "load.json")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.seconds, given.images = 1, 0.5, 2000
    run_file = load(ROOT / "parity.toml", runners.SETTINGS, policies.phases())
    dataset = load_dataset("street", run_file.datasets["street"])
    busy = [round(each, 1) for each in os.getloadavg()]
    parts = measure(run_file, dataset, given.rounds, given.seconds, given.images)
    print("\n".join(told(parts)))
    if given.quick:
        return
    result = {
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, no GPU",
        "python": platform.python_version(),
        "load_average_before": busy,
        "seconds": given.seconds,
        "parts": parts,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
