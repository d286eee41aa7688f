"""Scoring and stages on a real Postgres, step by step, without a log."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from line_builders import (
    START,
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
from services.scoring.metrics import Metrics as ScoringMetrics
from services.scoring.model import Input as ScoringInput
from services.scoring.model import fold as fold_scores
from services.scoring.store import PostgresStore as ScoringStore
from services.scoring.store import RescoreStore
from services.scoring.store import history_of as scoring_history_of
from services.stages.handler import StagesHandler
from services.stages.metrics import Metrics
from services.stages.model import HistoryRow, Score, State, fold
from services.stages.store import PostgresStore, history_of
from shared.clock import ManualClock
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
        metrics = ScoringMetrics(CollectorRegistry())
        self.scoring = ScoringHandler(signed, ScoringStore(), RescoreStore(), metrics=metrics, desk=Desk(0))
        self.stages = StagesHandler(signed, PostgresStore(), metrics=Metrics(self.registry), clock=clock)

    async def score(self, *items: ScoringInput) -> list[Event]:
        async with open_step(self._pool) as transaction:
            told = await self.scoring.handle(transaction, [record_of(item) for item in items])
        return [event for _, event in told]

    async def step(self, *events: Event | SalesAction) -> Sequence[Outgoing]:
        async with open_step(self._pool) as transaction:
            return await self.stages.handle(transaction, [record_of(event) for event in events])

    async def qualify(self, name: object, email: str, employees: int = 5000, at: datetime = START) -> Event:
        """A score that qualifies a lead."""
        who: dict[str, Any] = {"lead_id": lead(name)}
        known = profile(at, title="CEO", employees=employees, **who)
        known = msgspec.structs.replace(known, identifiers={"email": email})
        demo = activity("demo.requested", at + timedelta(seconds=1), identifiers={"email": email}, **who)
        return (await self.score(known, demo))[-1]


async def owners_of(pool: asyncpg.Pool) -> dict[UUID, str | None]:
    return {row["lead_id"]: row["owner"] for row in await pool.fetch("SELECT * FROM stages.published_leads")}


async def refolded(pool: asyncpg.Pool, lead_id: UUID) -> State:
    """The state that the two histories give: scoring's reproduces the scores, the stamps do for routing."""
    async with pool.acquire() as connection:
        inputs = await scoring_history_of(connection, lead_id)
        lines = await history_of(connection, lead_id)
    kinds: dict[str, type[Activity | ProfileUpdated]] = {"activity": Activity, "profile": ProfileUpdated}
    decisions = fold_scores(
        [(line.event_id, msgspec.json.decode(line.body, type=kinds[line.kind]), line.received_at) for line in inputs],
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
