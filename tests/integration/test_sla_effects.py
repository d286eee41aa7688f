"""Escalations that act and clocks that pause, on a real database: sent once, in the sweep's own transaction, and never
before the line was read."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from builders import lead_in
from sla_builders import clock_time, lead_assigned, sales_recorded, stage_changed
from sla_desk import LEAD, Desk, move_end, open_desk

from services.sla_monitor.model.decisions import fold
from services.sla_monitor.model.states import UNSETTLED
from services.sla_monitor.store import clocks as store
from shared.db.accord_book import AccordBook
from shared.events.lifecycle import AssignmentReason
from shared.events.sales import Action
from shared.events.topics import SALES

ADA, GRACE = "ada@sales.example", "grace@sales.example"


@pytest.fixture
async def desk(pool: asyncpg.Pool, database_url: str) -> AsyncIterator[Desk]:
    made = await open_desk(pool, database_url)
    yield made
    await made.claim.release()


async def qualify(desk: Desk, **changes: Any) -> None:
    """Ada's lead from 10:00: a first contact due at 11:00, a second level of escalation at 12:00."""
    await desk.handle(
        desk.record(stage_changed(clock_time("10:00"), lead_id=LEAD, **changes)),
        desk.record(lead_assigned(clock_time("10:00"), owner=ADA, lead_id=LEAD)),
    )


async def assert_stored_as_folded(desk: Desk) -> None:
    async with desk.pool.acquire() as connection:
        stored = (await store.load(connection, [LEAD]))[LEAD]
        inputs = await store.history(connection, LEAD)
        accords = await AccordBook().refresh(connection)
    decisions = list(fold(inputs, accords))
    folded = decisions[-1].lead
    assert folded._replace(clocks=tuple(c for c in folded.clocks if c.state in UNSETTLED)) == stored
    assert [effect.action for decision in decisions for effect in decision.effects] == await desk.sent()


async def test_a_reassign_is_sent_with_its_escalation_or_not_at_all(desk: Desk) -> None:
    await qualify(desk)
    now = clock_time("12:00")
    assert await desk.sweeper.seconds_to_next(now) == 0
    with pytest.raises(ConnectionResetError):
        async with desk.claim.step(desk.claim.positions, desk.claim.breaker) as transaction:
            await transaction.emit(await desk.sweeper.tick(transaction, now))
            raise ConnectionResetError
    await desk.claim.reload()
    assert (await desk.sent(), await desk.announced()) == ([], ["started"])
    assert await desk.sweep(now)
    assert await desk.announced() == ["started", "warned", "breached", "escalated", "escalated"]
    (action,) = await desk.sent()
    assert (action.action, action.if_owner, action.if_stage_version, action.lead_id) == (Action.ASSIGNED, ADA, 1, LEAD)
    row = await desk.pool.fetchrow("SELECT event_id, cause, accord, key FROM stream.log WHERE type = $1", action.TYPE)
    escalated = await desk.pool.fetchval("SELECT event_id FROM sla.clock_events WHERE level = 2")
    assert tuple(row) == (action.id, escalated, 1, LEAD)
    assert not await desk.sweep(now)
    await assert_stored_as_folded(desk)


async def test_the_answer_of_stages_starts_the_next_attempt_and_only_once_per_owner(desk: Desk) -> None:
    await qualify(desk)
    await desk.sweep(clock_time("12:00"))
    (action,) = await desk.sent()
    answer = lead_assigned(clock_time("12:00"), owner=GRACE, lead_id=LEAD, why=AssignmentReason.REASSIGNED)
    await desk.handle(desk.record(answer, cause=action.id))
    await desk.read_by_stages()
    await desk.sweep(clock_time("14:00"))
    attempts = await desk.pool.fetch("SELECT attempt, owner, state FROM sla.published_clocks ORDER BY attempt")
    assert [tuple(row) for row in attempts] == [(1, ADA, "breached"), (2, GRACE, "breached")]
    assert len(await desk.sent()) == 1
    await assert_stored_as_folded(desk)


async def test_owners_who_are_paused_are_stamped_in_the_history(desk: Desk) -> None:
    await desk.pool.execute("INSERT INTO api.owners (owner, is_paused, paused_until) VALUES ($1, true, NULL)", GRACE)
    await qualify(desk)
    await desk.sweep(clock_time("12:00"))
    assert await desk.sent() == []
    body = await desk.pool.fetchval("SELECT body ->> 'absent' FROM sla.history WHERE type = 'tick'")
    assert body == f'["{GRACE}"]'
    await desk.pool.execute("DELETE FROM api.owners")
    await assert_stored_as_folded(desk)


