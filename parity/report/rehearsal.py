"""What a report that is a rehearsal says of itself: what ran instead of a TensorRT engine behind Triton."""

from __future__ import annotations

from dataclasses import dataclass

from parity.report.document import Report
from parity.sides import STAND_IN


@dataclass(frozen=True, kw_only=True)
class Wording:
    """line: for a terminal. headline, explanation: for the report's banner."""

    line: str
    headline: str
    explanation: str


COMPARISON = Wording(
    line="REHEARSAL: two files; nothing shows that a TensorRT engine made the candidate's.",
    headline="Two files were compared, and nothing shows what produced them; this verdict alone does not "
    "allow a rollout.",
    explanation="It holds for these detections, whichever engine, server or setting made them.",
)
NO_ENGINE = Wording(
    line="REHEARSAL: no TensorRT engine ran; this tests everything but the engine.",
    headline="The candidate was not a TensorRT engine; this verdict does not allow a rollout.",
    explanation="It covers the path around the engine: preprocessing, Triton, decoding and comparison. The "
    "engine itself has not been tested.",
)
IN_PROCESS = {
    STAND_IN: Wording(
        line="NO CANDIDATE: Triton is switched off; the reference answered on both sides.",
        headline="There was no candidate: Triton is switched off, and the reference answered on both sides. "
        "This verdict does not allow a rollout.",
        explanation="It shows what switching back gives: whether answers still come, and whether the "
        "reference agrees with itself.",
    ),
    "onnxruntime": Wording(
        line="REHEARSAL: ONNX Runtime in process; neither a TensorRT engine nor Triton ran.",
        headline="The candidate was ONNX Runtime in process; this verdict does not allow a rollout.",
        explanation="It covers the exported network, preprocessing and decoding. Neither a TensorRT engine "
        "nor Triton has been tested.",
    ),
    "tensorrt-rtx": Wording(
        line="REHEARSAL: a TensorRT-RTX engine in process; Triton loads TensorRT's only.",
        headline="The candidate was a TensorRT-RTX engine in process; this verdict does not allow a rollout.",
        explanation="Triton does not load such an engine: it is near the one that will serve, and not that "
        "one. Triton has not been tested.",
    ),
    "perf_analyzer": Wording(
        line="REHEARSAL: perf_analyzer's files; nothing shows which engine they are of.",
        headline="What perf_analyzer measured was read, and nothing shows of which engine; this verdict "
        "alone does not allow a rollout.",
        explanation="It holds for these files. perf_analyzer looks at no answer and counts no error.",
    ),
    "tensorrt": Wording(
        line="REHEARSAL: the TensorRT engine ran in process; Triton was not tested.",
        headline="The candidate was the TensorRT engine in process; this verdict does not allow a rollout.",
        explanation="It covers the engine itself, preprocessing and decoding. Triton has not been tested.",
    ),
}
"""By what the candidate's provenance names as `in_process`."""


def wording(report: Report) -> Wording:
    """What a rehearsal says; what is only true of some of its models is not said of all."""
    if report.phase == "comparison":
        return COMPARISON
    kinds = {pair.provenance.get("candidate", {}).get("in_process") for pair in report.pairs}
    return IN_PROCESS.get(str(kinds.pop()), NO_ENGINE) if len(kinds) == 1 else NO_ENGINE
