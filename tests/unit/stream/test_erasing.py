"""The handler that erases leads, around one that only notes what it was given."""

from collections.abc import Iterable, Sequence
from typing import Any, cast
from uuid import UUID

from builders import NOON

from shared.db.statement import Write
from shared.events.activity import LeadErased
from shared.events.envelope import Event, Outgoing, Record
from shared.events.topics import ACTIVITY, SCORE
from shared.stream.carrier import Transaction
from shared.stream.erasing import Erasure, erasing_forgetful

MARY, PAUL = UUID(int=1), UUID(int=2)


class Noting:
    """Implements `Forgetful`."""

    def __init__(self) -> None:
        self.given: list[UUID] = []
        self.forgotten: list[UUID] = []

    async def handle(self, transaction: Transaction, records: Sequence[Record]) -> Sequence[Outgoing]:
        self.given += [record.event.id for record in records]
        return ()

    def forget(self, lead_ids: Iterable[UUID]) -> None:
        self.forgotten += lead_ids


class Step:
    """What a step's transaction is asked for, in memory: which leads are erased, and what is written."""

    def __init__(self, erased: Sequence[UUID] = (), epoch: int = 1) -> None:
        self.epoch = epoch
        self.erased = erased
        self.writes: list[Write] = []
        self.then: list[Any] = []

    @property
    def reader(self) -> "Step":
        return self

    async def fetch(self, statement: str, *_: Any) -> list[tuple[Any]]:
        return [("history",), ("leads",)] if "information_schema" in statement else [(id,) for id in self.erased]

    def add(self, *writes: Write) -> None:
        self.writes += writes

    def on_commit(self, then: Any) -> None:
        self.then.append(then)

    def commit(self) -> None:
        for then in self.then:
            then()


def record(lead: UUID, number: int, type_: str = "accord.activity") -> Record:
    return Record(ACTIVITY, 0, number, "ingest/0", number, Event(UUID(int=number), type_, lead, NOON, NOON, b"{}"))


def transaction(step: Step) -> Transaction:
    return cast(Transaction, step)


async def test_the_events_of_an_erased_lead_before_and_after_are_dropped_and_others_are_applied() -> None:
    inner, step = Noting(), Step()
    handler = erasing_forgetful(inner, Erasure("scoring", "scoring", forward=SCORE, keeps_ids=True))
    batch = [record(MARY, 10), record(PAUL, 11), record(MARY, 12, LeadErased.TYPE), record(MARY, 13)]
    (told,) = await handler.handle(transaction(step), batch)
    assert inner.given == [UUID(int=11)]
    assert (told.topic, told.event.type, told.event.key) == (SCORE, LeadErased.TYPE, MARY)
    assert (told.event.cause, told.event.id != UUID(int=12)) == (UUID(int=12), True)
    assert "DELETE FROM scoring.history" in step.writes[0].tables
    assert step.writes[0].values == ([MARY],)
    assert step.writes[1].values == ([UUID(int=10), UUID(int=12), UUID(int=13)],)
    assert inner.forgotten == []
    step.commit()
    assert inner.forgotten == [MARY]
    assert await handler.handle(transaction(Step()), [record(MARY, 14), record(PAUL, 15)]) == []
    assert inner.given == [UUID(int=11), UUID(int=15)]


async def test_a_step_that_is_rolled_back_erases_nothing() -> None:
    inner = Noting()
    handler = erasing_forgetful(inner, Erasure("scoring", "scoring"))
    await handler.handle(transaction(Step()), [record(MARY, 10, LeadErased.TYPE)])
    await handler.handle(transaction(Step()), [record(MARY, 11)])
    assert inner.given == [UUID(int=11)]


async def test_a_successor_knows_the_tombstones() -> None:
    inner = Noting()
    handler = erasing_forgetful(inner, Erasure("scoring", "scoring"))
    await handler.handle(transaction(Step()), [record(MARY, 10)])
    await handler.handle(transaction(Step(erased=[MARY], epoch=2)), [record(MARY, 11), record(PAUL, 12)])
    assert inner.given == [UUID(int=10), UUID(int=12)]
