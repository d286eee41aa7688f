"""What the runner asks of a service: apply a batch, and, if it acts on time, a tick."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from shared.events.envelope import Outgoing, Record
from shared.stream.carrier import Transaction


class Handler(Protocol):
    """One batch: load, decide, save, and say what to emit."""

    async def handle(self, transaction: Transaction, records: Sequence[Record]) -> Sequence[Outgoing]:
        """Applies the records in order and saves through the transaction. May run again with the same records, or
        with a part of them, after a rollback; so it keeps nothing in memory that a rollback would falsify.

        Raises AlreadyApplied with the ids that were applied before. Any exception but Surroundings (and the
        database's own faults) makes the runner halve the batch until the poison event stands alone.
        """


class Ticker(Protocol):
    """A service that acts on time. One per partition; only its runner calls it."""

    async def seconds_to_next(self, now: datetime) -> float | None:
        """Seconds until something is due (0 if it is now), None if nothing ever is."""

    async def tick(self, transaction: Transaction, now: datetime) -> Sequence[Outgoing]:
        """Acts on what is due, a bounded batch of it. Positions don't move."""
