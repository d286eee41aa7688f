"""Leads that live on at random, in the services' own tables and in a plain model of them."""

import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

import asyncpg

from services.api.store.periods import Period
from services.api.store.rolled import NEXT
from services.scoring.model.rules import instant

BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)
SOURCES, CAMPAIGNS, OWNERS = ("website", "events"), ("spring", "summer", "ü" * 200, None), ("ann", "ben", None)
STAGES: Final = (*NEXT, "recycled", "disqualified")
# What services hold of a lead.
HELD: Final = (
    *("scoring.history", "scoring.leads", "scoring.grants"),
    *("stages.history", "stages.leads", "stages.transitions", "sla.clocks"),
)
STATES: Final = ("open", "met", "breached", "resolved", "voided", "late_start")
ZONES: Final = ("America/New_York", "Asia/Kathmandu", "UTC")


class Entry(NamedTuple):
    """A transition; version 0 is how the lead began."""

    version: int
    stage: str
    at: datetime
    owner: str | None
    is_implied: bool
    amount: float | None = None


class Touch(NamedTuple):
    at: datetime
    source: str | None
    campaign: str | None


@dataclass
class Lead:
    """What the model knows of one."""

    id: UUID
    touches: list[Touch] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    contacts: list[datetime] = field(default_factory=list)
    clocks: dict[UUID, dict[str, Any]] = field(default_factory=dict)

    @property
    def source(self) -> str | None:
        return self.touches[0].source if self.touches else None

    @property
    def campaign(self) -> str | None:
        return next((touch.campaign for touch in reversed(self.touches) if touch.campaign), None)

    @property
    def life(self) -> list[Entry]:
        """With its beginning, if scoring knows of it."""
        if not self.touches:
            return self.entries
        began = min([self.touches[0].at, *(entry.at for entry in self.entries[:1])])
        return [Entry(0, "lead", began, None, is_implied=False), *self.entries]


