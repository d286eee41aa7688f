"""The tables of promises on many leads: who entered, what that adds up to, and how each period stands."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.sla_monitor.model.entries import Entry, Move, Place, added_up
from services.sla_monitor.model.promises import Judged, State
from shared.agreement.promises import Tally
from shared.db.statement import Write
from shared.events.codec import encode
from shared.events.envelope import Event
from shared.events.promises import PromiseEvent

Connection = Any  # asyncpg ships no types

_ENTRY_COLUMNS: Final = ", ".join(Entry._fields)
_PERIOD_COLUMNS: Final = ", ".join(Judged._fields)
_TALLY: Final = ", ".join(
    f"coalesce(sum({name}), 0)::{'double precision' if 'amount' in name else 'bigint'}" for name in Tally._fields
)

ENTRIES: Final = f"SELECT {_ENTRY_COLUMNS} FROM sla.promise_entries WHERE lead_id = ANY($1::uuid[])"
SAVE_ENTRIES: Final = f"""kept_entries AS (
INSERT INTO sla.promise_entries ({_ENTRY_COLUMNS})
SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::integer[], $6::boolean[],
    $7::boolean[], $8::double precision[], $9::boolean[])
ON CONFLICT (lead_id, promise, since) DO UPDATE SET is_counted = EXCLUDED.is_counted)"""
ADD: Final = """added_up AS (
INSERT INTO sla.promise_counts AS c
    (partition, promise, since, entries, counted, amount, counted_amount, other_currencies)
SELECT $1::smallint, * FROM unnest($2::text[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::double precision[],
    $7::double precision[], $8::bigint[])
ON CONFLICT (promise, since, partition) DO UPDATE SET entries = c.entries + EXCLUDED.entries,
    counted = c.counted + EXCLUDED.counted, amount = c.amount + EXCLUDED.amount,
    counted_amount = c.counted_amount + EXCLUDED.counted_amount,
    other_currencies = c.other_currencies + EXCLUDED.other_currencies)"""

# Each period's own rows, by key: all that was ever counted would be read otherwise, by every partition.
PERIODS: Final = f"""SELECT {_PERIOD_COLUMNS}, c.*
FROM sla.promise_periods AS p CROSS JOIN LATERAL (
    SELECT {_TALLY} FROM sla.promise_counts AS c WHERE c.promise = p.promise AND c.since = p.since) AS c
WHERE p.partition = $1 AND (state = 'running' OR until > $2)"""
SAVE_PERIODS: Final = f"""kept_periods AS (
INSERT INTO sla.promise_periods (partition, {_PERIOD_COLUMNS})
SELECT $1::smallint, * FROM unnest($2::text[], $3::timestamptz[], $4::timestamptz[], $5::integer[], $6::text[],
    $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::double precision[], $11::double precision[],
    $12::double precision[], $13::integer[])
ON CONFLICT (promise, since) DO UPDATE SET
    {", ".join(f"{name} = EXCLUDED.{name}" for name in Judged._fields if name not in ("promise", "since"))})"""
# Fails on one that was made before: nothing is told twice.
SAVE_EVENTS: Final = """told AS (
INSERT INTO sla.promise_events (event_id, promise, since, type, told_at, body)
SELECT e.event_id, e.promise, e.since, e.type, e.told_at, e.body::json
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[], $5::timestamptz[], $6::text[])
    AS e (event_id, promise, since, type, told_at, body))"""


async def load_entries(connection: Connection, lead_ids: Iterable[UUID]) -> dict[UUID, dict[Place, Entry]]:
    """By lead its entries, by promise and period; nothing for a lead without."""
    found: dict[UUID, dict[Place, Entry]] = {}
    for row in await connection.fetch(ENTRIES, sorted(set(lead_ids))):
        entry = Entry._make(row)
        found.setdefault(entry.lead_id, {})[entry.promise, entry.since] = entry
    return found


def save_moves(partition: int, moves: Sequence[Move]) -> list[Write]:
    """The entries as they are now, and what they add to the counts of their partition."""
    if not moves:
        return []
    entries = {(entry.lead_id, entry.promise, entry.since): entry for entry, _ in moves}  # the last one counts
    writes = [Write(SAVE_ENTRIES, list(zip(*(entries[key] for key in sorted(entries)), strict=True)))]
    if sums := added_up(moves):
        rows = [(*place, *sums[place]) for place in sorted(sums)]
        writes.append(Write(ADD, (partition, *zip(*rows, strict=True))))
    return writes


async def periods(connection: Connection, partition: int, ended_after: datetime) -> dict[Judged, Tally]:
    """The periods that this partition judges, each with its counts over all partitions: those that run, and the others
    that ended after that."""
    width = len(Judged._fields)
    rows = await connection.fetch(PERIODS, partition, ended_after)
    return {_judged(row[:width]): Tally(*row[width:]) for row in map(tuple, rows)}


def save_periods(partition: int, judged: Iterable[Judged]) -> list[Write]:
    rows = sorted(judged)
    return [Write(SAVE_PERIODS, (partition, *zip(*rows, strict=True)))] if rows else []


def save_events(told: Mapping[UUID, tuple[PromiseEvent, Event]]) -> list[Write]:
    """What is told, by the id of its event."""
    rows = [
        (id, payload.promise, payload.since, payload.TYPE, event.received_at, encode(payload).decode())
        for id, (payload, event) in told.items()
    ]
    return [Write(SAVE_EVENTS, list(zip(*rows, strict=True)))] if rows else []


def _judged(row: tuple[Any, ...]) -> Judged:
    judged = Judged._make(row)
    return judged._replace(state=State(judged.state))
