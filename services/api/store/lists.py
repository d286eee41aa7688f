"""What lists filter and sort by: brought after the services' leads, a bounded number of leads at a time.

What is written of a lead is read from what the services publish of it now; the log only says which leads to look at.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.model import RUNNING_STATES, UNASSIGNED, WORKED_ON
from services.api.store.database import Database, Row

# One process at a time follows the log; the others look again when it has ended.
_LOCK: Final = 0x6163635F6C7374
_REFRESH_LOCK: Final = 0x6163635F6C7375
EVENTS_MAX: Final = 2_000
LEADS_MAX: Final = 500
# So few that requests of this process hardly wait for them: a millisecond or two of its time.
REFRESHED_MAX: Final = 100
REFRESHED_SECONDS: Final = 600

_PLACES: Final = """SELECT p.place, p.number, p.partition, p.first, p.end, l.next FROM stream.published_places AS p
LEFT JOIN api.list_places AS l USING (place, number, partition)"""
_TOLD: Final = f"""SELECT DISTINCT told.of_lead FROM unnest(CAST(:numbers AS integer[]), CAST(:partitions AS integer[]),
    CAST(:starts AS bigint[]), CAST(:ends AS bigint[])) AS place (number, partition, starts, ends)
CROSS JOIN LATERAL ({{rows}}) AS told LIMIT {EVENTS_MAX * 1_000}"""
_ROWS: Final = {
    "log": """SELECT of_lead FROM stream.published_log AS l WHERE l.topic_id = place.number
    AND l.partition = place.partition AND l.log_offset >= place.starts AND l.log_offset < place.ends""",
    "outbox": """SELECT of_lead FROM stream.published_outbox AS b WHERE b.emitter_id = place.number
    AND b.row_number >= place.starts AND b.row_number < place.ends""",
}
_MOVE: Final = """INSERT INTO api.list_places (place, number, partition, next)
VALUES (:place, :number, :partition, :next) ON CONFLICT (place, number, partition) DO UPDATE SET next = excluded.next"""

_RUNNING: Final = ", ".join(f"'{state}'" for state in RUNNING_STATES)
_WORKED_ON: Final = ", ".join(f"'{stage}'" for stage in sorted(WORKED_ON))
_OF: Final = """FROM scoring.published_leads AS sc LEFT JOIN stages.published_leads AS st USING (lead_id)
WHERE sc.lead_id = ANY(CAST(:lead_ids AS uuid[])) ORDER BY lead_id"""
_INDEX: Final = f"""INSERT INTO api.lead_index AS i (lead_id, engagement, fit, updated_at, deadline, stage, grade,
    owner, source, first_source, refresh_at)
SELECT lead_id, sc.engagement, sc.fit, greatest(sc.updated_at, st.updated_at), coalesce((
        SELECT min(c.deadline) FROM sla.published_clocks AS c WHERE c.lead_id = sc.lead_id AND c.state IN ({_RUNNING})),
        '9999-01-01 00:00:00+00'),
    coalesce(st.stage, 'lead'), sc.grade,
    CASE WHEN st.owner IS NULL AND st.stage IN ({_WORKED_ON}) THEN '{UNASSIGNED}' ELSE st.owner END,
    sc.source, sc.first_source,
    CASE WHEN sc.rule_totals <> '{{}}' THEN sc.as_of + interval '{REFRESHED_SECONDS} seconds' END
{_OF}
ON CONFLICT (lead_id) DO UPDATE SET engagement = excluded.engagement, fit = excluded.fit,
    updated_at = excluded.updated_at, deadline = excluded.deadline, stage = excluded.stage, grade = excluded.grade,
    owner = excluded.owner, source = excluded.source, first_source = excluded.first_source,
    refresh_at = excluded.refresh_at
WHERE (i.updated_at, i.deadline, i.stage, i.grade, i.owner, i.source, i.first_source, i.fit) IS DISTINCT FROM (
    excluded.updated_at, excluded.deadline, excluded.stage, excluded.grade, excluded.owner, excluded.source,
    excluded.first_source, excluded.fit)"""
# A blank before each word, so that one or two letters find what begins with them.
_WORDS: Final = f"""INSERT INTO api.lead_words AS w (lead_id, words)
SELECT lead_id, lower(concat(' ', concat_ws(' ', sc.email, sc.profile ->> 'name', sc.profile ->> 'company',
    sc.profile ->> 'title')))
{_OF}
ON CONFLICT (lead_id) DO UPDATE SET words = excluded.words WHERE w.words <> excluded.words"""
_GONE: Final = """DELETE FROM api.{table} WHERE lead_id = ANY(CAST(:lead_ids AS uuid[]))
AND NOT EXISTS (SELECT FROM scoring.published_leads AS sc WHERE sc.lead_id = {table}.lead_id)"""

# Rows that are being brought up to date are left for the next time: this never waits while it holds others.
_DUE: Final = f"""SELECT i.lead_id, sc.rule_totals, sc.accord FROM (
    SELECT lead_id FROM api.lead_index WHERE refresh_at <= :now ORDER BY refresh_at LIMIT {REFRESHED_MAX}
    FOR UPDATE SKIP LOCKED) AS i
