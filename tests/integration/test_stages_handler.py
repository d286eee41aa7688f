"""Stages on a real Postgres: the fold of both histories, what is told and kept, what was applied before."""

import random

import asyncpg
import pytest
from line_builders import (
    ADA,
    activity,
    after,
    lead,
    profile,
    record_of,
    sales_action,
)
from stages_line import Line, refolded

from services.stages.store import PostgresStore
from shared.agreement.clocks import Pause
from shared.errors import AlreadyApplied, Poison
from shared.events.envelope import Event
from shared.events.sales import SalesAction


@pytest.fixture
def line(pool: asyncpg.Pool) -> Line:
    return Line(pool)


async def test_what_is_stored_is_the_fold_of_both_histories(line: Line, pool: asyncpg.Pool) -> None:
    dice = random.Random(3)
    actions = [
        "accepted",
        "rejected",
        "contacted",
        "qualified",
        "assigned",
        "won",
        "recycled",
        "reopened",
        "disqualified",
    ]
    for step in range(20):
        at = after(days=3 * step)
        who = [lead(dice.randrange(4)) for _ in range(4)]
        told = await line.score(
            *(activity("demo.requested", at, lead_id=lead_id, n=n) for n, lead_id in enumerate(who)),
            profile(at, lead_id=who[0], title=dice.choice(["CEO", "Intern"]), employees=dice.choice([10, 5000])),
        )
        acted = [
            sales_action(dice.choice(actions), at, lead_id=dice.choice(who), reason="not_ready", n=n) for n in range(3)
        ]
        mixed: list[Event | SalesAction] = [*told, *acted]
        dice.shuffle(mixed)
        await line.step(*mixed)
    async with pool.acquire() as connection:
        stored = await PostgresStore().states(connection, [lead(n) for n in range(4)])
    assert len(stored) == 4
    for lead_id, state in stored.items():
        assert state == await refolded(pool, lead_id)
    transitions = await pool.fetch("SELECT * FROM stages.published_transitions ORDER BY lead_id, version")
    for lead_id, state in stored.items():
        own = [row for row in transitions if row["lead_id"] == lead_id]
        assert [row["version"] for row in own] == list(range(1, state.version + 1))


async def test_a_snooze_is_kept_from_one_batch_to_the_next(line: Line, pool: asyncpg.Pool) -> None:
    await line.step(sales_action("contacted", after(hours=-1)))
    await line.step(sales_action("snoozed", after(minutes=-5), until=after(days=9)))
    await line.step(sales_action("note", after(minutes=-4)))
    async with pool.acquire() as connection:
        state = (await PostgresStore().states(connection, [ADA]))[ADA]
    assert state.snoozes == (Pause(after(minutes=-5), after(days=9)),)
    assert state.contacted_at == after(hours=-1)
    assert state == await refolded(pool, ADA)


async def test_a_qualified_lead_is_told_in_three_events_and_measured(line: Line) -> None:
    told = await line.step(await line.qualify("ada", "ada@maker.example"))
    assert [event.type for _, event in told] == [
        "accord.stage.changed",
        "accord.lead.assigned",
        "accord.lead.qualified",
    ]
    assert len({event.id for _, event in told}) == 3
    assert line.registry.get_sample_value("accord_stages_webhook_to_qualified_seconds_sum") == 1
    labels = {"from_stage": "lead", "to_stage": "mql", "reason": "score qualifies"}
    assert line.registry.get_sample_value("accord_stages_transitions_total", labels) == 1


async def test_implied_transitions_of_one_action_are_told_with_ids_of_their_own(line: Line, pool: asyncpg.Pool) -> None:
    told = await line.step(sales_action("won", after(), amount=100.0, currency="USD"))
    assert len({event.id for _, event in told}) == len(told) == 6
    rows = await pool.fetch("SELECT * FROM stages.published_transitions ORDER BY version")
    assert [row["to_stage"] for row in rows] == ["mql", "sal", "sql", "opportunity", "customer"]
    assert [row["implied"] for row in rows] == [True, True, True, True, False]
    assert {row["event_id"] for row in rows} <= {event.id for _, event in told}


async def test_an_ignored_action_is_kept_and_told_with_its_reason(line: Line, pool: asyncpg.Pool) -> None:
    (told,) = await line.step(sales_action("reopened", after(), note="mistake"))
    assert told.event.type == "accord.sales.recorded"
    (row,) = await pool.fetch("SELECT * FROM stages.published_actions")
    assert (row["action"], row["ignored"], row["note"]) == ("reopened", "not allowed in this stage", "mistake")
    assert row["occurred_at"] == after()


async def test_a_duplicate_is_dropped_in_a_batch_and_named_across_batches(line: Line, pool: asyncpg.Pool) -> None:
    call = sales_action("contacted", after(), channel="call")
    assert len(await line.step(call, call)) == 1
    with pytest.raises(AlreadyApplied) as refused:
        await line.step(sales_action("note", after(hours=1)), call)
    assert refused.value.event_ids == {call.id}
    assert await pool.fetchval("SELECT count(*) FROM stages.history") == 1


async def test_a_score_that_does_not_fit_is_poison(line: Line) -> None:
    event = await line.qualify("ada", "ada@maker.example")
    with pytest.raises(Poison):
        await line.step(event._replace(value=b'{"engagement": "much"}'))


async def test_an_action_of_a_foreign_producer_must_be_about_the_lead_that_its_key_names(line: Line) -> None:
    action = sales_action("disqualified", after())
    foreign = record_of(action).event._replace(key=lead("bob"))
    with pytest.raises(Poison, match="lead_id is not the key"):
        await line.step(foreign)


async def test_the_api_reads_where_a_lead_stands(line: Line, pool: asyncpg.Pool) -> None:
    await line.step(await line.qualify("ada", "ada@maker.example"))
    row = await pool.fetchrow("SELECT * FROM stages.published_leads WHERE lead_id = $1", ADA)
    assert (row["stage"], row["entry"], row["version"], row["team"]) == ("mql", 1, 1, "enterprise")
    assert (row["email"], row["engagement"], row["grade"]) == ("ada@maker.example", 60.0, "A")
    assert row["entered_at"] == row["updated_at"] == after(seconds=1)
    assert await pool.fetchval("SELECT count(*) FROM stages.published_history") == 1
