"""Scoring on a real log in Postgres: activities are posted, versions signed, partitions run, and all is audited."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from builders import eventually, lead_in
from line_builders import activity, after, record_of
from patience import within
from prometheus_client import CollectorRegistry

from services.api.main import bootstrap_accord
from services.audit.report import first
from services.audit.run import audit
from services.scoring.handler import Desk, ScoringHandler
from services.scoring.metrics import Metrics
from services.scoring.model import Input
from services.scoring.store import PostgresStore, RescoreStore
from services.scoring.sweeper import Rescorer, Turns, Versions
from shared.agreement.versions import Accords
from shared.clock import SystemClock
from shared.db.accord_book import AccordBook
from shared.events.codec import decode
from shared.events.envelope import Event, Outgoing
from shared.events.score import ScoreChanged
from shared.events.topics import ACTIVITY, READERS, SCORE, TOPICS
from shared.stream.carrier import Slot
from shared.stream.handler import Ticker
from shared.stream.handover import Handover
from shared.stream.log import PostgresCarrier
from shared.stream.metrics import Metrics as StreamMetrics
from shared.stream.runner import Runner
from shared.stream.setup import initialise, register_readers

SIGNED = """INSERT INTO api.accords (version, document, source_text, sha256, effective_at, state)
VALUES ($1, $2, '', ''::bytea, $3, 'effective')"""
SCORES = """SELECT event_id, type, key, occurred_at, received_at, value, accord, cause FROM stream.log
JOIN stream.topics USING (topic_id) WHERE name = $1 ORDER BY partition, log_offset"""

SURVEY = {"id": "survey", "activity": "survey.completed", "points": 15, "at_most": {"points": 30, "per": "90d"}}
DEARER = {**SURVEY, "points": 20, "at_most": {"points": 60, "per": "90d"}}
SECOND_AT = after(days=10)
ADA = lead_in(0)


def surveys(*days: float, lead_id: UUID = ADA, **fields: Any) -> list[Input]:
    """A completed survey so many days after the start, each."""
    return [activity("survey.completed", after(days=day), lead_id=lead_id, **fields) for day in days]


def document(*rules: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """An accord with these engagement rules; `fit` rules and the `mql` condition may be others."""
    fit = {"rules": parts.get("fit", []), "grades": {"A": 50, "B": 30, "C": 10}}
    engagement = {"half_life": "30d", "cap": parts.get("cap", 200), "rules": list(rules)}
    return {
        "accord": 1,
        "name": "House",
        "calendar": {"timezone": "UTC", "hours": {"mon": ["09:00-17:00"]}},
        "scoring": {"engagement": engagement, "fit": fit},
        "stages": {"mql": parts.get("mql", {"engagement": {"gte": 40}})},
    }


class LaterClock:
    """The machine's clock, set to another day."""

    def __init__(self, start: datetime) -> None:
        self._ahead = start - SystemClock().now()

    def now(self) -> datetime:
        return SystemClock().now() + self._ahead


@dataclass
class Partition:
    """One partition of scoring, with what it is made of."""

    runner: Runner
    handler: ScoringHandler
    rescorer: Rescorer
    desk: Desk


