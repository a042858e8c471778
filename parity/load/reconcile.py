"""The client's ledger against the server's counters: every difference has its cause, or has none.

A client and a Triton count the same requests, but not alike. Each attempt that a client counts as lost ended
on the server as a success, as a failure with one of its reasons, or in no counter; which of these a loss can
be is known from its reason. What is left after all losses have been placed is unexplained.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from parity.load.counters import ServerTotals, server_totals, unusable
from parity.requests import LedgerCounts
from parity.serving.evidence import Reconciliation
from parity.serving.prometheus import Scrape

Loss = Literal["refused", "unreachable", "deadline", "cancelled", "error", "bad-answer", "unknown"]
LOSSES: Mapping[str, Loss] = {
    **dict.fromkeys(
        ("invalid-argument", "not-found", "unimplemented", "unauthenticated", "permission-denied"), "refused"
    ),
    **dict.fromkeys(("certificate", "tls", "not-grpc", "not-http", "client", "shared-memory"), "refused"),
    **{f"http-{status}": "refused" for status in range(400, 500)},
    **dict.fromkeys(("unavailable", "connection", "http-502", "http-503", "http-504"), "unreachable"),
    **dict.fromkeys(("internal", "unknown", "http-500"), "error"),
    "resource-exhausted": "unreachable",
    **dict.fromkeys(("deadline", "not-answered"), "deadline"),
    "cancelled": "cancelled",
    **dict.fromkeys(("bad-answer", "nonfinite"), "bad-answer"),
}
"""What a client's reasons mean. Any other explains nothing."""

PLACES: Mapping[str, tuple[Loss, ...]] = {
    "BACKEND": ("error",),
    "OTHER": ("error",),
    "REJECTED": ("unreachable", "deadline"),
    "CANCELED": ("cancelled", "unreachable", "deadline"),
    "success": ("bad-answer", "error", "deadline", "cancelled", "unreachable"),
}
"""Where the server can have counted a loss, and which losses are placed there first.

What can be in one place can be in every later one too, but for BACKEND and OTHER, which are alike. So what is
placed in this order is as much as can be placed at all.
"""

UNCOUNTED: Mapping[Loss, str] = {
    "refused": "that were refused at once, which Triton counts nowhere",
    "unreachable": "that did not reach the model, which Triton counts nowhere",
    "deadline": "that did not reach the model before the client's deadline",
    "cancelled": "that were cancelled before they reached the model",
}
"""Losses that may be in no counter. An error of the server that no counter has is not among them."""

AS_SUCCESS: Mapping[Loss, str] = {
    "bad-answer": "that the server answered and the client could not use",
    "error": "that the Python backend answered with an error, which Triton counts as success",
    "deadline": "that the server finished after the client's deadline",
    "cancelled": "that the server finished after the client had cancelled them",
    "unreachable": "that the server finished and whose answer did not arrive",
}


@dataclass(frozen=True, kw_only=True)
class ClientTotals:
    """Every attempt that a client made of a server's model, warm-up included.

    ok: with a usable answer. lost: without one, by reason. images: in the attempts that were answered.
    lost_images: in the others.
    """

    ok: int
    lost: Mapping[str, int] = field(default_factory=dict)
    images: int
    lost_images: int

    @property
    def single(self) -> bool:
        """Whether every attempt held one image."""
        return (self.images, self.lost_images) == (self.ok, sum(self.lost.values()))

    @classmethod
    def of_single_images(cls, ok: int, lost: Mapping[str, int]) -> ClientTotals:
        """Where every request holds one image."""
        return cls(ok=ok, lost=dict(lost), images=ok, lost_images=sum(lost.values()))

    @classmethod
    def of_ledger(cls, counts: LedgerCounts) -> ClientTotals:
        """Of a run or a load run, whose requests hold one image each; every attempt counts."""
        return cls.of_single_images(counts.ok + counts.retried, counts.lost_attempts)


