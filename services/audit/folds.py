"""A range of leads, one after the other: every stored state beside the fold of its history, and every event that a
service told beside what the next one has read. What isn't there yet must be in flight, or a dead letter."""

from collections.abc import Container, Iterable
from typing import Any, NamedTuple
from uuid import UUID

from services.audit import line_sql
from services.audit.findings import Check, Findings
from services.audit.scoring_fold import HISTORY_COLUMNS as SCORING_HISTORY
from services.audit.scoring_fold import LEDGER_COLUMNS, PARTIAL_COLUMNS, ScoringFold
from services.audit.sla_fold import ANNOUNCEMENT_COLUMNS, CLOCK_COLUMNS, LEAD_COLUMNS, SlaFold
from services.audit.sla_fold import HISTORY_COLUMNS as SLA_HISTORY
from services.audit.stages_fold import OF_CLOCKS, StagesFold
from services.audit.tables import Range, Table, by_lead
from services.scoring import store as scoring_store
from services.sla_monitor.model.entries import Entry, Place
from services.sla_monitor.store.clocks import TICK
from services.stages import store as stages_store
from shared.agreement.versions import Accords
from shared.events.promises import promise_key
from shared.events.topics import partition_of

SOUGHT_MAX = 5_000

Row = Any
# On its way through the services an erased lead is gone in some of them already.
_ERASED = """SELECT lead_id FROM scoring.erased UNION SELECT lead_id FROM stages.erased
UNION SELECT lead_id FROM sla.erased UNION SELECT lead_id FROM delivery.erased"""

_PROMISES_TOLD = "SELECT promise, event_id FROM sla.promise_events"
_JUDGED = "SELECT promise, since FROM sla.promise_periods"

# Table, columns, and what orders the rows of one lead.
TABLES = (
    ("scoring.history", SCORING_HISTORY, "number"),
    ("scoring.leads", scoring_store.STATE_COLUMNS),
    ("scoring.grants", LEDGER_COLUMNS),
    ("scoring.rescoring", PARTIAL_COLUMNS),
    ("stages.history", stages_store.HISTORY_COLUMNS, "number"),
    ("stages.leads", stages_store.STATE_COLUMNS),
    ("stages.transitions", stages_store.TRANSITION_COLUMNS, "version"),
    ("sla.history", SLA_HISTORY, "number"),
    ("sla.leads", LEAD_COLUMNS),
    ("sla.clocks", CLOCK_COLUMNS),
    ("sla.clock_events", ANNOUNCEMENT_COLUMNS),
    ("sla.promise_entries", Entry._fields),
    ("delivery.events", ("lead_id", "event_id")),
)


class Rows(NamedTuple):
    """One lead's rows, in the order of TABLES."""

    scoring_history: list[Row]
    scoring_leads: list[Row]
    grants: list[Row]
    rescoring: list[Row]
    stages_history: list[Row]
    stages_leads: list[Row]
    transitions: list[Row]
    sla_history: list[Row]
    sla_leads: list[Row]
    clocks: list[Row]
    clock_events: list[Row]
    entries: list[Row]
    delivery_events: list[Row]


class Sought(NamedTuple):
    """An event that was told to a service and isn't in its history."""

    check: Check
    service: str
    table: str
    lead_id: UUID
    event_id: UUID


async def fold_range(connection: Any, leads: Range, line: line_sql.Line, accords: Accords) -> Findings:
    """In the connection's open transaction."""
    judged = {(row[0], row[1]) for row in await connection.fetch(_JUDGED)}
    folds = _Folds(accords, line, judged)
    tables = [await Table.open(connection, name, columns, leads, *order) for name, columns, *order in TABLES]
    erased = {row[0] for row in await connection.fetch(_ERASED)}
    promises = await _promises(connection, leads)
    async for lead_id, rows in by_lead(tables):
        if lead_id in erased:
            continue
        if lead_id in promises:
            folds.compare_promise(lead_id, promises.pop(lead_id), Rows(*rows))
        else:
            folds.look_at(lead_id, Rows(*rows))
        if len(folds.sought) >= SOUGHT_MAX:
            await folds.seek(connection)
    for key, told in promises.items():
        folds.compare_promise(key, told, Rows(*[[] for _ in TABLES]))
    await folds.seek(connection)
    return folds.findings


async def _promises(connection: Any, keys: Range) -> dict[UUID, set[UUID]]:
    """What was told of promises on many leads, by their keys, which lie among those of leads."""
    found: dict[UUID, set[UUID]] = {}
    for promise, event_id in await connection.fetch(_PROMISES_TOLD):
        if keys.first <= (key := promise_key(promise)) <= keys.last:
            found.setdefault(key, set()).add(event_id)
    return found


