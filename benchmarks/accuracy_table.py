"""The figures of `benchmarks.accuracy` as a Markdown table."""

from __future__ import annotations

import statistics
from typing import Any

RESAMPLES = 1000


def table(result: dict[str, Any]) -> str:
    """The figures as Markdown."""
    rows: list[tuple[str, str, str, str]] = [("what", "parity", "peer", "ratio"), ("---",) * 4]
    for per_image, part in result["in_process"].items():
        own = part["bootstrap"]
        run = own["hotcoco_resamples_run"]
        rows.append(
            (
                f"{RESAMPLES:,} paired resamples, {per_image} an image",
                f"{statistics.median(own['parity_s']):.2f} s",
                f"hotcoco {own['hotcoco_s']:.0f} s" + ("" if run == RESAMPLES else f", scaled from {run}"),
                f"{own['ratio']:.0f} times faster",
            )
        )
        rows += [
            (
                f"evaluation of both sides, {per_image} an image",
                f"{statistics.median(part['evaluation']['parity']['seconds']):.2f} s",
                f"{name} {statistics.median(other['seconds']):.2f} s",
                f"{other['ratio']:.1f} times faster",
            )
            for name, other in part["evaluation"].items()
            if name != "parity"
        ]
    for per_image, part in result["command"].items():
        first, others, peer = (
            part[k] for k in ("empty_compile_cache", "filled_compile_cache", "pycocotools")
        )
        warm = statistics.median(run["seconds"] for run in others)
        memory = max(run["peak_memory_mib"] for run in others)
        theirs = f"pycocotools {peer['seconds']:.1f} s"
        rows += [
            (f"`parity compare`, {per_image} an image", f"{warm:.1f} s", theirs, f"{part['ratio']:.3f}"),
            (
                "the same with an empty compile cache",
                f"{first['seconds']:.1f} s",
                theirs,
                f"{part['ratio_empty_compile_cache']:.3f}",
            ),
            (
                "its peak memory",
                f"{memory:,.0f} MiB",
                f"pycocotools {peer['peak_memory_mib']:,.0f} MiB",
                f"{part['memory_ratio']:.2f}",
            ),
        ]
    rows += [
        (
            f"evaluation and bootstrap, {row['images']:,} images",
            f"{row['seconds']:.1f} s, {row['peak_memory_mib']:,.0f} MiB",
            f"{row['images_ratio']:.0f} times the images",
            f"{row['time_ratio']:.1f} times the time, {row['memory_ratio']:.1f} times the memory",
        )
        for row in result["growth"]
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
