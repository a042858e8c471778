"""How both paths of one model serve by another tool's files, in the place of a load run of our own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parity.load import perf_analyzer
from parity.load.run import ORDER
from parity.load_evidence import Gathered
from parity.provenance import environment
from parity.serving.evidence import Imported, LoadStep, ServingEvidence, SideName

IMPORTED = "perf_analyzer"
"""What ran, by a side's provenance, where its steps are another tool's: nothing tells of it."""


def imported(files: Sequence[tuple[SideName, Path]]) -> Gathered:
    """What perf_analyzer measured, of one side or both, instead of measuring. Raises EvidenceError.

    It sends one input again and again and looks at no answer, so there is nothing on images.
    """
    steps: list[LoadStep] = []
    sources: list[Imported] = []
    told = dict.fromkeys(ORDER, "not measured")
    for side, path in files:
        found, source = perf_analyzer.read(path, side)
        steps += found
        sources.append(source)
        told[side] = path.name
    evidence = ServingEvidence(
        work="tensor",
        images=0,
        reference_endpoint=told["reference"],
        candidate_endpoint=told["candidate"],
        steps=steps,
        imported=sources,
    )
    facts: dict[str, Any] = {
        side: {"runner": "perf_analyzer", "in_process": IMPORTED, "files": []} for side in ORDER
    }
    for (side, _), source in zip(files, sources, strict=True):
        facts[side]["files"].append({"file": source.file, "sha256": source.sha256})
    return Gathered(
        evidence=evidence,
        images=(),
        quiet={},
        facts={**facts, "environment": environment()},
        problems=(),
        error=None,
    )
