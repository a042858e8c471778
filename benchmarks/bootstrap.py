"""Measures in processes of their own, whose peak memory is theirs alone: the evaluation with its bootstrap.

    python -m benchmarks.bootstrap make FOLDER --images 5000
    python -m benchmarks.bootstrap measure FOLDER --resamples 1000

`make` is a process of its own too, since drawing the pair takes more memory than judging it. `measure` prints
one line of JSON. Its seconds begin with the arrays in memory; the compiled code is loaded before.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pairs import as_array, pair_of, val2017_like
from parity.accuracy.bootstrap import paired_bootstrap
from parity.accuracy.coco import Detections, evaluate, index_truth
from parity.dataset import GroundTruth

ROOT = Path(__file__).resolve().parents[1]
TRUTH = ("image_ids", "category_ids", "boxes", "areas", "crowd")


# Started from a small process, because a child's peak begins at that of the process which forked it.
LAUNCH = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
seconds = time.perf_counter() - start
memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps([done.returncode, seconds, memory, done.stdout[-4000:], done.stderr[-4000:]]))
"""


def alone(*command: str, accepted: tuple[int, ...] = (0,), **environment: str) -> tuple[dict[str, Any], str]:
    """Seconds and peak memory of a command in a process of its own, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", LAUNCH, *command],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        # Programs that are installed have their byte code, whatever the shell that measures them wants.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment},
    )
    code, seconds, memory, output, errors = json.loads(done.stdout)
    if code not in accepted:
        raise SystemExit(f"{' '.join(command[:4])} ended with {code}:\n{output}\n{errors}")
    return {"seconds": seconds, "peak_memory_mib": memory, "exit_code": code}, output


def growth(sizes: tuple[int, ...], folder: Path) -> list[dict[str, Any]]:
    """Evaluation and bootstrap at 100 detections an image, with ratios to the smallest."""
    rows: list[dict[str, Any]] = []
    for images in sizes:
        place = str(folder / f"images-{images}")
        alone(sys.executable, "-m", "benchmarks.bootstrap", "make", place, "--images", str(images))
        told = alone(sys.executable, "-m", "benchmarks.bootstrap", "measure", place)[1]
        row = json.loads(told)
        row["seconds"] = row["evaluate_s"] + row["bootstrap_s"]
        rows.append(row)
        row["images_ratio"] = images / sizes[0]
        row["time_ratio"] = row["seconds"] / rows[0]["seconds"]
        row["memory_ratio"] = row["peak_memory_mib"] / rows[0]["peak_memory_mib"]
    return rows


def make(folder: Path, images: int, per_image: int) -> None:
    """Draw a pair and store it as NumPy files."""
    folder.mkdir(parents=True, exist_ok=True)
    scene = val2017_like(images)
    for number, side in enumerate(pair_of(scene, per_image=per_image)):
        np.save(folder / f"{number}.npy", as_array(side))
    truth = {name: getattr(scene.truth, name) for name in TRUTH}
    np.savez(folder / "truth.npz", all_images=list(scene.sizes), all_classes=list(scene.names), **truth)


def of_array(rows: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Detections:
    """The inverse of `as_array`."""
    return Detections(
        image_ids=rows[:, 0].astype(np.int64),
        category_ids=rows[:, 6].astype(np.int64),
        scores=rows[:, 5].copy(),
        boxes=rows[:, 1:5].copy(),
    )


def measure(folder: Path, resamples: int) -> dict[str, float]:
    """Seconds of both steps, and MiB of memory before them and at the peak."""
    stored = np.load(folder / "truth.npz")
    truth = GroundTruth(**{name: stored[name] for name in TRUTH})
    sides = [of_array(np.load(folder / f"{number}.npy", mmap_mode="r")) for number in range(2)]
    few = np.unique(truth.image_ids)[:20]
    index = index_truth(truth, image_ids=few, category_ids=stored["all_classes"])
    paired_bootstrap(*(evaluate(index, side) for side in sides), resamples=4)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    index = index_truth(truth, image_ids=stored["all_images"], category_ids=stored["all_classes"])
    evaluations = [evaluate(index, side) for side in sides]
    middle = time.perf_counter()
    paired_bootstrap(evaluations[0], evaluations[1], resamples=resamples)
    return {
        "images": len(index.image_ids),
        "detections_a_side": len(sides[0].scores),
        "evaluate_s": middle - start,
        "bootstrap_s": time.perf_counter() - middle,
        "memory_before_mib": before,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Do one of the two steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("make", "measure"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--detections", type=int, default=100, help="detections an image and side")
    parser.add_argument("--resamples", type=int, default=1000)
    given = parser.parse_args()
    if given.step == "make":
        make(given.folder, given.images, given.detections)
    else:
        print(json.dumps(measure(given.folder, given.resamples)))


if __name__ == "__main__":
    main()
