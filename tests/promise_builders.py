"""Promises on many leads in tests: their text, changes of stages, and a house that judges them on its own clock."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from msgspec import convert

from services.sla_monitor.model.entries import Entry, Move, Place, added_up, entries_after
from services.sla_monitor.model.promises import Judged, due_at, turn
from shared.agreement.compiled import CompiledAccord, compile_accord
from shared.agreement.loading import load_accord
from shared.agreement.promises import Tally
from shared.agreement.versions import Accords
from shared.events.base import LeadSnapshot
from shared.events.lifecycle import StageChanged
from shared.events.promises import PromiseEvent

LEADS_PER_WEEK = "{id: leads-per-week, of: marketing, counts: mql, at_least: 10, per: week, warn_at: 60%}"
TEXT = """
accord: 1
name: Test
currency: EUR
calendar:
  timezone: UTC
  hours: {mon: ["09:00-17:00"], tue: ["09:00-17:00"], wed: ["09:00-17:00"], thu: ["09:00-17:00"], fri: ["09:00-17:00"]}
scoring: {engagement: {half_life: 30d, cap: 200, rules: []}, fit: {rules: [], grades: {A: 50, B: 30, C: 10}}}
stages: {mql: {engagement: {gte: 40}}}
sla: {promises: [PROMISES]}
"""
FIRST_MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def day(number: int, clock: str = "10:00") -> datetime:
    """Day 0 is a Monday."""
    hour, minute = clock.split(":")
    return FIRST_MONDAY + timedelta(days=number, hours=int(hour), minutes=int(minute))


def accords_of(*versions: tuple[datetime, Iterable[str]]) -> Accords:
    """From when on which promises are in force."""
    texts = [(at, TEXT.replace("PROMISES", ", ".join(promises))) for at, promises in versions]
    return Accords([(at, _compiled(text, number)) for number, (at, text) in enumerate(texts, 1)])


@cache
def _compiled(text: str, version: int) -> CompiledAccord:
    return compile_accord(load_accord(text), version)


def lead(number: int) -> UUID:
    return UUID(int=number)


def change(number: int, stage: str, at: datetime, **changes: Any) -> StageChanged:
    """Of the lead with this number."""
    values: dict[str, Any] = {
        "lead_id": lead(number),
        "version": 1,
        "from": "lead",
        "to": stage,
        "entry": 1,
        "reason": "qualified",
        "engagement": 50.0,
        "fit": 30,
        "grade": "B",
        "occurred_at": at,
        "lead": LeadSnapshot(email="ann@example.com", first_team="marketing"),
    }
    return convert({**values, **changes}, StageChanged, from_attributes=True)


class PromiseHouse:
    """Counts changes of stages and judges what they come to, as the owner of every promise."""

    def __init__(self, accords: Accords, *, began: datetime) -> None:
        self.accords = accords
        self.entries: dict[UUID, dict[Place, Entry]] = {}
        self.moves: list[Move] = []
        self.judged: dict[Place, Judged] = {}
        self.events: list[PromiseEvent] = []
        self.looks(began)

    def changes(self, *moved: StageChanged) -> None:
        """Each decided under the version of its own time."""
        for one in moved:
            known = self.entries.setdefault(one.lead_id, {})
            for move in entries_after(known, one, self.accords.at(one.occurred_at), self.accords):
                known[move.entry.promise, move.entry.since] = move.entry
                self.moves.append(move)

    def counts(self) -> dict[Place, Tally]:
        return added_up(self.moves)

    def looks(self, now: datetime, *, read_through: datetime | None = None) -> list[PromiseEvent]:
        """What is told at this look."""
        counts = self.counts()
        counted = {row: counts.get(place, Tally(0, 0)) for place, row in self.judged.items()}
        found = turn(counted, self.accords, now=now, read_through=read_through or now, is_mine=lambda _: True)
        self.judged.update({(row.promise, row.since): row for row in found.judged})
        self.events += found.events
        return list(found.events)

    def passes(self, until: datetime) -> None:
        """Looks whenever something is due, until then."""
        while True:
            due = [at for row in self.judged.values() if (at := due_at(row, self.accords)) is not None]
            now = min([*due, until])
            self.looks(now)
            if now >= until:
                return

    def said(self) -> list[str]:
        """`tue 17:00 warned 2026-W10: 3 of 10`."""
        return [
            f"{event.occurred_at:%a %H:%M} {event.TYPE.rpartition('.')[2]} {event.period}: "
            f"{event.reached if event.reached is None else round(event.reached, 3):} of {event.target:g}".lower()
            for event in self.events
        ]