class World:
    """Leads that live on, in the services' tables and in the model. `ask` has one erased; services are slower."""

    def __init__(self, pool: asyncpg.Pool, seed: int, ask: Callable[[UUID], Awaitable[None]]) -> None:
        self.pool, self.dice, self.leads = pool, random.Random(seed), dict[UUID, Lead]()
        self.changed: set[UUID] = set()
        self.erased: list[Lead] = []
        self._still_held: list[Lead] = []
        self._ask = ask
        self._number = seed * 1_000_000

    def _id(self) -> UUID:
        self._number += 1
        return uuid5(UUID(int=5), str(self._number))

    def _after(self, at: datetime) -> datetime:
        return at + timedelta(minutes=self.dice.choice((0, 7, 600, 6_000)) + self.dice.randrange(60))

    async def live_on(self) -> None:
        """One thing happens."""
        if len(self.leads) < 4 or self.dice.random() < 0.2:
            lead = Lead(self._id())
            self.leads[lead.id] = lead
        else:
            lead = self.dice.choice(list(self.leads.values()))
        self.changed.add(lead.id)
        if self.dice.random() < 0.04:
            return await self._erase(lead)
        happens = self.dice.choice((self._touch, self._touch, self._move, self._move, self._contact, self._clock))
        await happens(lead)
        return None

    def _now(self, lead: Lead) -> datetime:
        times = [touch.at for touch in lead.touches] + [entry.at for entry in lead.entries]
        return self._after(max(times, default=BEGAN + timedelta(days=self.dice.randrange(60))))

    async def _touch(self, lead: Lead) -> None:
        """Told late sometimes: then it happened before what is known already."""
        at = self._now(lead)
        touch = Touch(at, self.dice.choice(SOURCES), self.dice.choice(CAMPAIGNS))
        occurred_at = at - timedelta(days=self.dice.choice((0, 0, 9))) if lead.touches else at
        lead.touches.append(touch._replace(at=occurred_at))
        body = {"type": "page.viewed", "occurred_at": occurred_at.isoformat(), **touch._asdict(), "at": None}
        values = (lead.id, self._id(), len(lead.touches), "activity", at, json.dumps(body).encode())
        await self.pool.execute("INSERT INTO scoring.history VALUES ($1, $2, $3, $4, $5, $6)", *values)
        state: list[Any] = [1, 1, 1, instant(at), {}, {}, {}, {}, {}, None, touch.source, lead.campaign, lead.source]
        state += ["marketing", 0.0, 0, [], "D"]
        await self.pool.execute(
            """INSERT INTO scoring.leads (lead_id, engagement, fit, grade, state, partition, accord)
            VALUES ($1, 0, 0, 'D', $2, 0, 1) ON CONFLICT (lead_id) DO UPDATE SET state = excluded.state""",
            *(lead.id, json.dumps(state)),
        )

    async def _move(self, lead: Lead) -> None:
        at = max([self._now(lead), *(entry.at for entry in lead.entries)])
        if not lead.entries and self.dice.random() < 0.2:
            at -= timedelta(days=3)
        stage, cause = self.dice.choice(STAGES), self._id()
        amount = float(self.dice.randrange(1, 9)) if stage in ("opportunity", "customer") else None
        entry = Entry(len(lead.entries) + 1, stage, at, self.dice.choice(OWNERS), self.dice.random() < 0.3, amount)
        lead.entries.append(entry)
        await self.pool.execute(
            "INSERT INTO stages.transitions VALUES ($1, $2, $3, $4, $5, 'x', $6, 'x', NULL, $7, $8)",
            *(lead.id, entry.version, self._id(), cause, at, stage, entry.is_implied, entry.owner),
        )
        await self.pool.execute(
            """INSERT INTO stages.leads (lead_id, version, fit, engagement, entered_at, updated_at, stage, grade, state)
            VALUES ($1, 1, 0, 0, $2, $2, $3, 'D', '[]') ON CONFLICT DO NOTHING""",
            *(lead.id, at, stage),
        )
        if amount is not None:
            await self._act(lead, cause, at, action="won", amount=amount, currency="EUR")

    async def _contact(self, lead: Lead) -> None:
        at = self._now(lead) - timedelta(days=self.dice.choice((0, 2)))
        is_ignored = self.dice.random() < 0.2
        if not is_ignored:
            lead.contacts.append(at)
        await self._act(lead, self._id(), at, ignored="overtaken" if is_ignored else None, action="contacted")

    async def _act(self, lead: Lead, id: UUID, at: datetime, *, ignored: str | None = None, **body: Any) -> None:
        value = json.dumps({"occurred_at": at.isoformat(), **body}).encode()
        await self.pool.execute(
            "INSERT INTO stages.history VALUES ($1, $2, 1, $3, $4, NULL, $5)", lead.id, id, at, value, ignored
        )

    async def _clock(self, lead: Lead) -> None:
        """One starts, or one ends."""
        ends = bool(lead.clocks) and self.dice.random() < 0.5
        id = self.dice.choice(list(lead.clocks)) if ends else self._id()
        clock = lead.clocks.setdefault(
            id, {"rule": self.dice.choice(("call", "accept")), "started_at": self._now(lead)}
        )
        clock |= {"state": self.dice.choice(STATES), "owner": self.dice.choice(OWNERS), "team": "enterprise"}
        clock["spent"] = float(self.dice.randrange(9_000)) if clock["state"] in ("met", "resolved", "voided") else None
        await self.pool.execute(
            """INSERT INTO sla.clocks (lead_id, clock_id, partition, rule, attempt, accord, entry, state, owner, team,
                started_at, deadline, ladder_steps, is_lagging, response_seconds)
            VALUES ($1, $2, 0, $3, 1, 1, 1, $4, $5, $6, $7, $7, 0, false, $8) ON CONFLICT (lead_id, clock_id)
            DO UPDATE SET (state, owner, response_seconds) = (
                excluded.state, excluded.owner, excluded.response_seconds)""",
            *(lead.id, id, clock["rule"], clock["state"], clock["owner"], clock["team"], clock["started_at"]),
            clock["spent"],
        )

    @property
    def counted(self) -> list[Lead]:
        """Whom reports count: everybody, ever."""
        return [*self.leads.values(), *self.erased]

    async def _erase(self, lead: Lead) -> None:
        """The model goes on counting it. What the services hold goes now, or when the next lead is erased."""
        await self._ask(lead.id)
        self.erased.append(self.leads.pop(lead.id))
        self._still_held.append(lead)
        if self.dice.random() < 0.5:
            for held in self._still_held:
                await self._forget(held)
            self._still_held.clear()

    async def _forget(self, lead: Lead) -> None:
        for table in HELD:
            await self.pool.execute(f"DELETE FROM {table} WHERE lead_id = $1", lead.id)
        await self.pool.execute("UPDATE api.erasures SET done_at = now() WHERE lead_id = $1", lead.id)

    def period(self) -> Period:
        since = BEGAN + timedelta(minutes=self.dice.randrange(60 * 24 * 80))
        if self.dice.random() < 0.3:
            since = since.replace(hour=0, minute=0)
        length = self.dice.choice(
            (timedelta(minutes=90), timedelta(days=1), timedelta(days=9, hours=5), timedelta(days=99))
        )
        return Period(since, since + length, self.dice.choice(ZONES))
