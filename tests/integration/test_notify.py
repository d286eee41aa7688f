"""Notices between processes on a real Postgres: heard at once, gathered, and taken up again after a lost connection."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from builders import an_event, eventually
from patience import within

from shared.events.envelope import Outgoing
from shared.events.topics import ACTIVITY, SALES, SCORE, TOPICS
from shared.stream import notify
from shared.stream.carrier import Slot
from shared.stream.handover import Handover, Place
from shared.stream.log import PostgresCarrier
from shared.stream.notify import Notifier
from shared.stream.setup import initialise

CUT_EVERYBODY_OFF = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""


class Heard(Handover):
    """A handover that writes down what it hears from elsewhere; None: look anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.notices: list[list[Place] | None] = []

    def written_elsewhere(self, places: Iterable[Place] | None) -> None:
        self.notices.append(None if places is None else list(places))
        super().written_elsewhere(places)

    def places(self) -> set[Place]:
        return {place for notice in self.notices for place in notice or ()}


@asynccontextmanager
async def a_process(database_url: str, *topics: str) -> AsyncIterator[tuple[Heard, Notifier]]:
    """One that reads these topics; it listens from the start."""
    heard = Heard()
    notifier = Notifier(lambda: asyncpg.connect(database_url), heard, topics)
    heard.tell_others = notifier.tell
    run = asyncio.create_task(notifier.run())
    try:
        await eventually(lambda: heard.notices == [None])
        yield heard, notifier
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


async def test_a_notice_is_heard_by_those_who_read_the_topic_and_not_by_its_sender(database_url: str) -> None:
    async with (
        a_process(database_url, ACTIVITY, SCORE) as (own, notifier),
        a_process(database_url, ACTIVITY) as (other, _),
        a_process(database_url, SALES) as (stranger, _),
    ):
        notifier.tell([(ACTIVITY, 1), (SCORE, 2)])
        await eventually(lambda: other.places() == {(ACTIVITY, 1)})
        notifier.tell([(SALES, 3)])
        await eventually(lambda: stranger.places() == {(SALES, 3)})
        assert own.notices == [None]


async def test_what_is_told_in_a_row_shares_few_notices(database_url: str) -> None:
    async with a_process(database_url) as (_, notifier), a_process(database_url, ACTIVITY) as (other, _):
        for number in range(1_000):
            notifier.tell([(ACTIVITY, number)])
            if number % 100 == 0:
                await asyncio.sleep(0)
        await eventually(lambda: len(other.places()) == 1_000)
        assert len(other.notices) < 20


async def test_after_a_lost_connection_readers_look_anywhere_and_hear_again(database_url: str, pool: Any) -> None:
    async with a_process(database_url) as (_, notifier), a_process(database_url, ACTIVITY) as (other, _):
        await pool.execute(CUT_EVERYBODY_OFF)
        await eventually(lambda: other.notices == [None, None])

        async def is_heard() -> bool:
            notifier.tell([(ACTIVITY, 5)])
            return (ACTIVITY, 5) in other.places()

        await eventually(is_heard)


async def test_a_commit_wakes_a_reader_in_another_process_which_reads_it_from_the_log(
    database_url: str, pool: Any
) -> None:
    async with pool.acquire() as connection:
        partitions, names = await initialise(connection, topics=TOPICS, partitions=4, default=4)

    def carrier(handover: Handover) -> PostgresCarrier:
        return PostgresCarrier(
            pool=pool,
            connect=lambda: asyncpg.connect(database_url),
            partitions=partitions,
            names=names,
            handover=handover,
        )

    slot = Slot("scoring", "partition", 2)
    async with a_process(database_url) as (writer, _), a_process(database_url, ACTIVITY) as (reader, _):
        lane, claim = await carrier(writer).claim_lane("ingest"), await carrier(reader).claim(slot, [ACTIVITY])
        await claim.fetch([ACTIVITY], 10)  # from now on what is handed over would do for a while
        waiting = asyncio.create_task(reader.wait(slot, [ACTIVITY], 60))
        await asyncio.sleep(0)
        async with lane.step(lane.positions, lane.breaker) as transaction:
            await transaction.emit([Outgoing(ACTIVITY, an_event("a", partition=2))])
        async with within(5):
            await waiting
        assert [record.event.value for record in await claim.fetch([ACTIVITY], 10)] == [b"a"]
        await lane.release()
        await claim.release()


async def test_no_notice_is_sent_while_nobody_else_listens(database_url: str, pool: Any) -> None:
    overheard: list[str] = []
    spy = await asyncpg.connect(database_url)
    await spy.add_listener(ACTIVITY, lambda _connection, _pid, _topic, payload: overheard.append(payload))
    async with a_process(database_url, ACTIVITY) as (_, notifier):
        await eventually(lambda: not notifier._are_there_others)
        notifier.tell([(ACTIVITY, 1)])
        async with a_process(database_url), a_process(database_url, ACTIVITY) as (other, _):
            await eventually(lambda: notifier._are_there_others)
            notifier.tell([(ACTIVITY, 2)])
            await eventually(lambda: other.places() == {(ACTIVITY, 2)})
            await eventually(lambda: overheard == ["2"])
    await spy.close()


async def test_once_the_others_have_gone_notices_end(
    database_url: str, pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "CHECK_SECONDS", 0.05)
    async with a_process(database_url, ACTIVITY) as (_, notifier):
        async with a_process(database_url, ACTIVITY):
            await eventually(lambda: notifier._are_there_others)
        await eventually(lambda: not notifier._are_there_others)


@pytest.mark.parametrize("wrong", ["", "nonsense"])
async def test_a_notice_that_nobody_understands_makes_readers_look_anywhere(
    database_url: str, pool: Any, wrong: str
) -> None:
    async with a_process(database_url, ACTIVITY) as (heard, _):
        await pool.execute("SELECT pg_notify($1, $2)", ACTIVITY, wrong)
        await eventually(lambda: heard.notices == [None, None])
