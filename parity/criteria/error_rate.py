"""Do requests get their answer? A share that takes thousands of them to prove."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from parity.criteria.base import HIGHER_IS_LOOSER, LOWER_IS_LOOSER, Outcome, Parameters, Sense
from parity.criteria.serving import Finding, ServingCriterion, inconclusive, named, of_side
from parity.criteria.steps import reasons, step_name
from parity.serving.evidence import LoadStep, ServingEvidence
from parity.statistics import binomial_upper_bound

MOST_REQUESTS = 2**40
"""Where the search for a sufficient number of requests ends."""


class ErrorRateParameters(Parameters):
    """How many requests may fail, and how sure that has to be."""

    limit_percent: float = Field(
        0.1,
        gt=0,
        lt=100,
        description="Percent of requests; the rate stays under.",
        json_schema_extra=HIGHER_IS_LOOSER,
    )
    confidence: float = Field(
        0.95, gt=0.5, lt=1, description="Of the one-sided upper bound.", json_schema_extra=LOWER_IS_LOOSER
    )


class ErrorRate(ServingCriterion):
    """Share of the candidate's requests without a usable answer, over all loads, warm-up left out.

    Whatever kept a request from its answer counts, the load generator's own failures too (`not-sent`): it
    cannot be told whose fault they are. At or over the limit: FAIL. PASS when the exact one-sided upper bound
    (Clopper and Pearson 1934) is under it, which takes 2,995 requests without a failure at 0.1 % and 95 %.
    The bound is that of independent requests; failures that come in bursts make it optimistic. An answer
    that nobody decoded may be none, so there is no PASS without all of them decoded; and where the requests
    are not as many as their ends, nothing is decided.
    """

    name = "error_rate"
    unit = "% of requests"
    sense: ClassVar[Sense] = "at_most"
    parameters = ErrorRateParameters

    def limit(self, parameters: ErrorRateParameters) -> float:
        """The policy's, in percent."""
        return parameters.limit_percent

    def find(self, serving: ServingEvidence, parameters: ErrorRateParameters) -> Finding:
        """Judge the candidate's requests; the reference's are told beside them."""
        mine = of_side(serving, "candidate")
        untold = [step_name(step) for step in mine if step.sent is None or step.ok is None]
        if untold:
            return inconclusive(f"How many requests failed is not known of {named(untold)}.")
        unequal = [_unequal(step) for step in mine if step.sent != _ended(step)]
        if unequal:
            return inconclusive(f"Requests and their ends do not add up: {named(unequal)}.")
        requests, failures = _counts(mine)
        if requests == 0:
            return inconclusive("The candidate was sent no request.")
        limit, confidence = parameters.limit_percent / 100, parameters.confidence
        rate, bound = failures / requests, binomial_upper_bound(failures, requests, confidence)
        theirs = of_side(serving, "reference")
        others = _counts(theirs)
        unread = [_undecoded(step) for step in mine if step.checked != step.ok]
        seen = (
            f"{failures} of the candidate's {requests:,} requests failed{reasons(mine)}, "
            f"{others[1]} of the reference's {others[0]:,}{reasons(theirs)}"
        )
        if rate >= limit:
            outcome = Outcome.FAIL
            message = f"{seen}: {100 * rate:.3g} %, not under {parameters.limit_percent:g} %."
        elif unread:
            outcome = Outcome.INCONCLUSIVE
            message = f"{seen}, but not all answers were decoded to see that they are any: {named(unread)}."
        elif bound < limit:
            outcome = Outcome.PASS
            message = f"{seen}: surely under {parameters.limit_percent:g} % (bound {100 * bound:.3g} %)."
        else:
            outcome = Outcome.INCONCLUSIVE
            missing = requests_that_would_pass(failures, limit, confidence) - requests
            message = (
                f"{seen}: the rate may be up to {100 * bound:.3g} %; about {missing:,} more requests without "
                f"another failure would show that it is under {parameters.limit_percent:g} %."
            )
        return Finding(
            outcome=outcome,
            message=message,
            observed=100 * rate,
            interval=(0.0, 100 * bound),
            n=requests,
        )


def requests_that_would_pass(failures: int, limit: float, confidence: float) -> int:
    """The least number of requests, so many of them failed, whose upper bound is under the limit (0 to 1)."""
    low, high = failures, max(1, failures)
    while binomial_upper_bound(failures, high, confidence) >= limit:
        if high > MOST_REQUESTS:
            return high
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if binomial_upper_bound(failures, middle, confidence) >= limit:
            low = middle
        else:
            high = middle
    return high


def _counts(steps: list[LoadStep]) -> tuple[int, int]:
    """Requests and failures."""
    return sum(map(_ended, steps)), sum(sum(step.failed.values()) for step in steps)


def _ended(step: LoadStep) -> int:
    return (step.ok or 0) + sum(step.failed.values())


def _unequal(step: LoadStep) -> str:
    return f"{step.sent} sent and {_ended(step)} ended ({step_name(step)})"


def _undecoded(step: LoadStep) -> str:
    return f"{step.checked or 0} of {step.ok} ({step_name(step)})"
