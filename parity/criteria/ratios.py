"""What criteria have in common that hold the candidate's figure to the reference's under each load."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from parity.criteria.base import FEWER_IS_LOOSER, LOWER_IS_LOOSER, Outcome, in_order
from parity.criteria.serving import Finding, ServingCriterion, inconclusive, named
from parity.criteria.steps import StepParameters, failed_share, step_name, unreliable
from parity.load.plan import CONCURRENCIES
from parity.load.ratios import Ratio
from parity.serving.evidence import LoadStep, ServingEvidence, SideName, load_name


class RatioParameters(StepParameters):
    """Which loads have to be there, and how sure a ratio has to be."""

    concurrencies: Annotated[tuple[Annotated[int, Field(ge=1)], ...], AfterValidator(in_order)] = Field(
        CONCURRENCIES,
        min_length=1,
        description="Closed loops without which nothing passes.",
        json_schema_extra=FEWER_IS_LOOSER,
    )
    confidence: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="Of each one-sided bound that passes, and of all that fail together.",
        json_schema_extra=LOWER_IS_LOOSER,
    )


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The ratios under each load, in the same order.

    each: with the bounds of one load by itself. together: with wider ones, that hold at all loads at once.
    """

    each: Sequence[Ratio]
    together: Sequence[Ratio]


class RatioCriterion(ServingCriterion):
    """Holds the ratio candidate / reference under every load to one limit.

    PASS when its bound keeps the limit under every load, FAIL when it surely breaks it under any, and
    INCONCLUSIVE in between. The measured ratio alone never fails: unlike AP on given images it changes with
    every run of the machine, and of two equal paths it would fail every other one. Exactly on the limit keeps
    it.

    A PASS takes the bounds of all loads, so each of them has the full confidence. For a FAIL the bound of one
    load is enough, and with five loads of equal paths one in five runs would have such a bound by chance. So
    the bounds that fail are Bonferroni's: each may be wrong in (1 - confidence) / loads of the runs, all
    together in 1 - confidence at most.

    Closed loops at each of the policy's concurrencies have to be there; whatever other loads are there is
    judged with them. Steps that did not come to rest, or had too few answers or too many failures, and loads
    that only one side had, show nothing.
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
        if serving.steps and not steps:
            return inconclusive("Only open loops were measured; this takes closed ones (`--concurrency`).")
        lacking = _lacking(steps, parameters)
        if lacking:
            return inconclusive(lacking)
        each = self.ratios(steps, parameters.confidence)
        corrected = 1 - (1 - parameters.confidence) / len(each)
        bounds = Bounds(each=each, together=self.ratios(steps, corrected))
        sign = 1 if self.sense == "at_most" else -1
        known = [(sign * ratio.value, ratio) for ratio in each if ratio.value is not None]
        worst = max(known, key=lambda entry: entry[0])[1] if known else None
        outcome, message = self._decide(steps, bounds, worst, parameters)
        if worst is not None and outcome is not Outcome.PASS:
            message += f" Observed: with {worst.load.label}, of {len(each)} loads the worst."
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
        self, steps: Sequence[LoadStep], bounds: Bounds, worst: Ratio | None, parameters: Any
    ) -> tuple[Outcome, str]:
        limit = self.limit(parameters)
        problems = [(step, why) for step in steps if (why := unreliable(step, parameters))]
        if problems:
            told = f"{len(problems)} of {len(steps)} steps cannot be relied on"
            step, why = max(problems, key=lambda problem: failed_share(problem[0]))
            return Outcome.INCONCLUSIVE, f"{told}; the worst, {step_name(step)}: {why}."
        ratios = bounds.each
        unbound = [f"{each.load.label}: {each.reason}" for each in ratios if None in (each.lower, each.upper)]
        if unbound or worst is None:
            return Outcome.INCONCLUSIVE, f"The ratio has no bounds with {named(unbound)}."
        wanted = f"at {'most' if self.sense == 'at_most' else 'least'} {limit:g}"
        broken = [_told(ratio) for ratio in bounds.together if self._breaks(ratio, limit)]
        if broken:
            return Outcome.FAIL, f"The ratio must be {wanted}, and surely is not with {named(broken)}."
        unsure = [_told(ratio) for ratio in ratios if not self._keeps(ratio, limit)]
        if unsure:
            told = f"The ratio may be {wanted} or not with {named(unsure)}; more turns would tell."
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


def _lacking(steps: Sequence[LoadStep], parameters: RatioParameters) -> str:
    """What was not measured, on one side or on both, or ""."""
    sides: tuple[SideName, SideName] = ("reference", "candidate")
    loads = {side: {load_name(step) for step in steps if step.side == side} for side in sides}
    without = [side for side in sides if not loads[side]]
    if without:
        return f"Nothing was measured of the {' and the '.join(without)}."
    alone = loads["reference"] ^ loads["candidate"]
    if alone:
        return f"Only one side was measured with {named(sorted(alone))}."
    closed = {step.concurrency for step in steps}
    absent = [str(each) for each in sorted(set(parameters.concurrencies) - closed)]
    return f"The policy asks for {', '.join(absent)} at a time, which was not measured." if absent else ""


def _told(ratio: Ratio) -> str:
    return f"{ratio.load.label}: {ratio.value:.3f} ({ratio.lower:.3f} to {ratio.upper:.3f})"
