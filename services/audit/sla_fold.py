"""One lead of sla_monitor: its stored state, its clocks and what was announced of them, beside its history's fold."""

from collections.abc import Container, Sequence
from typing import Any
from uuid import UUID

import msgspec

from services.audit.comparing import describe, misnumbered
from services.audit.findings import Check, Findings
from services.sla_monitor.model.decisions import announcement_id, fold
from services.sla_monitor.model.entries import Entry, Place, entries_after, is_looked_at
from services.sla_monitor.model.states import Clock, Decision, Input, Lead, Received
from services.sla_monitor.store import clocks as store
from shared.agreement.versions import Accords
from shared.events.lifecycle import StageChanged
from shared.events.sla import ClockEvent
from shared.events.topics import partition_of

HISTORY_COLUMNS = ("lead_id", "event_id", "number", "type", "received_at", "seq", "cause", "body::text AS body")
_JSON = ("touches", "snapshot", "snoozes")
LEAD_COLUMNS = tuple(f"{name}::text" if name in _JSON else name for name in store.LEAD_COLUMNS)
CLOCK_COLUMNS = (*Clock._fields, "partition")
ANNOUNCEMENT_COLUMNS = ("lead_id", "event_id", "clock_id", "type", "level", "pause")

Row = Any
_PACKED = dict.fromkeys(_JSON, msgspec.json.decode)


class SlaFold:
    """What a lead's history in sla_monitor comes to; `sent` are the sales actions that escalations sent back."""

    def __init__(self, lead_id: UUID, history: Sequence[Row]) -> None:
        self.sent: set[UUID] = set()
        self._lead_id = lead_id
        self._history = history
        self._lead: Lead | None = None
        self._announced: dict[UUID, ClockEvent] = {}
        self._entries: dict[Place, Entry] = {}

    def go(self, accords: Accords, findings: Findings) -> bool:
        """Folds the whole history; False if it can't be."""
        folded = 0
        try:
            inputs = [store.input_of(self._lead_id, row) for row in self._history]
            for given, decision in zip(inputs, fold(inputs, accords), strict=True):
                self._take(given, decision, accords)
                folded += 1
        except Exception as error:
            what = f"can't be folded: number {folded + 1} raises {type(error).__name__}"
            findings.note(Check.SLA, f"sla.history: the inputs of lead {self._lead_id} {what}")
            return False
        return True

    def _take(self, given: Input, decision: Decision, accords: Accords) -> None:
        self._lead, announcements, effects = decision
        for event in announcements:
            self._announced[announcement_id(event)] = event
        self.sent.update(effect.action.id for effect in effects)
        if isinstance(given, Received) and isinstance(moved := given.payload, StageChanged):
            accord = accords.version(decision.lead.accord or 0)
            if is_looked_at(moved, accord, accords):
                moves = entries_after(self._entries, moved, accord, accords)
                self._entries.update({(move.entry.promise, move.entry.since): move.entry for move in moves})

    def compare_entries(self, stored: Sequence[Row], judged: Container[Place], findings: Findings) -> None:
        """Who counts in periods that are judged; in those before them a release may not have counted yet."""
        findings.saw(Check.PROMISES, len(stored))
        by_place = {(row["promise"], row["since"]): row for row in stored}
        for place in sorted(self._entries.keys() | by_place.keys()):
            row, folded = by_place.get(place), self._entries.get(place)
            if row is None and place not in judged:
                continue
            if found := describe(Entry._fields, row, folded):
                what = f"{place[0]} since {place[1]:%Y-%m-%d}, lead {self._lead_id}: {found}"
                findings.note(Check.PROMISES, f"sla.promise_entries: {what}, by the fold of its history")

    def compare_lead(self, stored: Row | None, findings: Findings) -> None:
        findings.saw(Check.SLA, 1)
        folded = self._lead and store.lead_row(self._lead)
        if found := describe(store.LEAD_COLUMNS, stored, folded, packed=_PACKED):
            what = f"{found}, by the fold of its {len(self._history)} inputs"
            findings.note(Check.SLA, f"sla.leads: lead {self._lead_id}: {what}")
        if found := misnumbered([row[2] for row in self._history]):
            findings.note(Check.SLA, f"sla.history: lead {self._lead_id}: {found}")

    def compare_clocks(self, stored: Sequence[Row], partitions: int, findings: Findings) -> None:
        findings.saw(Check.CLOCKS, len(stored))
        findings.tally("breached", sum(row["breached_at"] is not None for row in stored))
        by_id = {row["clock_id"]: row for row in stored}
        partition = partition_of(self._lead_id, partitions)
        for clock in self._lead.clocks if self._lead else ():
            row, subject = by_id.pop(clock.clock_id, None), f"sla.clocks: clock {clock.clock_id}"
            if row is None:
                findings.note(Check.CLOCKS, f"{subject} of lead {self._lead_id} is missing; it was started")
            elif found := describe(CLOCK_COLUMNS, row, (*store.clock_row(clock), partition)):
                findings.note(Check.CLOCKS, f"{subject}: {found}, by the fold of lead {self._lead_id}")
        for clock_id in by_id:
            findings.note(Check.CLOCKS, f"sla.clocks: clock {clock_id} of lead {self._lead_id} was never started")

    def compare_announcements(self, stored: Sequence[Row], findings: Findings) -> None:
        findings.saw(Check.ANNOUNCEMENTS, len(stored))
        by_id = {row["event_id"]: row for row in stored}
        for event_id, event in self._announced.items():
            row = by_id.pop(event_id, None)
            if row is None:
                what = f"{event.TYPE} of clock {event.clock_id}, lead {self._lead_id}, is missing"
                findings.note(Check.ANNOUNCEMENTS, f"sla.clock_events: {what}; its history announces it")
            elif tuple(row)[2:] != (event.clock_id, event.TYPE, event.level, event.pause):
                what = f"{event_id} of lead {self._lead_id} is not what its history announces"
                findings.note(Check.ANNOUNCEMENTS, f"sla.clock_events: {what}")
        for event_id, row in by_id.items():
            what = f"{row['type']} {event_id} of lead {self._lead_id}"
            findings.note(Check.ANNOUNCEMENTS, f"sla.clock_events: {what} is not what its history announces")
