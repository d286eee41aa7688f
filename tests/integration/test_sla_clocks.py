"""Clocks on a real database: announced once whatever happens, and equal to the fold of their history."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest
from builders import lead_in
from sla_builders import clock_time, lead_assigned, sales_recorded, stage_changed
from sla_desk import LEAD, SLOT, Desk, move_end, move_position, open_desk
from structlog.testing import capture_logs

from services.sla_monitor.model.decisions import fold
from services.sla_monitor.model.states import UNSETTLED
from services.sla_monitor.store import clocks as store
from services.sla_monitor.sweeper.clocks import SERVICE
from shared.db.accord_book import AccordBook
from shared.errors import AlreadyApplied, OwnershipLost
from shared.events.topics import LIFECYCLE, SALES


@pytest.fixture
async def desk(pool: asyncpg.Pool, database_url: str) -> AsyncIterator[Desk]:
    made = await open_desk(pool, database_url)
    yield made
    await made.claim.release()


async def test_a_breach_is_announced_once_even_if_the_sweep_that_announces_it_is_rolled_back_and_repeated(
    desk: Desk,
) -> None:
    await desk.handle(desk.record(stage_changed(clock_time("10:00"), lead_id=LEAD)))
    now = clock_time("11:00")
    assert await desk.sweeper.seconds_to_next(now) == 0
    with pytest.raises(ConnectionResetError):
        async with desk.claim.step(desk.claim.positions, desk.claim.breaker) as transaction:
            await transaction.emit(await desk.sweeper.tick(transaction, now))
            raise ConnectionResetError
    await desk.claim.reload()
    assert await desk.announced() == ["started"]
    for _ in range(2):
        assert await desk.sweeper.seconds_to_next(now) == 0 or await desk.announced() != ["started"]
        await desk.tick(now)
    assert await desk.announced() == ["started", "warned", "breached", "escalated"]
    assert await desk.state() == "breached"


async def test_a_broken_promise_is_said_in_the_log_once_it_is_written(desk: Desk) -> None:
    await desk.handle(desk.record(stage_changed(clock_time("10:00"), lead_id=LEAD)))
    assert await desk.sweeper.seconds_to_next(clock_time("11:00")) == 0
    with capture_logs() as logs:
        await desk.tick(clock_time("11:00"))
    said = [line for line in logs if line["log_level"] == "info"]
    assert [line["event"] for line in said] == ["clock_breached", "clock_escalated"]
    assert {(line["lead_id"], line["clock"], line["version"]) for line in said} == {(str(LEAD), "first-contact", 1)}
    assert "clock_warned" in {line["event"] for line in logs if line["log_level"] == "debug"}


async def test_two_sweepers_of_one_partition_announce_a_breach_once(desk: Desk, database_url: str) -> None:
    await desk.handle(desk.record(stage_changed(clock_time("10:00"), lead_id=LEAD)))
    now = clock_time("11:00")
    former, desk.claim = desk.claim, await desk.carrier.claim(SLOT, (LIFECYCLE,))
    assert await desk.sweeper.seconds_to_next(now) == 0
    await desk.tick(now)
    assert await desk.sweeper.seconds_to_next(now) == 3600
    with pytest.raises(OwnershipLost):
        await desk.tick(now, claim=former)
    assert (await desk.announced()).count("breached") == 1
    await former.release()


async def test_without_the_fence_a_second_sweep_still_finds_nothing_left(desk: Desk, database_url: str) -> None:
    await desk.handle(desk.record(stage_changed(clock_time("10:00"), lead_id=LEAD)))
    now = clock_time("11:00")
    await desk.sweeper.seconds_to_next(now)
    await desk.tick(now)
    async with desk.pool.acquire() as connection:
        assert await store.due(connection, 0, now, 10) == []


async def test_the_stored_clocks_are_the_fold_of_the_history(desk: Desk) -> None:
    await desk.handle(
        desk.record(stage_changed(clock_time("10:00"), lead_id=LEAD, grade="A")),
        desk.record(lead_assigned(clock_time("10:00"), owner="ada@sales.example", lead_id=LEAD)),
    )
    for now in ("10:50", "11:00"):
        assert await desk.sweeper.seconds_to_next(clock_time(now)) == 0
        await desk.tick(clock_time(now))
    await desk.handle(desk.record(sales_recorded(clock_time("11:30"), lead_id=LEAD)))
    await desk.handle(
        desk.record(stage_changed(clock_time("12:00"), lead_id=LEAD, to="recycled", action="rejected", entry=2))
    )
    async with desk.pool.acquire() as connection:
        stored = (await store.load(connection, [LEAD]))[LEAD]
        inputs = await store.history(connection, LEAD)
        accords = await AccordBook().refresh(connection)
        numbers = await connection.fetch("SELECT number FROM sla.history WHERE lead_id = $1 ORDER BY number", LEAD)
        events = await connection.fetchval("SELECT count(*) FROM sla.published_clock_events WHERE lead_id = $1", LEAD)
    *_, (folded, _, _) = fold(inputs, accords)
    assert folded is not None
    unsettled = tuple(clock for clock in folded.clocks if clock.state in UNSETTLED)
    assert folded._replace(clocks=unsettled) == stored
    assert [row["number"] for row in numbers] == list(range(1, len(inputs) + 1))
    assert len(inputs) == 6
    assert events == len(await desk.announced())


async def test_events_that_were_applied_before_are_named_and_change_nothing(desk: Desk) -> None:
    first = desk.record(stage_changed(clock_time("10:00"), lead_id=LEAD))
    await desk.handle(first)
    second = desk.record(sales_recorded(clock_time("10:10"), lead_id=LEAD))
    with pytest.raises(AlreadyApplied) as raised:
        await desk.handle(first, second, second)
    assert raised.value.event_ids == {first.event.id}
    assert await desk.announced() == ["started"]
    await desk.handle(second, second)
    assert await desk.announced() == ["started", "met"]


async def test_waiting_costs_no_query_and_an_earlier_clock_shortens_it(desk: Desk) -> None:
    assert await desk.sweeper.seconds_to_next(clock_time("9:00")) is None
    await desk.handle(desk.record(stage_changed(clock_time("10:00"), lead_id=LEAD)))
    await desk.pool.execute("DROP INDEX sla.ix_clocks_partition_next_due_at")
    await desk.pool.execute("ALTER TABLE sla.clocks RENAME TO clocks_away")
    assert await desk.sweeper.seconds_to_next(clock_time("10:00")) == 45 * 60
    assert await desk.sweeper.seconds_to_next(clock_time("10:44")) == 60


async def test_a_clock_that_was_met_is_not_swept(desk: Desk) -> None:
    await desk.handle(desk.record(stage_changed(clock_time("10:00"), lead_id=LEAD)))
    await desk.handle(desk.record(sales_recorded(clock_time("10:10"), lead_id=LEAD)))
    assert await desk.sweeper.seconds_to_next(clock_time("11:00")) is None


async def test_an_announcement_waits_until_the_line_was_read_to_the_end_seen_at_the_deadline(desk: Desk) -> None:
    await desk.handle(desk.record(stage_changed(clock_time("10:00"), lead_id=LEAD)))
    await move_end(desk.pool, SALES, 5)
    now = clock_time("10:45")
    assert await desk.sweeper.seconds_to_next(now) == 0.02
    await move_end(desk.pool, SALES, 9)  # what comes after the deadline was seen is not waited for
    await move_position(desk.pool, "stages", SALES, 5)
    await move_end(desk.pool, LIFECYCLE, 3)
    assert await desk.sweeper.seconds_to_next(now + timedelta(milliseconds=10)) == pytest.approx(0.01)
    assert await desk.sweeper.seconds_to_next(now + timedelta(milliseconds=20)) == 0.02
    await move_position(desk.pool, SERVICE, LIFECYCLE, 3)
    assert await desk.sweeper.seconds_to_next(now + timedelta(milliseconds=40)) == 0
    assert desk.metrics.gate_waits._value.get() == 1


async def test_while_one_wait_is_for_this_service_alone_the_next_begins(desk: Desk) -> None:
    """So that what is due a moment later is announced a moment later, and not a whole wait."""
    await desk.handle(desk.record(stage_changed(clock_time("10:00"), lead_id=LEAD)))
    later = stage_changed(clock_time("10:00") + timedelta(milliseconds=30), lead_id=lead_in(0, 1))
    await desk.handle(desk.record(later))
    now = clock_time("10:45")
    await move_end(desk.pool, SALES, 5)
    assert await desk.sweeper.seconds_to_next(now) == 0.02
    await move_position(desk.pool, "stages", SALES, 5)
    await move_end(desk.pool, LIFECYCLE, 3)
    await move_end(desk.pool, SALES, 9)
    assert await desk.sweeper.seconds_to_next(now + timedelta(milliseconds=40)) == 0.02
    await move_position(desk.pool, SERVICE, LIFECYCLE, 3)
    await desk.claim.reload()
    assert await desk.sweep(now + timedelta(milliseconds=60))
    assert await desk.announced() == ["started", "started", "warned"]
    await move_end(desk.pool, SALES, 12)  # after the second wait began, at 40 ms
    assert await desk.sweeper.seconds_to_next(now + timedelta(milliseconds=80)) == 0.02
    await move_position(desk.pool, "stages", SALES, 9)
    await move_end(desk.pool, LIFECYCLE, 4)
    assert not await desk.sweep(now + timedelta(milliseconds=100))
    await move_position(desk.pool, SERVICE, LIFECYCLE, 4)
    await desk.claim.reload()
    assert await desk.sweep(now + timedelta(milliseconds=120))
    assert await desk.announced() == ["started", "started", "warned", "warned"]
    assert desk.metrics.gate_waits._value.get() == 1


async def test_a_wait_that_nobody_waits_for_any_more_is_forgotten(desk: Desk) -> None:
    await desk.handle(desk.record(stage_changed(clock_time("10:00"), lead_id=LEAD)))
    now = clock_time("10:45")
    await move_end(desk.pool, SALES, 5)
    assert await desk.sweeper.seconds_to_next(now) == 0.02
    await desk.handle(desk.record(sales_recorded(clock_time("10:44"), lead_id=LEAD)))  # met
    assert await desk.sweeper.seconds_to_next(now + timedelta(milliseconds=20)) is None
    await desk.handle(desk.record(stage_changed(clock_time("12:00"), lead_id=lead_in(0, 1))))
    await desk.read_by_stages()
    assert await desk.sweeper.seconds_to_next(clock_time("12:45")) == 0
    assert desk.metrics.gate_waits._value.get() == 1


async def test_after_its_patience_a_lagging_line_is_announced_past_and_marked(
    pool: asyncpg.Pool, database_url: str
) -> None:
    desk = await open_desk(pool, database_url, announce_patience_seconds=30)
    await desk.handle(desk.record(stage_changed(clock_time("10:00"), lead_id=LEAD)))
    await move_end(pool, SALES, 5)
    deadline = clock_time("11:00")
    for seconds, expected in ((0, 0.02), (29, 0.02), (30, 0)):
        assert await desk.sweeper.seconds_to_next(deadline + timedelta(seconds=seconds)) == expected
    await desk.tick(deadline + timedelta(seconds=30))
    assert await desk.announced() == ["started", "warned", "breached", "escalated"]
    is_lagging, lateness = await pool.fetchrow("SELECT is_lagging, lateness_seconds FROM sla.published_clocks")
    assert (is_lagging, lateness) == (True, 30)
    # The line still lags: the next level waits for its own patience.
    level_two = clock_time("12:00")
    assert await desk.sweeper.seconds_to_next(level_two + timedelta(seconds=29)) == 0.02
    assert await desk.sweeper.seconds_to_next(level_two + timedelta(seconds=30)) == 0
    await desk.claim.release()


async def test_a_sweep_is_bounded_and_goes_in_the_order_of_deadlines(pool: asyncpg.Pool, database_url: str) -> None:
    desk = await open_desk(pool, database_url, sweep_clocks_max=2)
    leads: list[UUID] = [lead_in(0, number) for number in range(3)]
    for minute, lead in enumerate(leads):
        await desk.handle(desk.record(stage_changed(clock_time(f"10:0{minute}"), lead_id=lead)))
    now = clock_time("10:50")
    seen = []
    for _ in range(2):
        assert await desk.sweeper.seconds_to_next(now) == 0
        await desk.tick(now)
        seen.append(await pool.fetchval("SELECT count(*) FROM sla.clocks WHERE state = 'warned'"))
    assert seen == [2, 3]
    assert desk.metrics.sweep_limit_reached._value.get() == 1
    await desk.claim.release()