class _Folds:
    def __init__(self, accords: Accords, line: line_sql.Line, judged: Container[Place]) -> None:
        self.findings = Findings()
        self._judged = judged
        self.sought: list[Sought] = []
        self._accords = accords
        self._line = line

    def look_at(self, lead_id: UUID, rows: Rows) -> None:
        """One lead, through all services."""
        findings = self.findings
        findings.tally("leads", 1)
        scoring = ScoringFold(lead_id, rows.scoring_history, self._accords)
        stages = StagesFold(lead_id, rows.stages_history, scoring)
        stages.compare(_one(rows.stages_leads), rows.transitions, self._accords, findings)
        unread = scoring.finish()
        if not stages.is_whole:
            unread = sorted(set(unread) - {row["event_id"] for row in rows.stages_history})
        for partial in rows.rescoring:
            scoring.regrant(partial, self._accords, findings)
        scoring.compare(_one(rows.scoring_leads), rows.grants, partition_of(lead_id, self._line.partitions), findings)
        findings.saw(Check.SCORES, len(rows.scoring_history))
        self._seek(unread, lead_id, Check.SCORES)
        if stages.is_qualified:
            findings.tally("qualified", 1)
        if rows.sla_history or rows.sla_leads or rows.clocks or rows.clock_events or rows.entries:
            self._compare_clocks(lead_id, rows)
        if stages.is_whole:
            self._compare_told(lead_id, stages, rows)

    def compare_promise(self, key: UUID, told: set[UUID], rows: Rows) -> None:
        """What was told of a promise on many leads beside what delivery has read of it."""
        self._beside(Check.DELIVERY, key, told, {row["event_id"] for row in rows.delivery_events})

    def _compare_clocks(self, lead_id: UUID, rows: Rows) -> None:
        sla = SlaFold(lead_id, rows.sla_history)
        if sla.go(self._accords, self.findings):
            sla.compare_lead(_one(rows.sla_leads), self.findings)
            sla.compare_clocks(rows.clocks, self._line.partitions, self.findings)
            sla.compare_announcements(rows.clock_events, self.findings)
            sla.compare_entries(rows.entries, self._judged, self.findings)
            if sla.sent:
                self.findings.saw(Check.EFFECTS, len(sla.sent))
                applied = {row["event_id"] for row in rows.stages_history}
                self._seek(sorted(sla.sent - applied), lead_id, Check.EFFECTS)

    def _compare_told(self, lead_id: UUID, stages: StagesFold, rows: Rows) -> None:
        to_clocks = {event_id for event_id, type_ in stages.told if type_ in OF_CLOCKS}
        applied = {row["event_id"] for row in rows.sla_history if row["type"] != TICK}
        self._beside(Check.LIFECYCLE, lead_id, to_clocks, applied)
        to_tell = {event_id for event_id, _ in stages.told} | {row["event_id"] for row in rows.clock_events}
        self._beside(Check.DELIVERY, lead_id, to_tell, {row["event_id"] for row in rows.delivery_events})

    def _beside(self, check: Check, lead_id: UUID, told: set[UUID], kept: set[UUID]) -> None:
        if told:
            self.findings.saw(check, len(told))
        if told == kept:
            return
        for event_id in sorted(kept - told):
            what = f"lead {lead_id} has {event_id}, which nobody told"
            self.findings.note(check, f"{_READER[check][1]}: {what}")
        self._seek(sorted(told - kept), lead_id, check)

    def _seek(self, event_ids: Iterable[UUID], lead_id: UUID, check: Check) -> None:
        self.sought += [Sought(check, *_READER[check], lead_id, event_id) for event_id in event_ids]

    async def seek(self, connection: Any) -> None:
        """Looks for what wasn't in a history: in flight or a dead letter it is no difference."""
        sought, self.sought = self.sought, []
        for service in {one.service for one in sought}:
            of_service = [one for one in sought if one.service == service]
            ids = [one.event_id for one in of_service]
            elsewhere = {row[0] for row in await connection.fetch(line_sql.BURIED, service, ids)}
            elsewhere |= {row[0] for row in await connection.fetch(line_sql.still_to_read(self._line), service, ids)}
            for one in of_service:
                if one.event_id not in elsewhere:
                    what = f"lead {one.lead_id} lacks {one.event_id}, which was told to {service}"
                    self.findings.lack(one.check, f"{one.table}: {what} and is neither in flight nor a dead letter")


_READER = {
    Check.SCORES: ("stages", "stages.history"),
    Check.EFFECTS: ("stages", "stages.history"),
    Check.LIFECYCLE: ("sla-monitor", "sla.history"),
    Check.DELIVERY: ("delivery", "delivery.events"),
}


def _one(rows: list[Row]) -> Row | None:
    return rows[0] if rows else None
