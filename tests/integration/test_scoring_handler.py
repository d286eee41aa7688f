"""Scoring on a real Postgres: what is stored is the fold of the history, whatever the batches were."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
from line_builders import (
    ADA,
    OpenTransaction,
    SignedOnce,
    accords_of,
    activity,
    after,
    example_accord,
    lead,
    open_step,
    profile,
    record_of,
)
from prometheus_client import CollectorRegistry

from services.scoring.handler import Desk, ScoringHandler
from services.scoring.metrics import Metrics
from services.scoring.model import Input, State, fold
from services.scoring.store import PostgresStore, RescoreStore, history_of
from shared.errors import AlreadyApplied, Poison
from shared.events.activity import Activity, ProfileUpdated
from shared.events.codec import decode
from shared.events.envelope import Outgoing, derived_id
from shared.events.score import ScoreChanged

ACCORD = example_accord()
TYPES = ("page.viewed", "whitepaper.downloaded", "survey.completed", "cta.completed", "email.unsubscribed")


class Scoring:
    """The handler with a registry of its own, and a step around each call."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.registry = CollectorRegistry()
        self._pool = pool
        self._handler = ScoringHandler(
            SignedOnce(ACCORD), PostgresStore(), RescoreStore(), metrics=Metrics(self.registry), desk=Desk(0)
        )

    async def step(self, *items: Input) -> Sequence[Outgoing]:
        records = [record_of(item, offset) for offset, item in enumerate(items)]
        async with open_step(self._pool) as transaction:
            return await self._handler.handle(transaction, records)

    def counted(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def scoring(pool: asyncpg.Pool) -> Scoring:
    return Scoring(pool)


async def stored_state(pool: asyncpg.Pool, lead_id: Any = ADA) -> State:
    async with pool.acquire() as connection:
        return (await PostgresStore().states(connection, [lead_id]))[lead_id]


async def folded_state(pool: asyncpg.Pool, lead_id: Any = ADA) -> State:
    async with pool.acquire() as connection:
        lines = await history_of(connection, lead_id)
    kinds: dict[str, type[Input]] = {"activity": Activity, "profile": ProfileUpdated}
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    history = [
        (line.event_id, msgspec.json.decode(line.body, type=kinds[line.kind]), line.received_at) for line in lines
    ]
    return list(fold(history, accords_of(ACCORD)))[-1].state


def scores(outgoing: Sequence[Outgoing]) -> list[ScoreChanged]:
    return [score for _, event in outgoing if isinstance(score := decode(event), ScoreChanged)]


async def test_every_input_of_a_batch_is_answered_by_one_score_of_its_lead(scoring: Scoring) -> None:
    items: list[Input] = [profile(after(), title="CEO")]
    items += [activity("demo.requested", after()), activity("email.opened", after())]
    outgoing = await scoring.step(*items)
    assert [score.version for score in scores(outgoing)] == [1, 2, 3]
    assert [event.cause for _, event in outgoing] == [item.id for item in items]
    assert [event.id for _, event in outgoing] == [derived_id(item.id, "accord.score.changed") for item in items]
    assert {event.accord for _, event in outgoing} == {1}
    assert scores(outgoing)[1].engagement == 60


async def test_what_is_stored_is_the_fold_of_the_history_however_late_events_come(
    scoring: Scoring, pool: asyncpg.Pool
) -> None:
    dice = random.Random(7)
    for step in range(25):
        items: list[Input] = []
        for n in range(dice.randrange(1, 12)):
            lead_id, received_at = lead(dice.randrange(3)), after(hours=20 * step, seconds=n)
            at = received_at - timedelta(hours=dice.choice([0, 0, 0, 1, 30, 200, 1500]))
            if dice.random() < 0.2:
                items.append(
                    profile(at, lead_id=lead_id, received_at=received_at, title=dice.choice(["CEO", "Intern"]))
                )
            else:
                items.append(activity(dice.choice(TYPES), at, lead_id=lead_id, received_at=received_at, n=n))
        await scoring.step(*items)
    for n in range(3):
        assert await stored_state(pool, lead(n)) == await folded_state(pool, lead(n))
    assert (scoring.counted("accord_scoring_late_leads_total") or 0) > 10


async def test_one_batch_and_many_give_the_same_state(pool: asyncpg.Pool) -> None:
    items = [activity(TYPES[n % 5], after(hours=n - 100 * (n % 3)), received_at=after(hours=n)) for n in range(60)]
    await Scoring(pool).step(*items)
    together = await stored_state(pool)
    await pool.execute("TRUNCATE scoring.leads, scoring.history, scoring.grants")
    one_by_one = Scoring(pool)
    for item in items:
        await one_by_one.step(item)
    assert await stored_state(pool) == together


async def test_a_duplicate_in_a_batch_is_dropped(scoring: Scoring, pool: asyncpg.Pool) -> None:
    demo = activity("demo.requested", after())
    assert len(await scoring.step(demo, demo)) == 1
    assert (await stored_state(pool)).engagement == 60


async def test_events_that_were_applied_before_are_named_and_nothing_is_saved(
    scoring: Scoring, pool: asyncpg.Pool
) -> None:
    first, second = activity("demo.requested", after()), activity("page.viewed", after(hours=1))
    await scoring.step(first)
    before = await stored_state(pool)
    with pytest.raises(AlreadyApplied) as refused:
        await scoring.step(second, first)
    assert refused.value.event_ids == {first.id}
    assert await stored_state(pool) == before
    assert await pool.fetchval("SELECT count(*) FROM scoring.ledger") == 1


async def test_the_ledger_says_what_was_granted_and_what_was_withheld(scoring: Scoring, pool: asyncpg.Pool) -> None:
    await scoring.step(*(activity("survey.completed", after(days=n)) for n in range(3)))
    rows = await pool.fetch("SELECT * FROM scoring.published_grants ORDER BY occurred_at")
    assert [(row["points"], row["withheld"], row["why"]) for row in rows] == [
        (15, 0, None),
        (15, 0, None),
        (0, 15, "limit reached"),
    ]
    assert {(row["rule"], row["type"], row["accord"]) for row in rows} == {("survey", "survey.completed", 1)}
    assert scoring.counted("accord_scoring_grants_total", outcome="limited") == 1
    assert scoring.counted("accord_scoring_inputs_total", kind="activity") == 3


async def test_the_api_reads_the_lead_its_history_and_its_totals(scoring: Scoring, pool: asyncpg.Pool) -> None:
    await scoring.step(profile(after(), title="CEO"), activity("demo.requested", after(hours=1), campaign="expo"))
    row = await pool.fetchrow("SELECT *, rule_totals #>> '{demo,1}' AS demo_at FROM scoring.published_leads")
    assert (row["email"], row["engagement"], row["fit"], row["grade"]) == ("ada@maker.example", 60.0, 30, "B")
    assert (row["version"], row["accord"], row["campaign"], row["first_team"]) == (2, 1, "expo", "marketing")
    assert row["as_of"] == row["updated_at"] == after(hours=1)
    assert row["demo_at"].startswith("2026-11-23T16:00:00")
    history = await pool.fetch("SELECT *, body ->> 'id' AS id FROM scoring.published_history ORDER BY number")
    assert [(row["kind"], row["type"]) for row in history] == [
        ("profile", "profile.updated"),
        ("activity", "demo.requested"),
    ]
    assert all(str(row["event_id"]) == row["id"] for row in history)
    assert history[1]["occurred_at"] == after(hours=1)


async def test_an_event_that_does_not_fit_its_type_is_poison_and_an_unknown_type_is_left_alone(
    scoring: Scoring, pool: asyncpg.Pool
) -> None:
    broken = record_of(activity("demo.requested", after()))
    handler, step = scoring._handler, OpenTransaction
    async with pool.acquire() as connection:
        with pytest.raises(Poison):
            await handler.handle(step(connection), [broken._replace(event=broken.event._replace(value=b"{}"))])
        unknown = broken._replace(event=broken.event._replace(type="accord.lead.petrified"))
        assert await handler.handle(step(connection), [unknown]) == ()