def reconcile(
    client: ClientTotals,
    scrapes: Sequence[Scrape],
    *,
    model: str,
    version: str = "",
    python_backend: bool = False,
    reason: str = "",
) -> Reconciliation:
    """Place every attempt of the client among the server's counts.

    scrapes: at least one before and one after all attempts, in order; those in between show where a counter
    fell. version: empty for all. python_backend: whether the model's answers may be errors of Python's
    backend. reason: why the scrape from before or after is not among them, if so.
    """
    problem = reason or unusable(scrapes, model=model, version=version)
    if problem:
        return Reconciliation(**_ledger(client), **_nothing_known(), reason=problem)
    server = server_totals(scrapes, model=model, version=version)
    explained, unexplained = _compare(client, server, python_backend=python_backend)
    return Reconciliation(
        **_ledger(client),
        server_success=server.success,
        server_failure={name: count for name, count in server.failure.items() if count},
        server_inferences=server.inferences,
        explained=explained,
        unexplained=unexplained,
        resets=list(server.resets),
        cache_hits=server.cache_hits,
    )


def _compare(
    client: ClientTotals, server: ServerTotals, *, python_backend: bool
) -> tuple[list[str], list[str]]:
    """Sentences on differences with a known cause, and on those without."""
    explained: list[str] = []
    unexplained: list[str] = []
    left = Counter(client.lost)
    surplus = server.success - client.ok
    late = 0
    for place, losses in PLACES.items():
        wanted = max(0, surplus) if place == "success" else server.failure.get(place, 0)
        allowed = [loss for loss in losses if (place, loss) != ("success", "error") or python_backend]
        for reason, loss, count in _placed(left, allowed, wanted):
            wanted -= count
            late += count if place == "success" else 0
            what = AS_SUCCESS[loss] if place == "success" else f"that the server counts as failed, {place}"
            explained.append(f"{_requests(count)} ({reason!r}) {what}")
        if wanted:
            unexplained.append(
                f"{_requests(wanted)} that the server counts as "
                f"{'success' if place == 'success' else f'failed, {place},'} and this client does not know of"
            )
    unexplained += [
        f"{_requests(count)} that the server counts as failed, {place}, which is no reason known here"
        for place, count in server.failure.items()
        if place not in PLACES and count
    ]
    if surplus < 0:
        unexplained.append(f"{_requests(-surplus)} that got an answer and that the server does not count")
    for reason, count in sorted(left.items()):
        told = UNCOUNTED.get(LOSSES.get(reason, "unknown"))
        if count and told:
            explained.append(f"{_requests(count)} ({reason!r}) {told}")
        elif count:
            unexplained.append(f"{_requests(count)} ({reason!r}) failed and the server does not count them")
    _compare_images(client, server, late, explained, unexplained)
    return explained, unexplained


def _placed(left: Counter[str], losses: Sequence[Loss], wanted: int) -> Iterator[tuple[str, Loss, int]]:
    """Take up to `wanted` of the client's losses out of `left`, in the order of `losses`."""
    for loss in losses:
        for reason in sorted(left):
            count = min(wanted, left[reason]) if LOSSES.get(reason) == loss else 0
            if count:
                left[reason] -= count
                wanted -= count
                yield reason, loss, count


def _compare_images(
    client: ClientTotals, server: ServerTotals, late: int, explained: list[str], unexplained: list[str]
) -> None:
    """Images computed: those answered and those of `late` requests, less what the cache answered."""
    hits = server.cache_hits
    if hits:
        explained.append(f"{_requests(hits)} that the response cache answered, not the model")
    if client.single:
        least = most = client.images + late - hits
    elif hits:
        explained.append("images are not compared: how many the cached answers held is not known")
        return
    else:
        least = client.images + min(late, 1)
        most = client.images + (client.lost_images if late else 0)
    if not least <= server.inferences <= most:
        expected = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        unexplained.append(f"the server computed {server.inferences:,} images, expected {expected}")


def _requests(count: int) -> str:
    return f"{count:,} request{'' if count == 1 else 's'}"


def _ledger(client: ClientTotals) -> dict[str, Any]:
    return {
        "client_requests": client.ok + sum(client.lost.values()),
        "client_ok": client.ok,
        "client_failed": dict(client.lost),
    }


def _nothing_known() -> dict[str, Any]:
    return {
        "server_success": None,
        "server_failure": {},
        "server_inferences": None,
        "explained": [],
        "unexplained": [],
        "resets": [],
    }
