"""Do client and server agree on what happened? Numbers that nobody can add up prove nothing."""

from __future__ import annotations

from typing import ClassVar

from parity.criteria.base import Outcome, Parameters, Sense
from parity.criteria.serving import Finding, ServingCriterion, inconclusive, named
from parity.serving.evidence import Reconciliation, ServingEvidence


class LedgerReconcilesParameters(Parameters):
    """None: a difference without a cause is always a failure."""


class LedgerReconciles(ServingCriterion):
    """Differences between the client's ledger and the server's counters for which there is no cause.

    One such difference is a FAIL: requests were lost, or came from somebody else, and every rate is in doubt.
    A counter that fell and a cache hit are INCONCLUSIVE: nothing is known to be wrong, but after a new start
    the counts cannot be held to each other, and an answer from a cache says nothing of the network's speed.
    """

    name = "ledger_reconciles"
    unit = "differences"
    sense: ClassVar[Sense] = "at_most"
    parameters = LedgerReconcilesParameters

    def limit(self, parameters: LedgerReconcilesParameters) -> float:
        """None may be left."""
        return 0.0

    def find(self, serving: ServingEvidence, parameters: LedgerReconcilesParameters) -> Finding:
        """Judge the reconciliation."""
        found = serving.reconciliation
        if found is None:
            return inconclusive("The client's ledger was not held to the server's counters.")
        requests = found.client_requests
        if requests == 0 or found.server_success is None or found.reason:
            why = found.reason or ("no request was sent" if requests == 0 else "the server did not tell")
            return inconclusive(f"Nothing can be held to the server's counters: {why}.")
        differences = [*found.unexplained, *_own(found)]
        outcome, message = Outcome.PASS, _agreed(found)
        if found.cache_hits:
            outcome = Outcome.INCONCLUSIVE
            message = f"{found.cache_hits} answers came from the server's cache; measure without it."
        if found.resets:
            outcome = Outcome.INCONCLUSIVE
            message = f"The server began anew in between: {named(found.resets)}."
        if differences and not found.resets:
            outcome = Outcome.FAIL
            message = f"No cause is known for: {named(differences)}."
        return Finding(outcome=outcome, message=message, observed=float(len(differences)), n=requests)


def _own(found: Reconciliation) -> list[str]:
    """Sums that do not come out although nobody has said so."""
    problems = []
    ended = found.client_ok + sum(found.client_failed.values())
    if ended != found.client_requests:
        problems.append(f"{found.client_requests} requests of the client, of which {ended} ended")
    if found.client_ok != found.server_success and not (found.explained or found.unexplained):
        problems.append(f"{found.client_ok} answers at the client, {found.server_success} by the server")
    return problems


def _agreed(found: Reconciliation) -> str:
    causes = f"; differences with a cause: {named(found.explained)}" if found.explained else ""
    return (
        f"{found.client_ok:,} answers at the client and {found.server_success:,} by the server's count of "
        f"{found.client_requests:,} requests{causes}."
    )
