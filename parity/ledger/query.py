"""What the gate asks of the records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone

from parity.errors import EvidenceError
from parity.ledger.chain import Stored
from parity.ledger.record import RepositoryDigest
from parity.outcome import Outcome

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far the clock of the machine that made a record may be ahead of this one's."""


def latest(
    records: Sequence[Stored], phase: str, repository: RepositoryDigest, models: Sequence[str]
) -> Stored | None:
    """The newest record of a phase over exactly this repository and any of the models, of any outcome."""
    return next(_matching(records, phase, repository, models), None)


def latest_pass(
    records: Sequence[Stored], phase: str, repository: RepositoryDigest, models: Sequence[str]
) -> Stored | None:
    """The newest PASS of a phase over exactly this repository and all of the models, None without one.

    Any later verdict over one of the models that is not PASS, or was overridden, takes an earlier PASS back.
    Over no models nothing was shown. How old the record may be is for the caller to say: see `age`.
    """
    for stored in _matching(records, phase, repository, models):
        if stored.entry.outcome is not Outcome.PASS or stored.entry.override is not None:
            return None
        if set(models) <= set(stored.entry.models):
            return stored
    return None


def basis(records: Sequence[Stored], stored: Stored) -> list[Stored]:
    """The records that one rests on, directly or through others, oldest first. records: the whole ledger."""
    wanted = set(stored.entry.rests_on)
    found = []
    for record in reversed(records[: stored.entry.sequence - 1]):  # a record rests on earlier ones alone
        if record.digest in wanted:
            wanted.update(record.entry.rests_on)
            found.append(record)
    return found[::-1]


def _matching(
    records: Sequence[Stored], phase: str, repository: RepositoryDigest, models: Sequence[str]
) -> Iterator[Stored]:
    """Newest first."""
    for stored in reversed(records):
        entry = stored.entry
        same = entry.phase == phase and entry.repository.digest == repository.digest
        if same and not set(models).isdisjoint(entry.models):
            yield stored


def age(stored: Stored, now: datetime | None = None) -> timedelta:
    """How old a record is, never negative. now: with its time zone.

    Raises EvidenceError for a record from the future, which would otherwise stay fresh for as long as its
    clock was wrong.
    """
    found = (now or datetime.now(timezone.utc)) - stored.entry.time
    if found < -CLOCK_TOLERANCE:
        raise EvidenceError(
            f"made at {stored.entry.created}, which is in the future",
            where=stored.file,
            expected="a record of the past",
            remedy="set the clocks right and judge again",
        )
    return max(found, timedelta())
