"""A lead's promises as a timeline: the agreement's text, what happens at which time, what was announced."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from msgspec import convert

from services.sla_monitor.model.decisions import announcement_id, apply, tick_id
from services.sla_monitor.model.states import Clock, Effect, Input, Lead, LifecyclePayload, Received, Tick
from shared.agreement.compiled import compile_accord
from shared.agreement.loading import load_accord
from shared.agreement.versions import Accords
from shared.events.base import LeadSnapshot
from shared.events.lifecycle import AssignmentReason, LeadAssigned, SalesRecorded, StageChanged
from shared.events.sla import ClockEvent

LEAD_ID = UUID("00000000-0000-4000-8000-000000000001")
NAMES = UUID("00000000-0000-4000-8000-00000000000a")

ACCORD_TEXT = """
accord: 1
name: Test
calendar: {timezone: UTC, hours: {mon: ["09:00-17:00"], tue: ["09:00-17:00"], wed: ["09:00-17:00"]}}
scoring: {engagement: {half_life: 30d, cap: 200, rules: []}, fit: {rules: [], grades: {A: 50, B: 30, C: 10}}}
stages: {mql: {engagement: {gte: 40}}}
routing:
  teams: {enterprise: [{owner: ada@sales.example}, {owner: grace@sales.example}]}
  managers: {enterprise: em@sales.example}
sla:
  clocks:
    - id: first-contact
      starts: mql
      stops: [contacted]
      when: {grade: {in: [A, B]}}
      within: 1h
      hours: always
      warn_at: 75%
      escalate: [{at: 100%, to: owner}, {at: 200%, to: manager, then: reassign}]
    - {id: decision, starts: mql, stops: [accepted, rejected], when: {grade: A}, within: 4h, hours: business}
    - id: deal
      starts: sql
      stops: [opportunity.opened]
      within: 2h
      hours: always
      warn_at: 50%
      escalate: [{at: 100%, to: owner}, {at: 200%, to: manager, then: recycle}]
      pauses_while: snoozed
"""


def clock_time(text: str) -> datetime:
    """`10:15` on Monday, 2 March 2026, or `tue 10:15` on the day after."""
    day, _, time = text.rpartition(" ")
    hour, minute = time.split(":")
    return datetime(2026, 3, {"": 2, "tue": 3, "wed": 4}[day], int(hour), int(minute), tzinfo=UTC)


def compiled_accords(text: str = ACCORD_TEXT) -> Accords:
    return Accords([(clock_time("0:00"), compile_accord(load_accord(text), 1))])


def stage_changed(at: datetime, *, lead_id: UUID = LEAD_ID, version: int = 1, **changes: Any) -> StageChanged:
    values: dict[str, Any] = {
        "from": "lead",
        "to": "mql",
        "entry": 1,
        "reason": "qualified",
        "engagement": 50.0,
        "fit": 30,
        "grade": "B",
        "occurred_at": at,
        "lead": LeadSnapshot(email="ann@example.com", profile={"title": "CTO"}),
    }
    return convert({"lead_id": lead_id, "version": version, **values, **changes}, StageChanged, from_attributes=True)


def sales_recorded(at: datetime, *, lead_id: UUID = LEAD_ID, version: int = 2, **changes: Any) -> SalesRecorded:
    values: dict[str, Any] = {
        "action_id": uuid5(NAMES, f"action {at}"),
        "action": "contacted",
        "stage": "mql",
        "entry": 1,
        "occurred_at": at,
        "lead": LeadSnapshot(email="ann@example.com"),
    }
    return convert({"lead_id": lead_id, "version": version, **values, **changes}, SalesRecorded, from_attributes=True)


def lead_assigned(
    at: datetime, *, owner: str | None, lead_id: UUID = LEAD_ID, why: AssignmentReason = AssignmentReason.RULE
) -> LeadAssigned:
    return LeadAssigned(
        lead_id=lead_id,
        version=1,
        owner=owner,
        team="enterprise",
        why=why,
        occurred_at=at,
        lead=LeadSnapshot(),
    )


class Timeline:
    """Feeds one lead's fold and keeps what was announced, as (moment, type, level)."""

    def __init__(self, text: str = ACCORD_TEXT) -> None:
        self.accords = compiled_accords(text)
        self.lead: Lead | None = None
        self.inputs: list[Input] = []
        self.events: list[ClockEvent] = []
        self.effects: list[Effect] = []
        self._entry = 0

    def enters(self, stage: str, at: str, *, received: str | None = None, **changes: Any) -> None:
        if not changes.get("implied"):
            self._entry += 1
        entry = {"to": stage, "entry": self._entry}
        self._receive(stage_changed(clock_time(at), **{**entry, **changes}), received or at)

    def records(self, at: str, action: str = "contacted", *, received: str | None = None, **changes: Any) -> None:
        self._receive(sales_recorded(clock_time(at), action=action, **changes), received or at)

    def assigned(self, at: str, owner: str, *, why: AssignmentReason = AssignmentReason.RULE) -> None:
        self._receive(lead_assigned(clock_time(at), owner=owner, why=why), at)

    def reassigned(self, at: str, owner: str | None, *, by: Effect | None = None) -> None:
        """Stages answers the action that an escalation sent, the last one if none is named."""
        assert by or self.effects
        cause = (by or self.effects[-1]).action.id
        why = AssignmentReason.REASSIGNED if owner is not None else AssignmentReason.UNASSIGNED
        self._receive(lead_assigned(clock_time(at), owner=owner, why=why), at, cause=cause)

    def snoozes(self, at: str, until: str | None, *, received: str | None = None) -> None:
        self.records(at, "snoozed", received=received, until=until and clock_time(until))

    def snoozes_until(self, at: str, until: datetime) -> None:
        self.records(at, "snoozed", until=until)

    def sweeps(self, at: str, *, lagging: bool = False, absent: tuple[str, ...] = ()) -> None:
        now = clock_time(at)
        assert self.lead is not None
        for clock in self.lead.clocks:
            due = (clock.next_due_at, None if lagging else clock.then_due_at)
            if any(moment is not None and moment <= now for moment in due):
                self._apply(Tick(tick_id(clock), clock.lead_id, clock.clock_id, now, now, lagging, absent))

    def clock(self, rule: str = "first-contact", entry: int = 1, attempt: int = 1) -> Clock:
        assert self.lead is not None
        wanted = (rule, entry, attempt)
        return next(clock for clock in self.lead.clocks if (clock.rule, clock.entry, clock.attempt) == wanted)

    def said(self, rule: str = "first-contact") -> list[str]:
        """What was announced of the rule's clocks: `10:45 warned`, `12:00 escalated 2`."""

        def words(event: ClockEvent) -> str:
            level = f" {number}" if (number := event.level or event.pause) else ""
            return f"{event.occurred_at:%H:%M} {event.TYPE.removeprefix('accord.clock.')}{level}"

        return [words(event) for event in self.events if event.rule == rule]

    def announcement_ids(self) -> list[UUID]:
        return [announcement_id(event) for event in self.events]

    def _receive(self, payload: LifecyclePayload, received: str, *, cause: UUID | None = None) -> None:
        number = len(self.inputs)
        self._apply(Received(uuid5(NAMES, f"event {number}"), clock_time(received), number, payload, cause))

    def _apply(self, given: Input) -> None:
        self.inputs.append(given)
        self.lead, events, effects = apply(self.lead, given, self.accords)
        self.events.extend(events)
        self.effects.extend(effects)
