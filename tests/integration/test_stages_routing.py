"""Routing on a real Postgres: turns, sticky owners, loads and absences that partitions share, and their replay."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest
from builders import eventually
from line_builders import (
    ADA,
    after,
    lead,
    profile,
    sales_action,
)
from stages_line import Line, owners_of, refolded

from services.stages.store import PostgresStore
from shared.errors import AlreadyApplied
from shared.events.envelope import Event
from shared.events.lifecycle import LeadAssigned, LeadQualified, PassedOver, PassedOverReason, StageChanged
from shared.events.sales import SalesAction

# A backend that waits for a row's lock, and has inserted into the history.
WAITS_WITH_HISTORY_WRITTEN = """SELECT EXISTS (
    SELECT FROM pg_locks AS waiting JOIN pg_locks AS held USING (pid)
    WHERE NOT waiting.granted AND waiting.locktype = 'transactionid'
        AND held.relation = 'stages.history'::regclass AND held.mode = 'RowExclusiveLock')"""


@pytest.fixture
def line(pool: asyncpg.Pool) -> Line:
    return Line(pool)


async def test_two_partitions_that_route_at_the_same_time_share_the_turns_fairly(
    line: Line, pool: asyncpg.Pool
) -> None:
    events = [await line.qualify(n, f"x@company{n}.example", employees=100) for n in range(60)]
    await asyncio.gather(*(line.step(*events[n : n + 5]) for n in range(0, 60, 5)))
    owners = Counter((await owners_of(pool)).values())
    assert owners == {"linus@sales.example": 30, "barbara@sales.example": 30}
    turns = await pool.fetch("SELECT turn FROM stages.published_assignments ORDER BY turn")
    assert [row["turn"] for row in turns] == list(range(60))
    assert await pool.fetchval("SELECT turn FROM stages.turns WHERE team = 'commercial'") == 60


async def test_no_owner_gets_more_than_their_capacity_however_many_partitions_route(
    line: Line, pool: asyncpg.Pool
) -> None:
    events = [await line.qualify(n, f"x@company{n}.example") for n in range(60)]
    await asyncio.gather(*(line.step(*events[n : n + 5]) for n in range(0, 60, 5)))
    assert Counter((await owners_of(pool)).values()) == {"ada@sales.example": 20, "grace@sales.example": 40}
    loads = {row["owner"]: row["leads"] for row in await pool.fetch("SELECT * FROM stages.published_loads")}
    assert loads == {"ada@sales.example": 20, "grace@sales.example": 40}


async def test_the_day_of_a_capacity_begins_at_midnight_of_the_accord_s_zone(line: Line, pool: asyncpg.Pool) -> None:
    midnight = datetime(2026, 11, 24, 5, tzinfo=UTC)  # in New York
    for at, owners in ((midnight - timedelta(hours=4), (20, 10)), (midnight, (40, 20))):
        events = [await line.qualify(f"{at}/{n}", f"x@company{n}-{at.day}-{at.hour}.example", at=at) for n in range(30)]
        await line.step(*events)
        given = Counter((await owners_of(pool)).values())
        assert (given["ada@sales.example"], given["grace@sales.example"]) == owners
    rows = await pool.fetch("SELECT day, leads FROM stages.published_loads WHERE owner LIKE 'ada%' ORDER BY day")
    assert [(row["day"].day, row["leads"]) for row in rows] == [(23, 20), (24, 20)]


async def test_who_is_absent_is_read_by_the_step_itself_and_stamped_for_every_replay(
    line: Line, pool: asyncpg.Pool
) -> None:
    await pool.execute("INSERT INTO api.owners (owner, is_paused) VALUES ('linus@sales.example', true)")
    told = await line.step(await line.qualify("ada", "ada@maker.example", employees=100))
    (assigned,) = [event for _, event in told if event.type == LeadAssigned.TYPE]
    payload = msgspec.json.decode(assigned.value, type=LeadAssigned)
    assert (payload.owner, payload.turn) == ("barbara@sales.example", 1)
    assert payload.passed_over == (PassedOver("linus@sales.example", PassedOverReason.PAUSED),)
    labels = {"why": "paused"}
    assert line.registry.get_sample_value("accord_stages_passed_over_total", labels) == 1
    await pool.execute("UPDATE api.owners SET is_paused = false, deleted_at = now()")
    await line.step(sales_action("assigned", after(hours=1)))
    async with pool.acquire() as connection:
        (stored,) = (await PostgresStore().states(connection, [ADA])).values()
    assert stored == await refolded(pool, ADA)
    assert stored.owner == "barbara@sales.example"
    assert line.registry.get_sample_value("accord_stages_ignored_total", {"reason": "nobody else is active"}) == 1


async def test_steps_that_route_reassign_and_hand_over_at_once_never_wait_in_a_circle(
    line: Line, pool: asyncpg.Pool
) -> None:
    """Shared companies, both teams and a bounded owner, in another order in every step. A deadlock would be raised."""
    dice, steps = random.Random(5), []
    for number in range(12):
        batch: list[Event | SalesAction] = []
        for n in range(6):
            who = f"{number}/{n}"
            email = f"{who}@company{dice.randrange(5)}.example"
            batch.append(await line.qualify(who, email, employees=dice.choice([100, 5000])))
            owner = dice.choice([None, "ada@sales.example", "linus@sales.example"])
            batch.append(sales_action("assigned", after(hours=1), lead_id=lead(who), owner=owner))
        steps.append(batch)
    told = await asyncio.gather(*(line.step(*batch) for batch in steps))
    assigned = [
        msgspec.json.decode(event.value, type=LeadAssigned)
        for outgoing in told
        for _, event in outgoing
        if event.type == LeadAssigned.TYPE
    ]
    given = Counter(payload.owner for payload in assigned if payload.owner != payload.previous_owner)
    rows = await pool.fetch("SELECT owner, leads FROM stages.published_loads")
    assert {row["owner"]: row["leads"] for row in rows} == given
    turns = Counter((payload.team, payload.turn) for payload in assigned if payload.turn is not None)
    assert set(turns.values()) == {1}


async def test_colleagues_who_qualify_at_the_same_time_get_one_owner(line: Line, pool: asyncpg.Pool) -> None:
    events = [await line.qualify(n, f"{n}@maker.example") for n in range(12)]
    await asyncio.gather(*(line.step(event) for event in events))
    assert len(set((await owners_of(pool)).values())) == 1
    assert await pool.fetchval("SELECT turn FROM stages.turns WHERE team = 'enterprise'") == 1


async def test_a_step_that_is_rolled_back_takes_no_turn(line: Line, pool: asyncpg.Pool) -> None:
    event = await line.qualify("ada", "ada@maker.example")
    await line.step(event)
    with pytest.raises(AlreadyApplied):
        await line.step(await line.qualify("bob", "bob@other.example"), event)
    assert await pool.fetchval("SELECT turn FROM stages.turns WHERE team = 'enterprise'") == 1


async def test_a_sticky_owner_of_another_team_brings_in_that_team_s_turns(line: Line, pool: asyncpg.Pool) -> None:
    await line.step(await line.qualify("small", "a@maker.example", employees=100))
    event = await line.qualify("big", "b@maker.example", employees=5000)
    await line.step(event, sales_action("assigned", after(hours=1), lead_id=lead("big")))
    turns = {row["team"]: row["turn"] for row in await pool.fetch("SELECT * FROM stages.turns")}
    assert turns["commercial"] == 2
    assert turns.get("enterprise", 0) == 0


async def test_while_a_step_waits_for_its_turn_the_leads_that_are_not_routed_are_written(
    line: Line, pool: asyncpg.Pool
) -> None:
    """So that those who wait for this step in turn don't wait for most of its work."""
    await line.step(await line.qualify("first", "x@first.example"))
    quiet = [await line.score(profile(after(), lead_id=lead(f"quiet/{n}"), title="Student")) for n in range(3)]
    loud = await line.qualify("loud", "x@loud.example")
    async with pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM stages.turns FOR UPDATE")
        step = asyncio.create_task(line.step(*(event for events in quiet for event in events), loud))
        await eventually(lambda: pool.fetchval(WAITS_WITH_HISTORY_WRITTEN))
        assert len(await owners_of(pool)) == 1
    assert {event.type for _, event in await step} == {StageChanged.TYPE, LeadAssigned.TYPE, LeadQualified.TYPE}
    assert len(await owners_of(pool)) == 5


async def test_of_a_batch_that_is_routed_in_part_every_event_applied_before_is_named(line: Line) -> None:
    quiet = await line.score(profile(after(), lead_id=lead("quiet"), title="Student"))
    await line.step(*quiet)
    with pytest.raises(AlreadyApplied) as found:
        await line.step(*quiet, await line.qualify("loud", "x@loud.example"))
    assert set(found.value.event_ids) == {event.id for event in quiet}
