"""How long the judgement of stored detections takes, as ratios against the field's tools in the same run.

    nox -s benchmarks

On a pair of val2017's size (5,000 images, about 37,000 boxes, 80 classes; see `benchmarks.pairs`), with 100
and with 300 detections an image and side:

- 1,000 paired resamples against hotcoco's `compare`, a bootstrap over images too;
- one evaluation of both sides against pycocotools, faster-coco-eval and hotcoco. Loading is left out for
  all: the peers begin with their COCO objects, parity with its arrays, and arranging the ground truth is in
  parity's time. What the peers' loading of an array takes is written down beside it;
- the command `parity compare`, from two JSON files to the written report, against two evaluations by
  pycocotools from the same files, with peak memory, and with an empty and with a filled compile cache;
- time and memory of evaluation and bootstrap as images grow from 5,000 to 80,000.

Each child process is measured alone, one after the other.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import io
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.accuracy_table import RESAMPLES, table
from benchmarks.bootstrap import ROOT, alone, growth
from benchmarks.pairs import Scene, as_array, as_coco, pair_of, val2017_like, write_files
from parity.accuracy.bootstrap import paired_bootstrap
from parity.accuracy.coco import Detections, Evaluation, evaluate, index_truth
from parity.gate import EXIT_CODES

PARTS = ("in_process", "command", "growth")

SCALED_RESAMPLES = 100
"""Of hotcoco at 300 detections an image; its time is scaled, since each resample costs the same."""

PYCOCOTOOLS = """
import sys
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
truth = COCO(sys.argv[3])
for path in sys.argv[1:3]:
    evaluation = COCOeval(truth, truth.loadRes(path), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
"""


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that `work` takes, and what it gives."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def peers() -> dict[str, tuple[Callable[..., Any], Callable[..., Any]]]:
    """The class of the ground truth and of the evaluation, by the distribution's name."""
    import hotcoco
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    # Only the benchmarks' session installs it, so a type checker may not find it.
    faster = importlib.import_module("faster_coco_eval")
    return {
        "pycocotools": (COCO, COCOeval),
        "faster-coco-eval": (faster.COCO, faster.COCOeval_faster),
        "hotcoco": (hotcoco.COCO, hotcoco.COCOeval),
    }


def peer_sides(
    name: str, scene: Scene, pair: tuple[Detections, ...]
) -> tuple[float, Callable[[], list[Any]]]:
    """Seconds of loading both sides from arrays, and the evaluation of both up to the summary."""
    load_truth, evaluator = peers()[name]
    if name == "hotcoco":
        truth = load_truth(as_coco(scene))
    else:
        truth = load_truth()
        truth.dataset = as_coco(scene)
        truth.createIndex()
    arrays = [as_array(side) for side in pair]
    loading, found = timed(lambda: [truth.loadRes(array) for array in arrays])

    def both() -> list[Any]:
        evaluations = [evaluator(truth, side, "bbox") for side in found]
        for evaluation in evaluations:
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return evaluations

    return loading, both


def own_sides(scene: Scene, pair: tuple[Detections, ...]) -> list[Evaluation]:
    """Evaluate both sides by parity."""
    index = index_truth(scene.truth, image_ids=scene.sizes, category_ids=scene.names)
    return [evaluate(index, side) for side in pair]


def in_process(scene: Scene, per_image: int, rounds: int, resamples: int) -> dict[str, Any]:
    """Evaluation against all peers, and the bootstrap against hotcoco's with so many resamples."""
    import hotcoco

    pair = pair_of(scene, per_image=per_image)
    own = own_sides(scene, pair)
    paired_bootstrap(own[0], own[1], resamples=4)
    own_s = [timed(lambda: own_sides(scene, pair))[0] for _ in range(rounds)]
    evaluation: dict[str, Any] = {"parity": {"seconds": own_s, "AP": [side.values["AP"] for side in own]}}
    for name in peers():
        with contextlib.redirect_stdout(io.StringIO()):
            loading, both = peer_sides(name, scene, pair)
            runs = [timed(both) for _ in range(1 if name == "pycocotools" else rounds)]
        evaluation[name] = {
            "loading_s": loading,
            "seconds": [run[0] for run in runs],
            "AP": [float(side.stats[0]) for side in runs[-1][1]],
            "ratio": statistics.median(run[0] for run in runs) / statistics.median(own_s),
        }
    last = runs[-1][1]  # of hotcoco, which comes last
    ours = [timed(lambda: paired_bootstrap(own[0], own[1], resamples=RESAMPLES))[0] for _ in range(rounds)]
    seen = timed(lambda: hotcoco.compare(last[0], last[1], n_bootstrap=resamples))[0]
    theirs = seen * RESAMPLES / resamples
    return {
        "detections_a_side": len(pair[0].scores),
        "evaluation": evaluation,
        "bootstrap": {
            "resamples": RESAMPLES,
            "parity_s": ours,
            "hotcoco_resamples_run": resamples,
            "hotcoco_run_s": seen,
            "hotcoco_s": theirs,
            "ratio": theirs / statistics.median(ours),
        },
    }


def command(scene: Scene, per_image: int, rounds: int, folder: Path) -> dict[str, Any]:
    """`parity compare` against pycocotools, both from the same files in processes of their own."""
    files = [str(path) for path in write_files(scene, pair_of(scene, per_image=per_image), folder)]
    compare = ["-m", "parity", "compare", *files[:2], "--annotations", files[2]]
    verdicts = tuple(EXIT_CODES.values())
    runs = []
    for number in range(1 + rounds):
        out = ("--resamples", str(RESAMPLES), "--out", str(folder / f"report-{number}"))
        cache = {"NUMBA_CACHE_DIR": str(folder / "compiled")}
        runs.append(alone(sys.executable, *compare, *out, accepted=verdicts, **cache)[0])
    pycocotools = alone(sys.executable, "-c", PYCOCOTOOLS, *files)[0]
    warm = statistics.median(run["seconds"] for run in runs[1:])
    return {
        "resamples": RESAMPLES,
        "empty_compile_cache": runs[0],
        "filled_compile_cache": runs[1:],
        "pycocotools": pycocotools,
        "ratio": warm / pycocotools["seconds"],
        "ratio_empty_compile_cache": runs[0]["seconds"] / pycocotools["seconds"],
        "memory_ratio": max(run["peak_memory_mib"] for run in runs[1:]) / pycocotools["peak_memory_mib"],
    }


def main() -> None:
    """Measure everything, write benchmarks/results/accuracy.json and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few images: shows that everything runs")
    parser.add_argument("--hotcoco-resamples", type=int, default=RESAMPLES, help="fewer are scaled to 1,000")
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="measure these anew; --out has the others")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "accuracy.json")
    given = parser.parse_args()
    images = 60 if given.quick else 5000
    scene = val2017_like(images)
    most = {100: min(given.hotcoco_resamples, 20 if given.quick else RESAMPLES), 300: SCALED_RESAMPLES}
    versions = ("numpy", "numba", "pycocotools", "faster-coco-eval", "hotcoco")
    result: dict[str, Any] = {
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, no GPU",
        "load_average": {},
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in versions},
        "quick": given.quick,
        "images": images,
        "boxes": len(scene.truth.areas),
        "classes": len(scene.names),
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        parts: dict[str, Callable[[], Any]] = {
            "in_process": lambda: {
                str(n): in_process(scene, n, given.rounds, min(most[n], given.hotcoco_resamples))
                for n in most
            },
            "command": lambda: {str(n): command(scene, n, given.rounds, folder / str(n)) for n in most},
            "growth": lambda: growth((50, 100) if given.quick else (5000, 20_000, 80_000), folder),
        }
        if given.parts:
            # The others stay as they were measured before; ratios are within a part.
            result = {**result, **json.loads(given.out.read_text()), "when": result["when"]}
        for name in given.parts or parts:
            before = os.getloadavg()[0]
            result[name] = parts[name]()
            result["load_average"][name] = {"before": before, "after": os.getloadavg()[0]}
            if not given.quick:
                # Written after each part, so that what took long is not lost with what fails later.
                given.out.parent.mkdir(parents=True, exist_ok=True)
                given.out.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))


if __name__ == "__main__":
    main()
