"""What a criterion is: a pure function from evidence and its parameters to an outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from parity.existing_tests.evidence import TestsEvidence
from parity.outcome import Outcome
from parity.serving.evidence import ServingEvidence

__all__ = [
    "FEWER_IS_LOOSER",
    "HIGHER_IS_LOOSER",
    "LOWER_IS_LOOSER",
    "NEITHER_IS_LOOSER",
    "ClassEvidence",
    "Criterion",
    "CriterionResult",
    "Estimate",
    "Interval",
    "Needs",
    "Outcome",
    "PairEvidence",
    "Parameters",
    "Sense",
    "in_order",
]

Interval = tuple[float, float]
Entry = TypeVar("Entry", int, str)
Sense = Literal["within", "at_least", "at_most"]
Needs = Literal["answers", "serving", "drill", "tests"]
"""What a criterion judges: both sides' answers to a data set, how they serve, a rehearsed rollback, or the
results of tests that there are already."""

HIGHER_IS_LOOSER: JsonDict = {"looser": "higher"}
LOWER_IS_LOOSER: JsonDict = {"looser": "lower"}
FEWER_IS_LOOSER: JsonDict = {"looser": "fewer"}
NEITHER_IS_LOOSER: JsonDict = {"looser": "neither"}
"""`json_schema_extra` of a parameter: which way it lets more through. One without is looser any way.

Of a switch, "higher" is true and "lower" is false; "fewer" are a list's entries."""


class CriterionResult(BaseModel):
    """One criterion's outcome with what it saw."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    outcome: Outcome
    observed: float | None = Field(description="The measured value, in `unit`; null when not computable.")
    limit: float | None = Field(description="The policy's limit, in `unit`.")
    unit: str
    sense: Sense = Field(
        description="How `observed` must lie to `limit`: |observed| under it, or no less, or no more."
    )
    interval: Interval | None = Field(description="Low and high of the observed value, in `unit`.")
    n: int = Field(ge=0, description="How many images or detections the value rests on.")
    message: str = Field(description="One sentence: what was seen and what follows.")


class Parameters(BaseModel):
    """Base of a criterion's parameters in a policy; unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def in_order(given: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """A parameter's list sorted, so that how it was written changes nothing; ValueError on an entry twice."""
    twice = [f"{entry!r} is there twice" for entry in dict.fromkeys(given) if given.count(entry) > 1]
    if twice:
        raise ValueError("; ".join(twice))
    return tuple(sorted(given))


class Estimate(BaseModel):
    """One measured value with its interval, or the reason why there is none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    group: str = Field(description="What it belongs to: operating_point, agreement, confidence, ...")
    name: str = Field(description="Unique within the pair.")
    label: str = Field(description="What it is, in words.")
    value: float | None
    unit: str
    interval: Interval | None
    confidence: float | None = Field(description="Of the interval; null without one.")
    n: int = Field(ge=0, description="How many images (or groups) the interval was resampled from.")
    reason: str = Field(description="Why value or interval is null, empty when neither is.")


@dataclass(frozen=True, kw_only=True)
class ClassEvidence:
    """One class' AP change as a fraction, its interval, and how likely chance alone gives one as large.

    p: two-sided, None without a change that could be tested. boxes: ground truth that counts. found: whether
    either side has any AP to lose. identical: whether both sides have the very same detections of it, and any
    at all.
    """

    name: str
    boxes: int
    change: float | None
    interval: Interval | None
    p: float | None
    reason: str
    found: bool = True
    identical: bool = False


@dataclass(frozen=True, kw_only=True)
class PairEvidence:
    """What the criteria of one model may look at.

    attempted, reference_answered, candidate_answered: image ids. nonfinite_*: raw detections with a NaN
    or infinite number. ap_difference: relative difference of AP in percent of the reference's, with its
    interval, None where undefined (`ap_reason` says why). agreeing of compared: detections on which both
    sides agree. classes: of the data set, all of them. estimates: by name, what else was measured.
    units: images, or groups of images, that intervals were resampled from. silent: attempted images that have
    ground truth boxes, but no detections on either side, and nothing that says they were run. serving: how
    both sides serve, None where that was not measured. tests: results of existing tests, None without any.
    """

    attempted: frozenset[int]
    reference_answered: frozenset[int]
    candidate_answered: frozenset[int]
    nonfinite_reference: int
    nonfinite_candidate: int
    ap_difference: float | None
    ap_interval: Interval | None
    ap_reason: str
    agreeing: int
    compared: int
    disagreement: Mapping[str, int]
    units: int
    classes: Sequence[ClassEvidence] = ()
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    silent: int = 0
    serving: ServingEvidence | None = None
    tests: TestsEvidence | None = None

    @classmethod
    def of_serving(cls, serving: ServingEvidence) -> PairEvidence:
        """Evidence of serving alone, over no images: criteria that need answers are INCONCLUSIVE on it."""
        return cls._without_answers(serving=serving)

    @classmethod
    def of_tests(cls, tests: TestsEvidence) -> PairEvidence:
        """Results of existing tests alone: criteria that need anything else are INCONCLUSIVE on it."""
        return cls._without_answers(tests=tests)

    @classmethod
    def _without_answers(
        cls, *, serving: ServingEvidence | None = None, tests: TestsEvidence | None = None
    ) -> PairEvidence:
        nobody: frozenset[int] = frozenset()
        return cls(
            attempted=nobody,
            reference_answered=nobody,
            candidate_answered=nobody,
            nonfinite_reference=0,
            nonfinite_candidate=0,
            ap_difference=None,
            ap_interval=None,
            ap_reason="no answers to a data set were collected",
            agreeing=0,
            compared=0,
            disagreement={},
            units=0,
            serving=serving,
            tests=tests,
        )

    @property
    def answered_by_both(self) -> frozenset[int]:
        """Images that both sides answered."""
        return self.attempted & self.reference_answered & self.candidate_answered


class Criterion(Protocol):
    """A module-level object in `CRITERIA`: a name, its parameters and the judgement."""

    @property
    def name(self) -> str:
        """What policies call it."""
        ...

    @property
    def needs(self) -> Needs:
        """What it judges: a command judges the criteria whose evidence it collects."""
        ...

    @property
    def parameters(self) -> type[Parameters]:
        """What a policy may set."""
        ...

    def judge(self, evidence: PairEvidence, parameters: Any) -> CriterionResult:
        """Judge the evidence."""
        ...