LEFT JOIN scoring.published_leads AS sc USING (lead_id)"""
_REFRESH: Final = """UPDATE api.lead_index AS i SET engagement = now.engagement, refresh_at = now.refresh_at
FROM unnest(CAST(:lead_ids AS uuid[]), CAST(:engagements AS double precision[]), CAST(:times AS timestamptz[]))
    AS now (lead_id, engagement, refresh_at) WHERE i.lead_id = now.lead_id"""

_WALKED: Final = "SELECT walked_through FROM api.list_state"
_BEGIN_WALK: Final = """INSERT INTO api.list_state (walked_through) VALUES ('00000000-0000-0000-0000-000000000000')
ON CONFLICT (is_only) DO UPDATE SET walked_through = excluded.walked_through"""
_NEXT_LEADS: Final = f"""SELECT lead_id FROM scoring.published_leads WHERE lead_id > :walked
ORDER BY lead_id LIMIT {LEADS_MAX}"""
_WALK: Final = "UPDATE api.list_state SET walked_through = :walked"


class ListStore:
    """Each method is part of a transaction of the caller's."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def is_mine(self, connection: AsyncConnection) -> bool:
        """Whether this transaction may follow; nobody else can until it ends."""
        return await _locked(connection, _LOCK)

    async def is_mine_to_refresh(self, connection: AsyncConnection) -> bool:
        """The same for refreshing."""
        return await _locked(connection, _REFRESH_LOCK)

    async def told_of(self, connection: AsyncConnection) -> list[UUID]:
        """Leads of which something was said since the last look, which moves on. What was trimmed unseen, as at the
        first start, begins a walk over all leads."""
        places = [dict(row) for row in (await connection.execute(text(_PLACES))).mappings()]
        if any(place["next"] is None or place["next"] < place["first"] for place in places):
            await connection.execute(text(_BEGIN_WALK))
        for place in places:
            begins = max(place["next"] if place["next"] is not None else place["end"], place["first"])
            place |= {"begins": begins, "ends": min(place["end"], begins + EVENTS_MAX)}
        moved = [place for place in places if place["ends"] != place["next"]]
        lead_ids: list[UUID] = []
        for kind, rows in _ROWS.items():
            if of_kind := [place for place in moved if place["place"] == kind and place["ends"] > place["begins"]]:
                lead_ids += await _told(connection, rows, of_kind)
        for place in moved:
            values = {name: place[name] for name in ("place", "number", "partition")}
            await connection.execute(text(_MOVE), {**values, "next": place["ends"]})
        return lead_ids

    async def bring(self, connection: AsyncConnection, lead_ids: Sequence[UUID]) -> None:
        """Has these leads stand in the lists as the services have them now."""
        for statement in (_INDEX, _WORDS, _GONE.format(table="lead_index"), _GONE.format(table="lead_words")):
            await connection.execute(text(statement), {"lead_ids": list(lead_ids)})

    async def next_of_walk(self, connection: AsyncConnection) -> list[UUID]:
        """The next leads of a walk over all; none when there is no walk, or it is over."""
        walked = (await connection.execute(text(_WALKED))).scalar()
        if walked is None:
            return []
        lead_ids = [row[0] for row in await connection.execute(text(_NEXT_LEADS), {"walked": walked})]
        await connection.execute(text(_WALK), {"walked": lead_ids[-1] if lead_ids else None})
        return lead_ids

    async def due(self, connection: AsyncConnection, now: datetime) -> Sequence[Row]:
        """Leads whose engagement was looked at too long ago, with what it follows from."""
        return [dict(row) for row in (await connection.execute(text(_DUE), {"now": now})).mappings()]

    async def refresh(self, connection: AsyncConnection, rows: Sequence[tuple[UUID, float, datetime | None]]) -> None:
        """Lead, engagement now, and when it must be looked at again."""
        lead_ids, engagements, times = (list(column) for column in zip(*rows, strict=True))
        values: dict[str, Any] = {"lead_ids": lead_ids, "engagements": engagements, "times": times}
        await connection.execute(text(_REFRESH), values)


async def _told(connection: AsyncConnection, rows: str, places: Sequence[Row]) -> list[UUID]:
    columns = {"numbers": "number", "partitions": "partition", "starts": "begins", "ends": "ends"}
    values = {name: [place[field] for place in places] for name, field in columns.items()}
    return [row[0] for row in await connection.execute(text(_TOLD.format(rows=rows)), values)]


async def _locked(connection: AsyncConnection, lock: int) -> bool:
    locked = await connection.execute(text("SELECT pg_try_advisory_xact_lock(:lock)").bindparams(lock=lock))
    return bool(locked.scalar())
