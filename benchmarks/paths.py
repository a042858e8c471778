"""How much time the two paths add to what they carry, as ratios against bare loops in the same run.

    nox -s benchmarks

- Candidate: wall time of the whole path less the model's time in Triton (its statistics of compute input,
  infer and output), against decoding and letterboxing the same JPEGs in a bare loop on the same cores. Goal:
  at most 1.15. The path overlaps its own work with the model's, so this is the time that it adds. What it
  costs the processor is written down beside it, as a ratio too: every tensor goes through gRPC there.
- Reference: the runner against a plain Ultralytics predict loop over the same pictures. Goal: at most 1.0.

Runs alternate (A B A B), and the median of the ratios of neighbours counts, since machines drift.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from platformdirs import user_cache_path

from parity import policies, runners
from parity.config import RunFile, load
from parity.dataset import Dataset, OpenCvReader
from parity.dataset import load as load_dataset
from parity.runners.preprocess import preprocess

ROOT = Path(__file__).resolve().parents[1]


def timed(work: Callable[[], Any]) -> float:
    """Seconds that `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def context(run_file: RunFile, name: str, dataset: Dataset) -> runners.RunnerContext:
    """What a runner of the demo is given."""
    return runners.RunnerContext(
        name=name,
        model=run_file.models[name],
        reader=OpenCvReader(run_file.datasets["street"]),
        score_floor=run_file.score_floor,
        max_detections=run_file.max_detections,
        sample=dataset.images,
        cache=Path(os.environ.get("PARITY_CACHE") or user_cache_path("parity")),
        repository=run_file.model_repository,
        logs=ROOT / "reports" / "benchmark-logs",
    )


def model_seconds(client: Any, name: str) -> float:
    """Seconds that the server spent on the model since it started, batches counted once."""
    statistics_ = client.connection.get_inference_statistics(name, as_json=True)["model_stats"][0]
    batches = statistics_.get("batch_stats", [])
    parts = ("compute_input", "compute_infer", "compute_output")
    return sum(int(batch[part].get("ns", 0)) for batch in batches for part in parts) / 1e9


def candidate(run_file: RunFile, name: str, dataset: Dataset, rounds: int) -> dict[str, Any]:
    """Own time of the candidate path against the bare loop."""
    given = context(run_file, name, dataset)
    model = given.model

    def bare() -> None:
        for image in dataset.images:
            pixels = cv2.imdecode(np.fromfile(image.path, np.uint8), cv2.IMREAD_COLOR)
            preprocess(np.asarray(pixels, np.uint8), model.input_size, model.resize)

    rows = []
    with runners.create(run_file.side(name, "candidate"), given) as runner:
        list(runner.predict(dataset.images[:50]))
        for _ in range(rounds):
            bare_cpu = time.process_time()
            alone = timed(bare)
            bare_cpu = time.process_time() - bare_cpu
            before, cpu = model_seconds(runner.client, name), time.process_time()  # type: ignore[attr-defined]
            whole = timed(lambda: list(runner.predict(dataset.images)))
            cpu = time.process_time() - cpu
            inside = model_seconds(runner.client, name) - before  # type: ignore[attr-defined]
            rows.append(
                {
                    "bare_s": alone,
                    "bare_cpu_s": bare_cpu,
                    "whole_s": whole,
                    "model_s": inside,
                    "harness_cpu_s": cpu,
                }
            )
    ratios = [(row["whole_s"] - row["model_s"]) / row["bare_s"] for row in rows]
    cpu_ratios = [row["harness_cpu_s"] / row["bare_cpu_s"] for row in rows]
    return {
        "rounds": rows,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "goal": 1.15,
        "processor_time_ratio": statistics.median(cpu_ratios),
    }


def reference(run_file: RunFile, name: str, dataset: Dataset, rounds: int) -> dict[str, Any]:
    """The reference runner against a plain loop with the same arguments."""
    given = context(run_file, name, dataset)
    rows = []
    with runners.create(run_file.side(name, "reference"), given) as runner:
        from parity.runners.ultralytics import load_detector

        plain = load_detector(given)
        arguments = runner.arguments()  # type: ignore[attr-defined]

        def loop() -> None:
            for image in dataset.images:
                pixels = cv2.imdecode(np.fromfile(image.path, np.uint8), cv2.IMREAD_COLOR)
                plain.predict(pixels, **arguments)[0].boxes.data.cpu().numpy()

        loop()
        for _ in range(rounds):
            alone = timed(loop)
            ours = timed(lambda: list(runner.predict(dataset.images)))
            rows.append({"plain_s": alone, "runner_s": ours})
    ratios = [row["runner_s"] / row["plain_s"] for row in rows]
    return {"rounds": rows, "ratio": statistics.median(ratios), "ratios": ratios, "goal": 1.0}


def main() -> None:
    """Measure both models and write benchmarks/results/paths.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "paths.json")
    given = parser.parse_args()
    run_file = load(ROOT / "parity.toml", runners.SETTINGS, policies.phases())
    dataset = load_dataset("street", run_file.datasets["street"])
    result: dict[str, Any] = {
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, no GPU",
        "images": len(dataset.images),
        "models": {},
    }
    for name in run_file.models:
        result["models"][name] = {
            "candidate_own_time": candidate(run_file, name, dataset, given.rounds),
            "reference_runner": reference(run_file, name, dataset, given.rounds),
        }
        for what, measured in result["models"][name].items():
            print(f"{name:8} {what:20} ratio {measured['ratio']:.3f} (goal {measured['goal']})")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
