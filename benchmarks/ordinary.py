"""The ordinary way: one connection, one event per SQLAlchemy ORM transaction, one after the other.

It decides by the same compiled accord and keeps what a good team would: the activity, its grants, the score, the stage,
an outbox row. Left out, in its favour: HTTP, keys, merging identities, `after`, a half-life per rule, clocks, delivery.
"""

import resource
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from benchmarks.ordinary_models import Activity, Base, Grant, Lead, OutboxEvent, Transition
from benchmarks.processes import cpu_seconds
from benchmarks.traffic import Event, Traffic
from shared.agreement.compiled import CompiledAccord, CompiledRule, compile_accord
from shared.agreement.decay import worth
from shared.agreement.loading import default_accord_text, load_accord
from shared.clock import Clock, SystemClock, new_id
from shared.events.base import LeadSnapshot

WARM_UP_EVENTS = 50


@dataclass(frozen=True)
class Ordinary:
    """One measured stretch."""

    per_second: float
    python_cpu_seconds_per_1000: float
    postgres_cpu_seconds_per_1000: float


class OrdinaryWay:
    """Applies one event per transaction."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], accord: CompiledAccord, clock: Clock) -> None:
        self._sessions = sessions
        self._accord = accord
        self._clock = clock
        self._turn = 0

    async def apply(self, event: Event) -> None:
        """Everything that follows from this event, committed; nothing when it was seen before."""
        async with self._sessions() as session, session.begin():
            event_id = uuid5(NAMESPACE_URL, f"{event['source']}/{event['id']}")
            if await session.get(Activity, event_id) is not None:
                return
            lead = await self._lead(session, event)
            activity = self._activity(event_id, lead, event)
            session.add(activity)
            points = await self._grant(session, lead, activity)
            self._score(session, lead, activity, points)
            self._qualify(session, lead, activity)

    async def _lead(self, session: AsyncSession, event: Event) -> Lead:
        email, profile = event["lead"]["email"], event.get("profile") or {}
        found = await session.scalar(select(Lead).where(Lead.email == email).with_for_update())
        lead = found or self._new_lead(email, event)
        if found is None:
            session.add(lead)
        if profile or found is None:
            lead.profile = {**lead.profile, **profile}
            fit = self._accord.fit(lead.profile, email)
            lead.fit, lead.grade = fit.points, fit.grade
        lead.source, lead.campaign = event["source"], event["campaign"]
        return lead

    def _new_lead(self, email: str, event: Event) -> Lead:
        return Lead(
            id=new_id(),
            email=email,
            profile={},
            source=event["source"],
            first_source=event["source"],
            campaign=event["campaign"],
            engagement=0.0,
            as_of=self._clock.now(),
            fit=0,
            grade="D",
            stage="lead",
            owner=None,
            version=0,
        )

    def _activity(self, event_id: UUID, lead: Lead, event: Event) -> Activity:
        received_at = self._clock.now()
        return Activity(
            id=event_id,
            lead=lead,
            type=event["type"],
            occurred_at=min(datetime.fromisoformat(event["occurred_at"]), received_at),
            received_at=received_at,
            source=event["source"],
            campaign=event["campaign"],
            data=event["data"],
        )

    async def _grant(self, session: AsyncSession, lead: Lead, activity: Activity) -> int:
        total = 0
        for rule in self._accord.rules_for(activity.type):
            if rule.after is not None or not rule.matches(activity.data):
                continue
            points = await self._allowed(session, rule, lead, activity)
            if points:
                at = activity.occurred_at
                session.add(
                    Grant(id=new_id(), lead=lead, activity=activity, rule=rule.id, points=points, occurred_at=at)
                )
            total += points
        return total

    async def _allowed(self, session: AsyncSession, rule: CompiledRule, lead: Lead, activity: Activity) -> int:
        if rule.at_most is None:
            return rule.points
        granted = await session.scalar(
            select(func.coalesce(func.sum(func.abs(Grant.points)), 0)).where(
                Grant.lead_id == lead.id,
                Grant.rule == rule.id,
                Grant.occurred_at > activity.occurred_at - rule.at_most.per,
            )
        )
        return min(rule.points, max(0, rule.at_most.points - int(granted or 0)))

    def _score(self, session: AsyncSession, lead: Lead, activity: Activity, points: int) -> None:
        now, half_life = activity.received_at, self._accord.document.scoring.engagement.half_life
        engagement = max(0.0, worth(lead.engagement, lead.as_of, half_life, max(now, lead.as_of)) + points)
        lead.engagement = min(engagement, self._accord.cap or engagement)
        lead.as_of, lead.version = max(now, lead.as_of), lead.version + 1
        body = {"engagement": lead.engagement, "fit": lead.fit, "grade": lead.grade, "version": lead.version}
        self._emit(session, lead, "accord.score.changed", body | {"activity": activity.type, "profile": lead.profile})

    def _qualify(self, session: AsyncSession, lead: Lead, activity: Activity) -> None:
        snapshot = LeadSnapshot(
            email=lead.email,
            profile=lead.profile,
            source=lead.source,
            campaign=lead.campaign,
            first_source=lead.first_source,
        )
        facts = self._accord.facts(
            engagement=lead.engagement,
            fit=lead.fit,
            grade=lead.grade,
            stage=lead.stage,
            owner=lead.owner,
            lead=snapshot,
        )
        if lead.stage != "lead" or not self._accord.is_mql(facts):
            return
        team = self._accord.team_for(facts)
        lead.stage, lead.owner = "mql", self._accord.owner_for_turn(team, self._turn) if team else None
        self._turn += 1
        transition = Transition(id=new_id(), lead=lead, activity=activity, from_stage="lead", to_stage="mql")
        transition.owner, transition.occurred_at = lead.owner, activity.received_at
        session.add(transition)
        self._emit(session, lead, "accord.lead.qualified", {"lead": msgspec.to_builtins(snapshot), "owner": lead.owner})

    def _emit(self, session: AsyncSession, lead: Lead, type_: str, body: dict[str, Any]) -> None:
        session.add(OutboxEvent(lead_id=lead.id, type=type_, body=body, created_at=lead.as_of))


async def measure_ordinary(database_url: str, postgres_pid: int, traffic: Traffic, count: int) -> Ordinary:
    """Events a second, in a database of its own with tables made anew."""
    engine = create_async_engine(
        database_url.replace("postgresql://", "postgresql+asyncpg://"), pool_size=1, max_overflow=0
    )
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)
        accord, clock = compile_accord(load_accord(default_accord_text()), 1), SystemClock()
        way = OrdinaryWay(async_sessionmaker(engine, expire_on_commit=False), accord, clock)
        events = traffic.events(WARM_UP_EVENTS + count, clock.now())
        for event in events[:WARM_UP_EVENTS]:
            await way.apply(event)
        python, postgres, started_at = _own_cpu_seconds(), cpu_seconds(postgres_pid), time.monotonic()
        for event in events[WARM_UP_EVENTS:]:
            await way.apply(event)
        seconds = time.monotonic() - started_at
        python, postgres = _own_cpu_seconds() - python, cpu_seconds(postgres_pid) - postgres
    finally:
        await engine.dispose()
    return Ordinary(count / seconds, python / count * 1_000, postgres / count * 1_000)


def _own_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