async def test_effects_wait_for_the_line_beyond_all_patience_and_outlive_their_owner(
    pool: asyncpg.Pool, database_url: str
) -> None:
    desk = await open_desk(pool, database_url, announce_patience_seconds=30)
    await qualify(desk)
    await move_end(pool, SALES, 5)
    due = clock_time("12:00")
    for minutes in (0, 1, 2):
        await desk.sweep(due + timedelta(minutes=minutes))
    assert (await desk.announced())[-1] == "escalated"
    assert await desk.sent() == []
    successor = await open_desk(pool, database_url)
    assert not await successor.sweep(due + timedelta(minutes=10))
    await successor.read_by_stages()
    assert await successor.sweep(due + timedelta(minutes=10, seconds=1))
    assert [action.occurred_at for action in await successor.sent()] == [due + timedelta(minutes=10, seconds=1)]
    assert not await successor.sweep(due + timedelta(minutes=11))
    for made in (desk, successor):
        await made.claim.release()


async def test_a_stop_that_was_on_the_line_at_the_deadline_leaves_no_breach(desk: Desk) -> None:
    await qualify(desk)
    await move_end(desk.pool, SALES, 5)
    for milliseconds in range(0, 2_000, 100):
        assert not await desk.sweep(clock_time("11:00") + timedelta(milliseconds=milliseconds))
    touch = sales_recorded(clock_time("10:59"), lead_id=LEAD)
    await desk.handle(desk.record(touch, received=clock_time("11:00")))
    await desk.read_by_stages()
    assert not await desk.sweep(clock_time("11:00") + timedelta(seconds=3))
    assert await desk.announced() == ["started", "met"]


async def test_after_an_hour_away_the_backlog_is_read_first_and_the_rest_told_in_the_order_of_deadlines(
    desk: Desk,
) -> None:
    others = [lead_in(0, number) for number in range(1, 4)]
    for minute, lead_id in zip((3, 2, 1), others, strict=True):
        await desk.handle(desk.record(stage_changed(clock_time(f"10:0{minute}"), lead_id=lead_id)))
    await move_end(desk.pool, SALES, 5)
    back = clock_time("12:30")
    assert not await desk.sweep(back)
    await desk.handle(desk.record(sales_recorded(clock_time("10:30"), lead_id=others[2]), received=back))
    await desk.read_by_stages()
    assert await desk.sweep(back + timedelta(milliseconds=50))
    rows = await desk.pool.fetch(
        """SELECT occurred_at FROM stream.log WHERE type IN ('accord.clock.warned', 'accord.clock.breached')
        ORDER BY log_offset"""
    )
    assert [f"{row['occurred_at']:%H:%M}" for row in rows] == ["10:47", "10:48", "11:02", "11:03"]
    late = await desk.pool.fetch("SELECT lateness_seconds, is_lagging FROM sla.clocks WHERE state = 'breached'")
    assert {(round(row[0]), row[1]) for row in late} == {(5220, False), (5280, False)}
    assert await desk.pool.fetchval("SELECT state FROM sla.clocks WHERE lead_id = $1", others[2]) == "met"


async def test_a_paused_clock_is_stored_swept_and_folded_again(desk: Desk) -> None:
    await desk.handle(desk.record(stage_changed(clock_time("10:00"), lead_id=LEAD, to="sql")))
    snooze = sales_recorded(clock_time("10:30"), lead_id=LEAD, action="snoozed", until=clock_time("13:00"))
    await desk.handle(desk.record(snooze))
    row = await desk.pool.fetchrow("SELECT state, deadline, paused_until, pauses FROM sla.published_clocks")
    assert tuple(row)[:3] == ("paused", clock_time("14:30"), clock_time("13:00"))
    await assert_stored_as_folded(desk)
    assert await desk.sweeper.seconds_to_next(clock_time("12:59")) == 60
    await desk.sweep(clock_time("13:00"))
    assert await desk.announced() == ["started", "paused", "resumed"]
    await desk.sweep(clock_time("14:30"))
    assert await desk.announced() == ["started", "paused", "resumed", "warned", "breached", "escalated"]
    await assert_stored_as_folded(desk)
