"""Reads what NVIDIA's perf_analyzer measured: its CSV (`-f`) or its profile export (`--profile-export-file`).

The formats are those that its ReportWriter and ProfileDataExporter write. The files come from elsewhere, so
their size, columns and numbers are checked, and what they do not tell is said rather than made up.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from parity.errors import EvidenceError, join_problems
from parity.load.perf_analyzer import export, table
from parity.load.perf_analyzer.common import UnusableError
from parity.serving.evidence import Imported, LoadStep, SideName
from parity.visible import one_line

TOOL = "perf_analyzer"
MOST_TABLE_BYTES = 8 << 20
MOST_EXPORT_BYTES = 512 << 20
MOST_PROBLEMS = 20

_BOTH = (
    "the error rate: it stops at the first request that fails, and counts none",
    "late sends, and latency from the intended send time: at a request rate a stalled server can hide",
    "whether arrivals at a request rate were constant or Poisson",
    "the answers themselves, so nothing can be said of accuracy under load",
    "whether it was stable",
    "turns, so that drift of the machine cannot be told from a difference",
)
TABLE_LACKS = (
    *_BOTH,
    "how many requests there were, and for how long",
    "raw latencies, so percentiles have no intervals and cannot be merged; also the largest one",
    "counts of the server's statistics, without which its mean times say little; they are left out",
)
EXPORT_LACKS = (*_BOTH, "the server's statistics")


def read(path: Path, side: SideName) -> tuple[list[LoadStep], Imported]:
    """A file of either kind, told apart by its first character, as steps of one side, and what it lacks.

    Batched requests count as in the file: throughput is inferences a second in the CSV and requests a second
    in the export. Raises EvidenceError that names everything wrong with the file.
    """
    data = _bytes(path)
    exported = data[:1] == b"{"
    try:
        if not exported and len(data) > MOST_TABLE_BYTES:
            raise UnusableError([f"{len(data)} bytes, expected at most {MOST_TABLE_BYTES} of a CSV"])
        steps = export.steps(data, side) if exported else table.steps(data, side)
    except UnusableError as error:
        shown = [one_line(problem) for problem in error.problems[:MOST_PROBLEMS]]
        if len(error.problems) > MOST_PROBLEMS:
            shown.append(f"and {len(error.problems) - MOST_PROBLEMS} more")
        raise EvidenceError(
            join_problems(shown),
            where=str(path),
            expected="what perf_analyzer writes with `-f` (CSV) or `--profile-export-file` (JSON)",
            remedy="name the file as perf_analyzer wrote it, or measure again",
        ) from error
    return steps, Imported(
        tool=TOOL,
        file=path.name,
        sha256=hashlib.sha256(data).hexdigest(),
        lacks=list(EXPORT_LACKS if exported else TABLE_LACKS),
    )


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MOST_EXPORT_BYTES + 1)
    except OSError as error:
        raise EvidenceError(
            f"cannot be read: {error.strerror}", where=str(path), expected="a file of perf_analyzer"
        ) from error
    if len(data) > MOST_EXPORT_BYTES:
        raise EvidenceError(f"over {MOST_EXPORT_BYTES >> 20} MiB", where=str(path), expected="a smaller file")
    return data
