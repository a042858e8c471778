"""What there is of one model while load is put on it, as a document at any time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from parity.answers import Answers, Cut, under_load
from parity.dataset import ImageRecord
from parity.load.metrics import metrics_seen, wanted_metrics
from parity.load.observe import SourcesObserver
from parity.load.plan import LoadPlan
from parity.load.reconcile import ClientTotals, reconcile
from parity.load.run import ORDER, LoadRun
from parity.load_sides import endpoint, served, sources
from parity.runners import Runner
from parity.serving.evidence import BatchInvariance, MetricSeen, Reconciliation, ServingEvidence, SideName


@dataclass(kw_only=True)
class SoFar:
    """Both sides of a load run and what was seen of them until now.

    runners: entered, by side. quiet: the two quiet runs of each side. cut: of answers that are compared.
    metrics: those that the policy looks for. python_backend: whether the candidate's Triton runs Python,
    whose errors it counts as successes.
    """

    runners: Mapping[str, Runner]
    plan: LoadPlan
    images: Sequence[ImageRecord]
    quiet: Mapping[SideName, tuple[Answers, Answers]]
    cut: Cut
    python_backend: bool
    metrics: Collection[str] = ()
    run: LoadRun = field(default_factory=LoadRun)
    batches: BatchInvariance | None = None
    observer: SourcesObserver = field(init=False)

    def __post_init__(self) -> None:
        self.observer = SourcesObserver({side: sources(self.runners[side]) for side in ORDER})

    def steps(self) -> ServingEvidence:
        """The finished steps alone, quick to make between two of them."""
        return ServingEvidence(
            work=self.plan.work,
            images=self.run.images,
            reference_endpoint=endpoint(self.runners["reference"]),
            candidate_endpoint=endpoint(self.runners["candidate"]),
            steps=self.run.steps,
        )

    def evidence(self) -> ServingEvidence:
        """All of it: what the servers counted needs their last scrape, which is taken when the load ends."""
        metrics, ledger = self._counted()
        names = {image.image_id: image.file_name for image in self.images}
        return self.steps().model_copy(
            update={
                "metrics": metrics,
                "reconciliation": ledger,
                "batches": self.batches,
                "under_load": [
                    under_load(
                        side,
                        [answer.result for answer in self.run.answers if answer.side == side],
                        *self.quiet[side],
                        names,
                        cut=self.cut,
                    )
                    for side in ORDER
                ],
            }
        )

    def unseen(self) -> list[str]:
        """What could not be observed, with its side."""
        return [f"{side}: {line}" for side in ORDER for line in self.observer.unseen(side)]

    def _counted(self) -> tuple[list[MetricSeen], Reconciliation]:
        """The candidate's metrics, and its counters against the ledger."""
        model, version = served(self.runners["candidate"])
        scrapes = self.observer.scrapes("candidate")
        reason = self.observer.incomplete("candidate")
        metrics = metrics_seen(
            wanted_metrics(self.metrics), scrapes, model=model, version=version, reason=reason
        )
        ledger = reconcile(
            ClientTotals.of_ledger(self.run.totals["candidate"].sent()),
            scrapes,
            model=model,
            version=version,
            python_backend=self.python_backend,
            reason=reason,
        )
        return metrics, ledger