@dataclass
class ScoringHouse:
    """The log, the accords and the parts of scoring; nothing runs by itself."""

    pool: asyncpg.Pool
    url: str
    carrier: PostgresCarrier
    accords: AccordBook = field(default_factory=AccordBook)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.clock, self.turns = LaterClock(after(days=100)), Turns()
        self.metrics = Metrics(self.registry)
        self.stream_metrics = StreamMetrics(CollectorRegistry())

    async def sign(self, version: int, text: dict[str, Any], effective_at: datetime) -> None:
        """As if both sides had signed it in time."""
        await self.pool.execute(SIGNED, version, json.dumps(text), effective_at)

    async def post(self, *items: Input) -> None:
        """Puts them on the log in one commit."""
        lane = await self.carrier.claim_lane("ingest")
        async with lane.step(lane.positions, lane.breaker) as transaction:
            await transaction.emit([Outgoing(ACTIVITY, record_of(item).event) for item in items])
        await lane.release()

    def partition(self, number: int = 0, ticker: Ticker | None = None) -> Partition:
        store, progress, desk = PostgresStore(), RescoreStore(), Desk(number)
        handler = ScoringHandler(self.accords, store, progress, metrics=self.metrics, desk=desk)
        rescorer = Rescorer(
            desk=desk,
            turns=self.turns,
            clock=self.clock,
            versions=Versions(self.accords, self.pool),
            accords=self.accords,
            store=store,
            progress=progress,
            pool=self.pool,
            metrics=self.metrics,
        )
        runner = Runner(
            carrier=self.carrier,
            slot=Slot("scoring", "partition", number),
            topics=(ACTIVITY,),
            handler=handler,
            clock=self.clock,
            metrics=self.stream_metrics,
            release="1",
            ticker=ticker or rescorer,
            at_once=True,
        )
        return Partition(runner, handler, rescorer, desk)

    async def has_read_all(self) -> bool:
        for number in range(self.carrier.partitions):
            end = await self.carrier.end(ACTIVITY, number)
            if not await self.carrier.has_read("scoring", ACTIVITY, number, end):
                return False
        return True

    async def progress(self, version: int = 2) -> dict[str, Any] | None:
        row = await self.pool.fetchrow("SELECT * FROM scoring.published_rescores WHERE version = $1", version)
        return row and dict(row)

    async def is_finished(self, version: int = 2) -> bool:
        progress = await self.progress(version)
        return progress is not None and progress["state"] == "finished"

    async def told(self) -> list[tuple[Event, ScoreChanged]]:
        """Every score on the log, lead by lead in its order."""
        found = []
        for row in await self.pool.fetch(SCORES, SCORE):
            event = Event(*row)
            score = decode(event)
            assert isinstance(score, ScoreChanged)
            found.append((event, score))
        return found

    async def ledger(self, lead_id: UUID) -> list[tuple[int, UUID, str, int]]:
        rows = await self.pool.fetch(
            "SELECT accord, event_id, rule, points FROM scoring.published_grants WHERE lead_id = $1", lead_id
        )
        return sorted((row[0], row[1], row[2], row[3]) for row in rows)

    async def versions(self) -> Accords:
        async with self.pool.acquire() as connection:
            return await self.accords.refresh(connection)

    async def assert_clean(self) -> None:
        """`accord audit` finds nothing."""
        found = await audit(self.url)
        assert found.is_clean, first(found)


@asynccontextmanager
async def scoring_house(
    pool: asyncpg.Pool, url: str, first_version: dict[str, Any], partitions: int = 4
) -> AsyncIterator[ScoringHouse]:
    async with pool.acquire() as connection:
        await bootstrap_accord(connection, json.dumps(first_version))
        _, names = await initialise(connection, topics=TOPICS, partitions=partitions, default=partitions)
        await register_readers(connection, READERS, partitions)

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(url)

    yield ScoringHouse(
        pool, url, PostgresCarrier(pool=pool, connect=connect, partitions=partitions, names=names, handover=Handover())
    )


@asynccontextmanager
async def at_work(*runners: Runner) -> AsyncIterator[None]:
    """They run meanwhile, and end in order."""
    tasks = [asyncio.create_task(runner.run()) for runner in runners]
    try:
        yield
        for runner in runners:
            runner.stop()
        async with within(20):
            await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def work_off(house: ScoringHouse, versions: Iterable[int] = (), partitions: Sequence[int] | None = None) -> None:
    """Runs these partitions, or all, until everything is read and these versions have rescored every lead."""
    numbers = range(house.carrier.partitions) if partitions is None else partitions
    async with at_work(*(house.partition(number).runner for number in numbers)):
        await eventually(house.has_read_all, within=30)
        for version in versions:
            await eventually(lambda version=version: house.is_finished(version), within=30)  # type: ignore[misc]
