"""What tests of scoring and stages are made of: leads, events of the line, a step's transaction, accords from text."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import asyncpg

from shared.agreement.compiled import CompiledAccord, compile_accord
from shared.agreement.loading import default_accord_text, load_accord
from shared.agreement.versions import Accords
from shared.db.statement import Refused, Write, write_all
from shared.events.activity import Activity, ProfileUpdated
from shared.events.base import Payload
from shared.events.codec import encode
from shared.events.envelope import Event, Record
from shared.events.sales import Action, SalesAction
from shared.events.topics import ACTIVITY, SALES, SCORE
from shared.stream.carrier import DeadLetter

START = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
TOPIC_OF = {Activity.TYPE: ACTIVITY, ProfileUpdated.TYPE: ACTIVITY, SalesAction.TYPE: SALES}
ADA = uuid5(NAMESPACE_URL, "lead/ada")


def lead(name: object) -> UUID:
    return uuid5(NAMESPACE_URL, f"lead/{name}")


def after(**duration: float) -> datetime:
    """A time so long after the start of the test."""
    return START + timedelta(**duration)


def example_accord() -> CompiledAccord:
    return compile_accord(load_accord(default_accord_text()), 1)


def accords_of(accord: CompiledAccord) -> Accords:
    return Accords([(START - timedelta(days=3650), accord)])


class SignedOnce:
    """Accords that are read from nowhere: one version, in effect since ever."""

    def __init__(self, accord: CompiledAccord) -> None:
        self.accords = accords_of(accord)

    async def assume(self, transaction: Any) -> Accords:
        return self.accords


class OpenTransaction:
    """A step's transaction without a log: what a handler returns is looked at, not put on a topic."""

    epoch = 1
    is_open = True

    def __init__(self, connection: Any) -> None:
        self.connection = self.reader = connection
        self._then: list[Callable[[], None]] = []
        self._writes: list[Write] = []

    async def open(self) -> Any:
        return self.connection

    def add(self, *writes: Write) -> None:
        self._writes.extend(writes)

    async def write(self) -> None:
        """What a step writes at its end."""
        if self._writes:
            await write_all(self.connection, self._writes)

    def on_commit(self, then: Callable[[], None]) -> None:
        self._then.append(then)

    def committed(self) -> None:
        """Whoever committed the connection's transaction says so."""
        for then in self._then:
            then()

    async def emit(self, outgoing: Sequence[Any]) -> Sequence[tuple[int, int]]:
        raise NotImplementedError

    async def put(self, outgoing: Sequence[Any]) -> None:
        raise NotImplementedError

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        raise NotImplementedError

    async def mark_replayed(self, letter_id: UUID) -> None:
        raise NotImplementedError


@asynccontextmanager
async def open_step(pool: asyncpg.Pool) -> AsyncIterator[OpenTransaction]:
    """A transaction of its own, committed at the end unless something was raised."""
    async with pool.acquire() as connection:
        transaction = OpenTransaction(connection)
        try:
            async with connection.transaction():
                yield transaction
                await transaction.write()
        except Refused as refused:
            raise await refused.reason(connection) from None
        transaction.committed()


def activity(
    type: str, at: datetime, *, lead_id: UUID = ADA, received_at: datetime | None = None, **fields: Any
) -> Activity:
    """An activity; further fields are those of the payload, `n` tells equal ones apart."""
    received = received_at or at
    id = uuid5(lead_id, f"{type}/{at}/{received}/{fields.pop('n', 0)}")
    given = {"source": "web", "team": "marketing", "identifiers": {"email": "ada@maker.example"}, **fields}
    return Activity(lead_id=lead_id, id=id, type=type, occurred_at=at, received_at=received, **given)


def profile(at: datetime, *, lead_id: UUID = ADA, received_at: datetime | None = None, **fields: Any) -> ProfileUpdated:
    """A profile update; the keywords are the profile's fields."""
    received = received_at or at
    return ProfileUpdated(
        lead_id=lead_id,
        id=uuid5(lead_id, f"profile/{at}/{received}/{sorted(fields.items())}"),
        occurred_at=at,
        received_at=received,
        source="web",
        identifiers={"email": "ada@maker.example"},
        fields=fields,
    )


def sales_action(
    action: Action | str, at: datetime, *, lead_id: UUID = ADA, received_at: datetime | None = None, **fields: Any
) -> SalesAction:
    received = received_at or at
    id = uuid5(lead_id, f"{action}/{at}/{received}/{fields.pop('n', 0)}")
    given = {"source": "crm", "actor": "rep", "identifiers": {"email": "ada@maker.example"}, **fields}
    return SalesAction(lead_id=lead_id, id=id, action=Action(action), occurred_at=at, received_at=received, **given)


def record_of(payload: Payload | Event, offset: int = 0) -> Record:
    """The payload as it lies on its topic; an event as the service before put it there."""
    if isinstance(payload, Event):
        return Record(SCORE, 0, offset, "scoring/0", offset + 1, payload)
    received_at: datetime = payload.received_at  # type: ignore[attr-defined]
    id: UUID = payload.id  # type: ignore[attr-defined]
    event = Event(id, payload.TYPE, payload.lead_id, received_at, received_at, encode(payload))
    return Record(TOPIC_OF[payload.TYPE], 0, offset, "ingest/0", offset + 1, event)
