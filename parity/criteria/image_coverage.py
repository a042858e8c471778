"""Did both sides answer every image?"""

from __future__ import annotations

from typing import ClassVar

from parity.criteria.base import CriterionResult, Needs, Outcome, PairEvidence, Parameters

MOST_SILENT = 0.05
"""Share of images that may have boxes and yet no detections at all before it takes words to say why."""


class ImageCoverageParameters(Parameters):
    """None: an image that one side did not answer is always a failure."""


class ImageCoverage:
    """Share of attempted images that both sides answered; the limit is all of them."""

    name = "image_coverage"
    needs: ClassVar[Needs] = "answers"
    parameters = ImageCoverageParameters

    def judge(self, evidence: PairEvidence, parameters: ImageCoverageParameters) -> CriterionResult:
        """FAIL names how many images each side lacks; without any attempt it is INCONCLUSIVE."""
        n = len(evidence.attempted)
        strangers = (evidence.reference_answered | evidence.candidate_answered) - evidence.attempted
        both = len(evidence.answered_by_both)
        if n == 0:
            outcome, observed, message = Outcome.INCONCLUSIVE, None, "No image was attempted."
        elif strangers:
            outcome, observed = Outcome.FAIL, 100 * both / n
            message = f"{len(strangers)} images were answered that nobody asked for, first {min(strangers)}."
        elif both == n and evidence.silent > MOST_SILENT * n:
            outcome, observed = Outcome.INCONCLUSIVE, 100 * (n - evidence.silent) / n
            message = (
                f"{evidence.silent} of {n} images have ground truth boxes and no detections in either file, "
                "which cannot say whether they were run; --images all says so."
            )
        elif both == n:
            outcome, observed = Outcome.PASS, 100.0
            message = f"Both sides answered all {n} images."
        else:
            outcome, observed = Outcome.FAIL, 100 * both / n
            missing = len(evidence.attempted - evidence.reference_answered)
            message = (
                f"Of {n} images the reference left {missing} unanswered and the candidate "
                f"{len(evidence.attempted - evidence.candidate_answered)}; images.csv says why."
            )
        return CriterionResult(
            name=self.name,
            outcome=outcome,
            observed=observed,
            limit=100.0,
            unit="% of images",
            sense="at_least",
            interval=None,
            n=n,
            message=message,
        )
