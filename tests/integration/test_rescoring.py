"""A version comes into effect: every lead is rescored once, whatever runs, ends, stops or comes late meanwhile."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from builders import eventually, lead_in
from line_builders import after, profile
from scoring_house import (
    ADA,
    DEARER,
    SECOND_AT,
    SURVEY,
    ScoringHouse,
    at_work,
    document,
    scoring_house,
    surveys,
    work_off,
)

from services.scoring import sweeper
from services.scoring.handler import live
from services.scoring.model import rescore_id
from shared.events.envelope import Outgoing, derived_id
from shared.events.score import ScoreChanged
from shared.stream.carrier import Transaction

FIRST, SECOND = document(SURVEY), document(DEARER, fit=[{"id": "ceo", "where": {"title": "CEO"}, "points": 50}])


@pytest.fixture
async def house(pool: asyncpg.Pool, database_url: str) -> AsyncIterator[ScoringHouse]:
    async with scoring_house(pool, database_url, FIRST) as made:
        yield made


async def lead_row(house: ScoringHouse, lead_id: UUID = ADA) -> Any:
    return await house.pool.fetchrow("SELECT * FROM scoring.published_leads WHERE lead_id = $1", lead_id)


async def test_every_lead_is_rescored_once_and_its_grants_are_kept_beside_the_old_ones(house: ScoringHouse) -> None:
    leads = [lead_in(n % 4, n // 4) for n in range(60)]
    await house.post(*(item for n, lead_id in enumerate(leads) for item in surveys(*range(n % 4), lead_id=lead_id)))
    await house.post(*(profile(after(days=1), lead_id=lead_id, title="CEO") for lead_id in leads))
    await work_off(house)
    await house.sign(2, SECOND, SECOND_AT)
    await work_off(house, [2])
    progress = await house.progress()
    assert progress is not None
    counted = {name: progress[name] for name in ("leads", "done", "left", "changed", "newly_qualifying")}
    # Three surveys were worth 30 points and are worth 60 now.
    assert counted == {"leads": 60, "done": 60, "left": 0, "changed": 60, "newly_qualifying": 15}
    rescored = {event.key: (event, score) for event, score in await house.told() if event.accord == 2}
    assert rescored.keys() == set(leads)
    for lead_id, (event, score) in rescored.items():
        assert event.cause == rescore_id(2, lead_id)
        assert event.id == derived_id(rescore_id(2, lead_id), ScoreChanged.TYPE)
        assert (event.received_at, score.as_of, score.activity, score.grants) == (SECOND_AT, SECOND_AT, None, ())
        assert (score.fit, score.grade, score.changed) == (50, "A", True)
    lead_id = leads[3]
    ids = [item.id for item in surveys(0, 1, 2, lead_id=lead_id)]
    points = [(1, ids[0], 15), (1, ids[1], 15), (1, ids[2], 0), *((2, id, 20) for id in ids)]
    assert await house.ledger(lead_id) == sorted((accord, id, "survey", got) for accord, id, got in points)
    await house.assert_clean()


async def test_a_lead_whose_next_event_comes_first_is_rescored_in_front_of_it(house: ScoringHouse) -> None:
    await house.post(*surveys(1, 2))
    await work_off(house)
    await house.sign(2, SECOND, SECOND_AT)
    await house.post(*surveys(11))
    partition = house.partition(0, ticker=Never())
    async with at_work(partition.runner):
        await eventually(lambda: lead_has(house, accord=2, version=4))
    told = [(event.accord, event.received_at, score.version) for event, score in await house.told()]
    assert told[2:] == [(2, SECOND_AT, 3), (2, after(days=11), 4)]
    progress = await house.progress()
    assert progress is not None
    assert (progress["leads"], progress["done"], progress["left"], progress["state"]) == (1, 1, 0, "running")
    await work_off(house, [2])
    assert len(await house.told()) == 4
    await house.assert_clean()


async def lead_has(house: ScoringHouse, lead_id: UUID = ADA, **expected: Any) -> bool:
    row = await lead_row(house, lead_id)
    return row is not None and all(row[name] == value for name, value in expected.items())


class Never:
    """A ticker that is never due: what a sweeper does is left undone."""

    async def seconds_to_next(self, now: datetime) -> float | None:
        return None

    async def tick(self, transaction: Transaction, now: datetime) -> Sequence[Outgoing]:
        raise NotImplementedError


async def test_an_event_that_comes_after_its_leads_rescore_is_granted_under_each_version_since_its_own(
    house: ScoringHouse,
) -> None:
    await house.post(*surveys(1))
    await work_off(house)
    await house.sign(2, SECOND, SECOND_AT)
    await house.sign(3, document(SURVEY), after(days=20))
    await work_off(house, [2, 3])
    late, later = surveys(2, received_at=after(days=3)) + surveys(2, received_at=after(days=12))
    await house.post(late, later)
    await work_off(house)
    [first] = surveys(1)
    assert await house.ledger(ADA) == sorted(
        [
            *((1, id, "survey", 15) for id in (first.id, late.id)),
            *((2, id, "survey", 20) for id in (first.id, late.id, later.id)),
            *((3, id, "survey", 15) for id in (first.id, late.id)),
            (3, later.id, "survey", 0),
        ]
    )
    assert [(event.accord, score.as_of) for event, score in await house.told()][-2:] == [(3, after(days=20))] * 2
    await house.assert_clean()


async def test_a_lead_that_is_new_with_a_late_event_is_rescored_although_all_others_were(house: ScoringHouse) -> None:
    await house.post(*surveys(1))
    await work_off(house)
    await house.sign(2, SECOND, SECOND_AT)
    async with at_work(*(house.partition(number).runner for number in range(4))):
        await eventually(house.is_finished)
        newcomer = lead_in(0, 7)
        await house.post(*surveys(3, lead_id=newcomer))
        await eventually(lambda: lead_has(house, newcomer, accord=2))
        await eventually(house.is_finished)
    progress = await house.progress()
    assert progress is not None
    assert (progress["leads"], progress["done"], progress["left"]) == (2, 2, 0)
    await house.assert_clean()


async def test_versions_that_came_into_effect_meanwhile_are_taken_each_in_turn(house: ScoringHouse) -> None:
    await house.post(*surveys(1, 2))
    await work_off(house)
    for version, points in ((2, 20), (3, 25), (4, 30)):
        await house.sign(version, document({**SURVEY, "points": points}), after(days=version * 10))
    await work_off(house, [2, 3, 4])
    assert [event.accord for event, _ in await house.told()] == [1, 1, 2, 3, 4]
    assert (await lead_row(house))["version"] == 5
    await house.assert_clean()


async def test_a_version_that_is_not_in_effect_yet_rescores_nobody(house: ScoringHouse) -> None:
    await house.post(*surveys(1))
    await work_off(house)
    await house.sign(2, SECOND, house.clock.now() + timedelta(days=1))
    partition = house.partition()
    async with at_work(partition.runner):
        await house.post(*surveys(2))
        await eventually(house.has_read_all)
    assert {event.accord for event, _ in await house.told()} == {1}
    assert await house.progress() is None


async def test_a_history_longer_than_a_step_may_read_is_rescored_in_portions_and_its_events_wait_for_it(
    house: ScoringHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "INPUTS_MAX", 20)
    monkeypatch.setattr(sweeper, "INPUTS_MAX", 20)
    monkeypatch.setattr(sweeper, "STEP_INPUTS_MAX", 20)
    # Late ones too: what a portion has forgotten is looked up.
    days = [n / 2 for n in range(15)] + [1.1, 2.2, 0.3] + [n / 2 + 8 for n in range(3)]
    items = [item for n, day in enumerate(days) for item in surveys(day, received_at=after(days=n / 2.5), n=n)]
    items += [profile(after(days=9), lead_id=ADA, title=title) for title in ("CTO", "CEO")]
    items += surveys(*(9 + n / 40 for n in range(25)), n=99)
    await house.post(*items)
    await work_off(house)
    await house.sign(2, SECOND, SECOND_AT)
    other = lead_in(0, 1)
    await house.post(*surveys(11), *surveys(12, lead_id=other))
    first = house.partition(0, ticker=OneTick(house))
    async with at_work(first.runner):
        await eventually(lambda: has_partial(house))
    await house.assert_clean()
    await work_off(house, [2])
    row = await lead_row(house)
    assert (row["accord"], row["version"]) == (2, len(items) + 2)
    assert await lead_has(house, other, accord=2)
    assert house.registry.get_sample_value("accord_scoring_rescore_portions_total") == 3
    assert not await has_partial(house)
    await house.assert_clean()


async def has_partial(house: ScoringHouse) -> bool:
    found: bool = await house.pool.fetchval("SELECT EXISTS (SELECT FROM scoring.rescoring)")
    return found


class OneTick:
    """The sweeper of partition 0, for one step."""

    def __init__(self, house: ScoringHouse) -> None:
        self._rescorer = house.partition().rescorer
        self._left = 1

    async def seconds_to_next(self, now: datetime) -> float | None:
        due_in = await self._rescorer.seconds_to_next(now)
        return due_in if self._left else None

    async def tick(self, transaction: Transaction, now: datetime) -> Sequence[Outgoing]:
        self._left -= 1
        return await self._rescorer.tick(transaction, now)
