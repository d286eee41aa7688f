"""What the handler and the sweeper of one partition share, and what both ask of others."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from services.scoring.model import Batch, Done, Past, State, Tally
from shared.agreement.versions import Accords
from shared.db.statement import Write
from shared.stream.carrier import Transaction
from shared.stream.hot import HotStates


class SignedAccords(Protocol):
    """The signed accords, as the step's own transaction sees them."""

    async def assume(self, transaction: Transaction) -> Accords: ...


class ScoringStore(Protocol):
    """What a step asks of the tables of leads."""

    async def states(self, connection: Any, lead_ids: Collection[UUID]) -> dict[UUID, State]: ...
    async def done(self, connection: Any, lead_ids: Collection[UUID]) -> dict[UUID, list[Done]]: ...
    async def past(self, connection: Any, lead_ids: Collection[UUID]) -> dict[UUID, Past]: ...
    def decode(self, texts: Mapping[UUID, str]) -> dict[UUID, State]: ...
    def save(self, batch: Batch, partition: int) -> tuple[Sequence[Write], Mapping[UUID, str]]: ...


class Progress(Protocol):
    """What a step asks of the tables of rescoring."""

    def count(self, tallies: Mapping[int, Tally], partition: int, after: UUID | None = None) -> Write: ...


class Desk:
    """One partition, whoever of the two is at work: only one of them ever is, since one runner calls both."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        # As text: a state is some hundred objects all over the memory, and waiting for those takes longer than to read
        # them anew.
        self.hot = HotStates[str]()
        # Leads whose histories are too long to be rescored in front of an event, and the version that the event belongs
        # to: the sweeper does it first.
        self.asked: dict[UUID, int] = {}
        # Whether live events were applied since the sweeper looked.
        self.was_busy = False
        # Whether a lead may carry an earlier version although all leads were rescored: an event came very late.
        self.has_joined = False

    async def states(
        self, transaction: Transaction, store: ScoringStore, lead_ids: Collection[UUID]
    ) -> dict[UUID, State]:
        """The states of those of these leads that have one. They are no longer hot until the step has committed."""
        states = store.decode(self.hot.take(transaction, lead_ids))
        if missing := [lead_id for lead_id in lead_ids if lead_id not in states]:
            states |= await store.states(transaction.reader, missing)
        return states
