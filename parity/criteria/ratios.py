"""What criteria have in common that hold the candidate's figure to the reference's under each load."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from parity.criteria.base import HIGHER_IS_LOOSER, LOWER_IS_LOOSER, Outcome, Parameters
from parity.criteria.serving import Finding, ServingCriterion, inconclusive, load_name, named
from parity.load.ratios import Ratio
from parity.serving.evidence import LoadStep, ServingEvidence


class RatioParameters(Parameters):
    """How sure a ratio has to be, and what a step must be like to count."""

    confidence: float = Field(
        0.95, gt=0.5, lt=1, description="Of each one-sided bound.", json_schema_extra=LOWER_IS_LOOSER
    )
    least_requests: int = Field(
        200, ge=20, description="Answers that every step needs.", json_schema_extra=LOWER_IS_LOOSER
    )
    most_failed_percent: float = Field(
        1.0,
        ge=0,
        lt=5,
        description="Of a step's requests; beyond it the answers left may be the lucky ones.",
        json_schema_extra=HIGHER_IS_LOOSER,
    )


class RatioCriterion(ServingCriterion):
    """Holds the ratio candidate / reference under every load to one limit.

    PASS when its bound keeps the limit under every load, FAIL when it surely breaks it under any, and
    INCONCLUSIVE in between. The measured ratio alone never fails: unlike AP on given images it changes with
    every run of the machine, and of two equal paths it would fail every other one. Exactly on the limit keeps
    it. Each load is judged at the full confidence, since a PASS takes all of them. Steps that did not come to
    rest, or had too few answers or too many failures, and loads that only one side had, show nothing.
    """

    unit = "candidate / reference"

    @abstractmethod
    def ratios(self, steps: Sequence[LoadStep], confidence: float) -> list[Ratio]:
        """The ratio under each load."""

    @abstractmethod
    def tells(self, step: LoadStep) -> bool:
        """Whether a step's load can say anything of the ratio."""

    def find(self, serving: ServingEvidence, parameters: Any) -> Finding:
        """Judge every load, and tell of the worst."""
        if serving.work != "image":
            return inconclusive(
                "Bare tensors were sent, so that decoding and resizing cost the candidate nothing; only the "
                "way from a picture to boxes compares."
            )
        steps = [step for step in serving.steps if self.tells(step)]
        lacking = _lacking(steps)
        if lacking:
            return inconclusive(lacking)
        ratios = self.ratios(steps, parameters.confidence)
        sign = 1 if self.sense == "at_most" else -1
        known = [(sign * ratio.value, ratio) for ratio in ratios if ratio.value is not None]
        worst = max(known, key=lambda entry: entry[0])[1] if known else None
        outcome, message = self._decide(steps, ratios, worst, parameters)
        return Finding(
            outcome=outcome,
            message=message,
            observed=None if worst is None else worst.value,
            interval=None
            if worst is None or worst.lower is None or worst.upper is None
            else (worst.lower, worst.upper),
            n=sum(step.ok or 0 for step in steps),
        )

    def _decide(
        self, steps: Sequence[LoadStep], ratios: Sequence[Ratio], worst: Ratio | None, parameters: Any
    ) -> tuple[Outcome, str]:
        limit = self.limit(parameters)
        problems = [
            f"{step.side} at {load_name(step)}, turn {step.turn}: {why}"
            for step in steps
            if (why := _problem(step, parameters))
        ]
        if problems:
            told = f"{len(problems)} of {len(steps)} steps cannot be relied on"
            return Outcome.INCONCLUSIVE, f"{told}; first, {problems[0]}."
        unbound = [f"{each.load.label}: {each.reason}" for each in ratios if None in (each.lower, each.upper)]
        if unbound or worst is None:
            return Outcome.INCONCLUSIVE, f"The ratio has no bounds at {named(unbound)}."
        wanted = f"at {'most' if self.sense == 'at_most' else 'least'} {limit:g}"
        broken = [_told(ratio) for ratio in ratios if self._breaks(ratio, limit)]
        if broken:
            return Outcome.FAIL, f"The ratio must be {wanted}, and surely is not at {named(broken)}."
        unsure = [_told(ratio) for ratio in ratios if not self._keeps(ratio, limit)]
        if unsure:
            told = f"The ratio may be {wanted} or not at {named(unsure)}; more turns would tell."
            return Outcome.INCONCLUSIVE, told
        told = f"The ratio is surely {wanted} under each of {len(ratios)} loads; the worst, {_told(worst)}."
        return Outcome.PASS, told

    def _keeps(self, ratio: Ratio, limit: float) -> bool:
        if ratio.lower is None or ratio.upper is None:
            return False
        return ratio.upper <= limit if self.sense == "at_most" else ratio.lower >= limit

    def _breaks(self, ratio: Ratio, limit: float) -> bool:
        if ratio.lower is None or ratio.upper is None:
            return False
        return ratio.lower > limit if self.sense == "at_most" else ratio.upper < limit


def _lacking(steps: Sequence[LoadStep]) -> str:
    """What one side was not measured at, or ""."""
    before = {load_name(step) for step in steps if step.side == "reference"}
    after = {load_name(step) for step in steps if step.side == "candidate"}
    if not before or not after:
        without = [side for side, loads in (("reference", before), ("candidate", after)) if not loads]
        return f"Nothing was measured of the {' and the '.join(without)}."
    return f"Only one side was measured at {named(sorted(before ^ after))}." if before != after else ""


def _problem(step: LoadStep, parameters: RatioParameters) -> str:
    if step.latency is None or step.throughput is None:
        return "nothing was answered"
    if step.ok is None or step.latency.n is None:
        return "it is not known how many requests were answered and how many failed"
    if not step.stable:
        return f"did not come to rest ({step.stability})"
    if step.latency.n < parameters.least_requests:
        return f"{step.latency.n} answers, {parameters.least_requests} are needed"
    failed = sum(step.failed.values())
    if 100 * failed > parameters.most_failed_percent * (failed + step.ok):
        return f"{failed} of {failed + step.ok} requests failed"
    return ""


def _told(ratio: Ratio) -> str:
    return f"{ratio.load.label}: {ratio.value:.3f} ({ratio.lower:.3f} to {ratio.upper:.3f})"
