"""How both paths of one model serve by another tool's files, in the place of a load run of our own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parity.errors import UsageError
from parity.load import perf_analyzer
from parity.load.run import ORDER
from parity.load_evidence import Gathered
from parity.provenance import environment
from parity.serving.evidence import Imported, LoadStep, ServingEvidence, SideName, load_name

IMPORTED = "perf_analyzer"
"""What ran, by a side's provenance, where its steps are another tool's: nothing tells of it."""

NOT_MEASURED = "not measured"


def imported(files: Sequence[tuple[SideName, Path]]) -> Gathered:
    """What perf_analyzer measured, of one side or both, instead of measuring.

    Further files of a side are further turns. Raises UsageError for a file that is there twice, EvidenceError
    for one that cannot be used.

    It sends one input again and again and looks at no answer, so there is nothing on images.
    """
    steps: list[LoadStep] = []
    sources: list[Imported] = []
    digests: dict[SideName, set[str]] = {side: set() for side in ORDER}
    told: dict[SideName, list[str]] = {side: [] for side in ORDER}
    for side, path in files:
        found, source = perf_analyzer.read(path, side)
        if source.sha256 in digests[side]:
            raise UsageError(
                "the same measurement is there twice",
                where=f"--perf-analyzer {side}={path}",
                expected="another file for each measurement of a side",
            )
        digests[side].add(source.sha256)
        steps += [_in_turn(step, steps) for step in found]
        sources.append(source)
        told[side].append(path.name)
    evidence = ServingEvidence(
        work="tensor",
        images=0,
        reference_endpoint=", ".join(told["reference"]) or NOT_MEASURED,
        candidate_endpoint=", ".join(told["candidate"]) or NOT_MEASURED,
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


def _in_turn(step: LoadStep, before: Sequence[LoadStep]) -> LoadStep:
    """The step as a turn of its own: a file of a side goes after those before it with the same load."""
    mine = [each for each in before if (each.side, load_name(each)) == (step.side, load_name(step))]
    return step.model_copy(update={"turn": len(mine)})
