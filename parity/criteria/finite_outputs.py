"""Was every raw output a finite number?"""

from __future__ import annotations

from typing import ClassVar

from parity.criteria.base import CriterionResult, Needs, Outcome, PairEvidence, Parameters


class FiniteOutputsParameters(Parameters):
    """None: a single NaN or infinite number is a failure."""


class FiniteOutputs:
    """Counts raw detections with a NaN or infinite number, before any threshold could drop them."""

    name = "finite_outputs"
    needs: ClassVar[Needs] = "answers"
    parameters = FiniteOutputsParameters

    def judge(self, evidence: PairEvidence, parameters: FiniteOutputsParameters) -> CriterionResult:
        """FAIL at the first one; INCONCLUSIVE when a side answered nothing."""
        n = len(evidence.answered_by_both)
        total = evidence.nonfinite_reference + evidence.nonfinite_candidate
        if total:
            outcome = Outcome.FAIL
            message = (
                f"Raw detections that are not finite: {evidence.nonfinite_reference} of the reference, "
                f"{evidence.nonfinite_candidate} of the candidate; images.csv says on which images."
            )
        elif n == 0:
            outcome, message = Outcome.INCONCLUSIVE, "No image was answered by both sides."
        else:
            outcome, message = Outcome.PASS, f"Every raw output on {n} images was finite on both sides."
        return CriterionResult(
            name=self.name,
            outcome=outcome,
            observed=float(total) if n or total else None,
            limit=0.0,
            unit="detections",
            sense="at_most",
            interval=None,
            n=n,
            message=message,
        )
