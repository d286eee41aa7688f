"""Rescoring while processes end, stand still, or are under load: every lead is rescored once, by its owner."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from builders import eventually, lead_in
from line_builders import activity, after
from patience import within
from scoring_house import DEARER, SECOND_AT, SURVEY, ScoringHouse, at_work, document, scoring_house, surveys, work_off

from services.scoring import sweeper
from services.scoring.handler import live
from services.scoring.sweeper import Turns
from shared.errors import OwnershipLost
from shared.stream.carrier import Slot, Transaction

FIRST, SECOND = document(SURVEY), document(DEARER)


@pytest.fixture
async def house(pool: asyncpg.Pool, database_url: str) -> AsyncIterator[ScoringHouse]:
    async with scoring_house(pool, database_url, FIRST) as made:
        yield made


@pytest.fixture
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "INPUTS_MAX", 20)
    monkeypatch.setattr(sweeper, "INPUTS_MAX", 20)
    monkeypatch.setattr(sweeper, "STEP_INPUTS_MAX", 20)


@pytest.mark.usefixtures("short_steps")
async def test_a_rescore_goes_on_where_it_was_when_its_process_ended(house: ScoringHouse) -> None:
    leads = [lead_in(0, n) for n in range(30)]
    await house.post(*(item for lead_id in leads for item in surveys(1, 2, 3, lead_id=lead_id)))
    await work_off(house)
    await house.sign(2, SECOND, SECOND_AT)
    partition = house.partition()
    task = asyncio.create_task(partition.runner.run())
    await eventually(lambda: some_done(house))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await house.assert_clean()
    await work_off(house, [2])
    assert sorted(event.key for event, _ in await house.told() if event.accord == 2) == sorted(leads)
    await house.assert_clean()


async def some_done(house: ScoringHouse) -> bool:
    progress = await house.progress()
    return progress is not None and progress["done"] > 0


async def test_an_owner_that_was_paused_in_mid_rescore_does_not_commit_it(house: ScoringHouse) -> None:
    await house.post(*surveys(1, 2))
    await work_off(house)
    await house.sign(2, SECOND, SECOND_AT)
    slot, now = Slot("scoring", "partition", 0), after(days=11)
    paused = house.partition()
    house.turns = Turns()  # those of another process
    successor = house.partition()
    claim = await house.carrier.claim(slot, ())
    assert await paused.rescorer.seconds_to_next(now) == 0
    with pytest.raises(OwnershipLost):
        # The transaction of one that stands still is ended by Postgres, and its next statement is a new one.
        async with claim.step(claim.positions, claim.breaker, at_once=True) as transaction:
            await transaction.put(await paused.rescorer.tick(_Reading(transaction), now))
            taken = await house.carrier.claim(slot, ())
            assert await successor.rescorer.seconds_to_next(now) == 0
            async with taken.step(taken.positions, taken.breaker) as own:
                await own.put(await successor.rescorer.tick(own, now))
    assert [event.accord for event, _ in await house.told()] == [1, 1, 2]
    await claim.release()
    await taken.release()
    await house.assert_clean()


class _Reading:
    """A step that isn't open, for a sweeper that reads through its connection."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self.connection = transaction.reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transaction, name)


async def test_a_version_that_comes_into_effect_under_load_decides_every_event_that_it_must(
    house: ScoringHouse,
) -> None:
    leads = [lead_in(n % 4, n // 4) for n in range(40)]
    now = house.clock.now()
    await house.post(
        *(activity("survey.completed", now - timedelta(days=1, minutes=n), lead_id=leads[n % 40]) for n in range(200))
    )
    async with at_work(*(house.partition(number).runner for number in range(4))):
        await eventually(house.has_read_all, within=20)
        effective_at = now + timedelta(seconds=2)
        await house.sign(2, SECOND, effective_at)
        async with within(60):
            n = 0
            while house.clock.now() < effective_at + timedelta(seconds=1) or not await came_late(house):
                at = house.clock.now()
                # One in five was received some time ago, under the first version, and is only read now.
                received_at = min(at, effective_at) - timedelta(seconds=1.5) if n % 5 == 0 else at
                await house.post(activity("survey.completed", received_at, lead_id=leads[n % 40], n=n))
                n += 1
        await eventually(house.has_read_all, within=20)
        await eventually(house.is_finished, within=20)
    accords, carried = await house.versions(), dict[UUID, int]()
    for event, _ in await house.told():
        expected = max(accords.at(event.received_at).version, carried.get(event.key, 1))
        assert event.accord == expected
        carried[event.key] = expected
    await house.assert_clean()


async def came_late(house: ScoringHouse) -> int:
    """How many events of the first version came after their leads' rescore."""
    late = await house.pool.fetchval(
        """SELECT count(*) FROM scoring.ledger JOIN scoring.history h USING (lead_id, event_id)
        JOIN scoring.history r ON r.lead_id = h.lead_id AND r.kind = 'rescore' AND r.number < h.number
        WHERE ledger.accord = 1"""
    )
    return int(late)
