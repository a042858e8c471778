"""Has one class been sacrificed? A mean over eighty classes hides the loss of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from parity.criteria.base import (
    HIGHER_IS_LOOSER,
    LOWER_IS_LOOSER,
    ClassEvidence,
    CriterionResult,
    Needs,
    Outcome,
    PairEvidence,
    Parameters,
)
from parity.criteria.limits import keeps
from parity.statistics import LEAST_UNITS, adjusted_p_values

MOST_NAMED = 5


class WorstClassParameters(Parameters):
    """How far a class may change, and how many false alarms are accepted."""

    limit_points: float = Field(
        2.0, gt=0, description="Points of the class' AP, 0 to 100.", json_schema_extra=HIGHER_IS_LOOSER
    )
    false_discovery_rate: float = Field(
        0.05, gt=0, lt=1, description="Of classes said to have changed.", json_schema_extra=LOWER_IS_LOOSER
    )


class WorstClass:
    """The greatest AP change of any class.

    FAIL when a class changed by the limit or more and chance is no explanation: its p-value, adjusted by
    Benjamini and Hochberg (1995) so that eighty classes don't give four false alarms, is at most the false
    discovery rate. PASS when every class' whole interval lies inside the limit. Otherwise INCONCLUSIVE, which
    a class without ground truth boxes always is: nothing was shown for it.
    """

    name = "worst_class"
    needs: ClassVar[Needs] = "answers"
    parameters = WorstClassParameters

    def judge(self, evidence: PairEvidence, parameters: WorstClassParameters) -> CriterionResult:
        """Judge all classes together."""
        limit = parameters.limit_points
        measured = [entry for entry in evidence.classes if entry.change is not None]
        worst = max(measured, key=lambda entry: abs(entry.change or 0.0), default=None)
        if evidence.classes and evidence.attempted and not evidence.answered_by_both:
            outcome, message = Outcome.INCONCLUSIVE, "No image was answered by both sides."
        else:
            outcome, message = _decide(evidence.classes, parameters)
        if (
            outcome is Outcome.INCONCLUSIVE
            and worst is not None
            and worst.change
            and worst.name not in message
        ):
            message += f" The greatest change is that of {_shown(worst)}."
        return CriterionResult(
            name=self.name,
            outcome=outcome,
            observed=None if worst is None else 100 * (worst.change or 0.0),
            limit=limit,
            unit="points of AP",
            sense="within",
            interval=None
            if worst is None or worst.interval is None
            else (100 * worst.interval[0], 100 * worst.interval[1]),
            n=len(measured),
            message=message,
        )


def _decide(classes: Sequence[ClassEvidence], parameters: WorstClassParameters) -> tuple[Outcome, str]:
    limit = parameters.limit_points
    if not classes:
        return Outcome.INCONCLUSIVE, "There is no class to look at."
    tested = [entry for entry in classes if entry.change is not None and entry.p is not None]
    adjusted = adjusted_p_values(np.array([entry.p for entry in tested], np.float64))
    changed = [
        f"{entry.name} ({100 * (entry.change or 0.0):+.2f} points, adjusted p {p:.2g})"
        for entry, p in zip(tested, adjusted, strict=True)
        if p <= parameters.false_discovery_rate and not keeps(100 * (entry.change or 0.0), limit, "within")
    ]
    count = f"of {len(classes)} classes"
    if changed:
        told = f"{len(changed)} {count} changed by {limit:g} points or more: {_named(changed)}."
        return Outcome.FAIL, told
    empty = [entry.name for entry in classes if entry.boxes == 0]
    if empty:
        told = f"{len(empty)} {count} have no ground truth boxes, so nothing is shown for them"
        return Outcome.INCONCLUSIVE, f"{told}: {_named(empty)}."
    unseen = [entry.name for entry in classes if not entry.found and not entry.identical]
    if unseen:
        told = f"{len(unseen)} {count} have an AP of 0 on both sides, so there was nothing to lose"
        return Outcome.INCONCLUSIVE, f"{told}: {_named(unseen)}."
    unsure = [_shown(entry) for entry in classes if not _inside(entry, limit)]
    if unsure:
        told = f"{len(unsure)} {count} may have changed by {limit:g} points or more: {_named(unsure)}."
        return Outcome.INCONCLUSIVE, told
    return Outcome.PASS, f"The intervals of all {len(classes)} classes lie within {limit:g} points of AP."


def _inside(entry: ClassEvidence, limit: float) -> bool:
    if entry.identical and entry.change == 0:
        return True  # Whatever is drawn, equal detections have equal AP.
    # Without a p-value the boxes lie in so few images that an interval over them says nothing.
    if entry.change is None or entry.interval is None or entry.p is None:
        return False
    return all(keeps(100 * value, limit, "within") for value in (entry.change, *entry.interval))


def _shown(entry: ClassEvidence) -> str:
    if entry.interval is None:
        seen = "" if entry.change is None else f"{100 * entry.change:+.2f} points, "
        return f"{entry.name} ({seen}{entry.reason or 'no interval'})"
    if entry.p is None:
        return f"{entry.name} ({entry.boxes} boxes in fewer than {LEAST_UNITS} images or groups)"
    low, high = (100 * end for end in entry.interval)
    return f"{entry.name} ({low:+.2f} to {high:+.2f}, {entry.boxes} boxes)"


def _named(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
