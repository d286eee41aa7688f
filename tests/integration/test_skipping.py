"""`accord skip` shows what is missing, gives nothing up without a word, and leaves a record."""

import getpass
from collections.abc import AsyncIterator
from typing import Any

import pytest
from builders import an_event
from contract.worlds import PostgresWorld
from typer.testing import CliRunner

from services.cli import app
from services.skipping import Moved, NothingToSkip, NotLost, Skipping
from shared.events.topics import ACTIVITY
from shared.stream.carrier import Missing, Slot

MISSING = Missing(ACTIVITY, "ingest/7", 2, 4)
SLOT = Slot("scoring", "partition", 0)


@pytest.fixture
async def world(database_url: str, pool: Any) -> AsyncIterator[PostgresWorld]:
    """Scoring has read number 1 of an emitter; what comes next has number 4."""
    world = await PostgresWorld.open(database_url, pool)
    await world.put(ACTIVITY, 0, [("ingest/7", 1, an_event("a")), ("ingest/7", 4, an_event("d"))])
    claim = await world.carrier.claim(SLOT, [ACTIVITY])
    moved = {ACTIVITY: claim.positions[ACTIVITY]._replace(offset=1, seqs={"ingest/7": 1})}
    async with claim.step(moved, claim.breaker):
        pass
    await claim.note_missing(MISSING)
    yield world
    world.close()


async def skips(world: PostgresWorld) -> list[tuple[Any, ...]]:
    columns = "service, partition, topic, emitter, first_missing, last_missing, skipped_by"
    return [tuple(row) for row in await world.pool.fetch(f"SELECT {columns} FROM stream.skips")]


async def test_what_is_missing_is_shown_and_given_up_only_when_told_so(world: PostgresWorld, database_url: str) -> None:
    skipping = Skipping(database_url, "scoring", 0)
    assert await skipping.look() == MISSING
    assert await skips(world) == []
    await skipping.skip(MISSING)
    [(*what, by)] = await skips(world)
    assert what == ["scoring", 0, ACTIVITY, "ingest/7", 2, 3]
    assert by.startswith(f"{getpass.getuser()}@")
    with pytest.raises(NothingToSkip):
        await skipping.look()


async def test_there_is_nothing_to_skip_where_nothing_is_missing(world: PostgresWorld, database_url: str) -> None:
    for service, partition in (("scoring", 1), ("stages", 0)):
        with pytest.raises(NothingToSkip):
            await Skipping(database_url, service, partition).look()


async def test_what_still_lies_in_the_log_is_not_given_up(world: PostgresWorld, database_url: str) -> None:
    await world.put(ACTIVITY, 0, [("ingest/7", 3, an_event("c"))])
    with pytest.raises(NotLost, match="1 of the missing"):
        await Skipping(database_url, "scoring", 0).look()
    with pytest.raises(NotLost):
        await Skipping(database_url, "scoring", 0).skip(MISSING)
    assert await skips(world) == []


async def test_a_partition_that_moved_meanwhile_is_left_alone(world: PostgresWorld, database_url: str) -> None:
    claim = await world.carrier.claim(SLOT, [ACTIVITY])
    await claim.note_missing(MISSING._replace(expected=3))
    with pytest.raises(Moved):
        await Skipping(database_url, "scoring", 0).skip(MISSING)
    assert await skips(world) == []


@pytest.mark.parametrize("command", ["skip", "resume"])
def test_a_service_that_there_is_not_is_named(command: str, database_url: str) -> None:
    answer = CliRunner(env={"ACCORD_DATABASE_URL": database_url}).invoke(app, [command, "sla_monitor", "0"])
    assert answer.exit_code == 2
    assert "sla-monitor" in answer.output


def test_the_command_asks_for_yes(world: PostgresWorld, database_url: str) -> None:
    run = CliRunner(env={"ACCORD_DATABASE_URL": database_url})
    asked = run.invoke(app, ["skip", "scoring", "0"])
    assert "2 events of ingest/7: numbers 2 to 3; the next that is there has number 4" in asked.output
    assert asked.exit_code == 1
    assert "with --yes" in str(asked.exception)
    done = run.invoke(app, ["skip", "scoring", "0", "--yes"])
    assert done.exit_code == 0
    assert "It goes on" in done.output
