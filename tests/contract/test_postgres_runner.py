"""The runner keeps its contract on the Postgres carrier, and what only Postgres does to it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from builders import eventually
from contract.runner_contract import RunnerContract
from contract.runner_owner_contract import APPLIED, PLACES, Place, with_something_to_do
from contract.runner_world import NameKeeper, TickKeeper, a_service, keeps, kept, post, running
from contract.worlds import IMPATIENT, PostgresWorld, assert_numbers_are_whole, count_on

from shared.events.envelope import Outgoing, Record
from shared.events.topics import ACTIVITY, SCORE
from shared.stream.carrier import Transaction


@pytest.fixture
async def world(database_url: str, pool: Any) -> AsyncIterator[PostgresWorld]:
    world = await PostgresWorld.open(database_url, pool)
    yield world
    world.close()


class ImpatientWorld(PostgresWorld):
    """Postgres ends a transaction that pauses once it has saved after a tenth of a second instead of ten."""

    async def save(self, transaction: Transaction, key: str, value: str) -> None:
        await super().save(transaction, key, value)
        await transaction.connection.execute(IMPATIENT)


@pytest.fixture
async def impatient_world(database_url: str, pool: Any) -> AsyncIterator[PostgresWorld]:
    world = await ImpatientWorld.open(database_url, pool)
    yield world
    world.close()


class TestRunnerOnPostgres(RunnerContract):
    """The contract alone."""


class DoesSql(NameKeeper):
    """A handler that sends a statement for one event."""

    statement = ""

    async def handle(self, transaction: Transaction, records: list[Record]) -> list[Outgoing]:  # type: ignore[override]
        if any(record.event.value == b"sql" for record in records):
            await transaction.connection.execute(self.statement)
        return list(await super().handle(transaction, records))


@pytest.mark.parametrize("place", PLACES)
async def test_a_paused_owner_whose_transaction_postgres_ended_never_commits(
    impatient_world: PostgresWorld, place: Place
) -> None:
    world = impatient_world
    former, ticker = await with_something_to_do(world, place)
    gate = ticker.gate if place == "tick" else former.handler.gate
    gate.close()
    async with running(former):
        await gate.reached.wait()
        successor = a_service(world, ticker=TickKeeper(world, due=int(place == "tick")))
        async with running(successor):
            await keeps(world, [APPLIED[place]])
            gate.open()
            await eventually(lambda: former.runner.state == "lost")
            await post(world, "next")
            await keeps(world, [APPLIED[place], "next"])
    assert await count_on(world.carrier, SCORE, 0) == 2
    await assert_numbers_are_whole(world, [SCORE])


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 / 0",
        "INSERT INTO stream.settings VALUES ('partitions', '0')",
        "SELECT convert_from('\\xff', 'UTF8')",
        "INSERT INTO stream.settings VALUES ('x', NULL)",
    ],
)
async def test_data_and_integrity_errors_of_postgres_are_poison(world: PostgresWorld, statement: str) -> None:
    handler = DoesSql(world)
    handler.statement = statement
    await post(world, "a", "sql", "b")
    async with running(a_service(world, handler=handler)):
        await keeps(world, ["a", "b"])
    assert await world.letters() == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM no_such_table",
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "DO $$ BEGIN RAISE SQLSTATE '40001'; END $$",
        "DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$",
    ],
)
async def test_other_errors_of_postgres_are_retried(world: PostgresWorld, statement: str) -> None:
    handler = DoesSql(world)
    handler.statement = statement
    await post(world, "a", "sql", "b")
    service = a_service(world, handler=handler)
    async with running(service):
        await eventually(lambda: service.metric("accord_stream_retries_total") >= 2)
        assert await kept(world) == []
        handler.statement = "SELECT 1"
        await keeps(world, ["a", "sql", "b"])
    assert await world.letters() == 0


async def test_a_runner_whose_connections_are_cut_connects_again(world: PostgresWorld) -> None:
    service = a_service(world)
    expected: list[str] = []
    async with running(service):
        for turn in range(4):
            await post(world, f"{turn}")
            expected.append(f"{turn}")
            await keeps(world, expected)
            world.cut_connections()
        await post(world, "last")
        await keeps(world, [*expected, "last"])
    await assert_numbers_are_whole(world, [ACTIVITY, SCORE])


async def test_a_commit_whose_answer_was_lost_is_not_made_twice(world: PostgresWorld) -> None:
    class CutAfterCommit(NameKeeper):
        cut = True

        async def handle(self, transaction: Transaction, records: list[Record]) -> list[Outgoing]:  # type: ignore[override]
            outgoing = list(await super().handle(transaction, records))
            if self.cut:
                self.cut = False
                # The server commits what it has, and the answer never comes.
                connection = transaction.connection
                await transaction.emit(outgoing)
                await connection.execute("COMMIT")
                connection.terminate()
                return []
            return outgoing

    await post(world, "a", "b")
    service = a_service(world, handler=CutAfterCommit(world))
    async with running(service):
        await eventually(lambda: service.metric("accord_stream_retries_total") >= 1)
        await post(world, "c")
        await keeps(world, ["a", "b", "c"])
    await assert_numbers_are_whole(world, [SCORE])
    assert await count_on(world.carrier, SCORE, 0) == 3
