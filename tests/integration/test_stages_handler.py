"""Stages on a real Postgres: the fold of both histories, shared turns and sticky owners, what was applied before."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
from line_builders import (
    ADA,
    SignedOnce,
    accords_of,
    activity,
    after,
    example_accord,
    lead,
    open_step,
    profile,
    record_of,
    sales_action,
)
from prometheus_client import CollectorRegistry

from services.scoring.handler import ScoringHandler
from services.scoring.metrics import Metrics as ScoringMetrics
from services.scoring.model import Input as ScoringInput
from services.scoring.model import fold as fold_scores
from services.scoring.store import PostgresStore as ScoringStore
from services.scoring.store import history_of as scoring_history_of
from services.stages.handler import StagesHandler
from services.stages.metrics import Metrics
from services.stages.model import HistoryRow, Score, State, fold
from services.stages.store import PostgresStore, history_of
from shared.clock import ManualClock
from shared.errors import AlreadyApplied, Poison
from shared.events.activity import Activity, ProfileUpdated
from shared.events.codec import encode
from shared.events.envelope import Event, Outgoing, derived_id
from shared.events.sales import SalesAction
from shared.events.score import ScoreChanged

ACCORD = example_accord()
_SCORE = msgspec.json.Decoder(Score)


class Line:
    """Scoring and stages, one after the other, each in a step of its own."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.registry = CollectorRegistry()
        self._pool = pool
        signed, clock = SignedOnce(ACCORD), ManualClock(after(seconds=2))
        self.scoring = ScoringHandler(signed, ScoringStore(), ScoringMetrics(CollectorRegistry()))
        self.stages = StagesHandler(signed, PostgresStore(), metrics=Metrics(self.registry), clock=clock)

    async def score(self, *items: ScoringInput) -> list[Event]:
        async with open_step(self._pool) as transaction:
            told = await self.scoring.handle(transaction, [record_of(item) for item in items])
        return [event for _, event in told]

    async def step(self, *events: Event | SalesAction) -> Sequence[Outgoing]:
        async with open_step(self._pool) as transaction:
            return await self.stages.handle(transaction, [record_of(event) for event in events])

    async def qualify(self, name: object, email: str, employees: int = 5000) -> Event:
        """A score that qualifies a lead."""
        who: dict[str, Any] = {"lead_id": lead(name)}
        known = profile(after(), title="CEO", employees=employees, **who)
        known = msgspec.structs.replace(known, identifiers={"email": email})
        demo = activity("demo.requested", after(seconds=1), identifiers={"email": email}, **who)
        return (await self.score(known, demo))[-1]


@pytest.fixture
def line(pool: asyncpg.Pool) -> Line:
    return Line(pool)


async def owners_of(pool: asyncpg.Pool) -> dict[UUID, str | None]:
    return {row["lead_id"]: row["owner"] for row in await pool.fetch("SELECT * FROM stages.published_leads")}


async def refolded(pool: asyncpg.Pool, lead_id: UUID) -> State:
    """The state that the two histories give: scoring's reproduces the scores, the stamps do for routing."""
    async with pool.acquire() as connection:
        inputs = await scoring_history_of(connection, lead_id)
        lines = await history_of(connection, lead_id)
    kinds: dict[str, type[Activity | ProfileUpdated]] = {"activity": Activity, "profile": ProfileUpdated}
    decisions = fold_scores(
        [(msgspec.json.decode(line.body, type=kinds[line.kind]), line.received_at) for line in inputs],
        accords_of(ACCORD),
    )
    scores = {
        derived_id(line.event_id, ScoreChanged.TYPE): _SCORE.decode(encode(decision.score))
        for line, decision in zip(inputs, decisions, strict=True)
    }
    rows = [
        HistoryRow(
            msgspec.json.decode(line.body, type=SalesAction) if line.body else scores[line.event_id],
            line.received_at,
            line.stamp,
        )
        for line in lines
    ]
    return list(fold(lead_id, rows, accords_of(ACCORD)))[-1].state


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


async def test_the_api_reads_where_a_lead_stands(line: Line, pool: asyncpg.Pool) -> None:
    await line.step(await line.qualify("ada", "ada@maker.example"))
    row = await pool.fetchrow("SELECT * FROM stages.published_leads WHERE lead_id = $1", ADA)
    assert (row["stage"], row["entry"], row["version"], row["team"]) == ("mql", 1, 1, "enterprise")
    assert (row["email"], row["engagement"], row["grade"]) == ("ada@maker.example", 60.0, "A")
    assert row["entered_at"] == row["updated_at"] == after(seconds=1)
    assert await pool.fetchval("SELECT count(*) FROM stages.published_history") == 1
