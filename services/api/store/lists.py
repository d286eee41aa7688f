"""What lists filter and sort by, and what reports count: brought after the services' leads, some leads at a time.

What is written of a lead is read from what the services publish of it now; the log only says which leads to look at.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.model import RUNNING_STATES, UNASSIGNED, WORKED_ON
from services.api.store.database import Database, Row
from services.api.store.rollup import ROLL_UP

# One process at a time follows the log; the others look again when it has ended.
LOCK: Final = 0x6163635F6C7374
_REFRESH_LOCK: Final = 0x6163635F6C7375
EVENTS_MAX: Final = 2_000
# So few that the line hardly waits for the processor that they take: a fiftieth of a second. More at once cost no less.
LEADS_MAX: Final = 100
WALKED_MAX: Final = LEADS_MAX
# So few that requests of this process hardly wait for them: a millisecond or two of its time.
REFRESHED_MAX: Final = 100
REFRESHED_SECONDS: Final = 600

# A place that is new here is followed from where it begins: offsets from 0, rows of the outbox from 1.
_PLACES: Final = """SELECT place, number, partition, p.first, p.end, l.next,
    coalesce(l.next, CASE place WHEN 'log' THEN 0 ELSE 1 END) AS follows_from
FROM stream.published_places AS p LEFT JOIN api.list_places AS l USING (place, number, partition)"""
_STANDING: Final = f"""SELECT place, number, partition, p.end, follows_from, follows_from < first AS is_lost
FROM ({_PLACES}) AS p
UNION ALL SELECT 'walk', 0, 0, 0, 0, walked_through IS NOT NULL FROM api.list_state"""
# Each place is read by its index: without the order and the limit the planner would rather read the whole log, once it
# knows how many rows that has.
_TOLD: Final = """SELECT DISTINCT told.of_lead FROM unnest(CAST(:numbers AS integer[]), CAST(:partitions AS integer[]),
    CAST(:starts AS bigint[]), CAST(:ends AS bigint[])) AS place (number, partition, starts, ends)
CROSS JOIN LATERAL ({rows}) AS told"""
_ROWS: Final = {
    "log": f"""SELECT of_lead FROM stream.published_log AS l WHERE l.topic_id = place.number
    AND l.partition = place.partition AND l.log_offset >= place.starts AND l.log_offset < place.ends
    ORDER BY l.log_offset LIMIT {EVENTS_MAX}""",
    "outbox": f"""SELECT of_lead FROM stream.published_outbox AS b WHERE b.emitter_id = place.number
    AND b.row_number >= place.starts AND b.row_number < place.ends
    ORDER BY b.row_number LIMIT {EVENTS_MAX}""",
}
_MOVE: Final = """INSERT INTO api.list_places (place, number, partition, next)
SELECT * FROM unnest(CAST(:places AS text[]), CAST(:numbers AS integer[]), CAST(:partitions AS integer[]),
    CAST(:ends AS bigint[]))
ON CONFLICT (place, number, partition) DO UPDATE SET next = excluded.next"""

_RUNNING: Final = ", ".join(f"'{state}'" for state in RUNNING_STATES)
_WORKED_ON: Final = ", ".join(f"'{stage}'" for stage in sorted(WORKED_ON))
_OF: Final = """FROM scoring.published_leads AS sc LEFT JOIN stages.published_leads AS st USING (lead_id)
WHERE sc.lead_id = ANY(CAST(:lead_ids AS uuid[])) ORDER BY lead_id"""
_INDEX: Final = f"""INSERT INTO api.lead_index AS i (lead_id, engagement, fit, updated_at, deadline, stage, grade,
    owner, source, first_source, refresh_at)
SELECT lead_id, sc.engagement, sc.fit, greatest(sc.updated_at, st.updated_at), coalesce((
        SELECT min(c.deadline) FILTER (WHERE c.state IN ({_RUNNING})) FROM sla.published_clocks AS c
        WHERE c.lead_id = sc.lead_id), '9999-01-01 00:00:00+00'),
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

# Built once: the text of such a statement takes longer to read than its answer.
_BRING: Final = (
    *map(text, (_INDEX, _WORDS, _GONE.format(table="lead_index"), _GONE.format(table="lead_words"))),
    *ROLL_UP,
)

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
# With what remains of erased leads: reports count that too.
_NEXT_LEADS: Final = (
    " UNION ".join(
        f"(SELECT {lead_id} AS lead_id FROM {leads} WHERE {lead_id} > :walked ORDER BY 1 LIMIT {WALKED_MAX})"
        for leads, lead_id in (
            ("scoring.published_leads", "lead_id"),
            ("stages.published_leads", "lead_id"),
            ("api.nobodies", "nobody_id"),
        )
    )
    + f" ORDER BY lead_id LIMIT {WALKED_MAX}"
)
_WALK: Final = "UPDATE api.list_state SET walked_through = :walked"


class Told(NamedTuple):
    """Leads of which something was said at these places since the last look; `ends` is how far that looked at each.
    `left` is how many events lie behind those."""

    lead_ids: Sequence[UUID]
    places: Sequence[Mapping[str, Any]]
    left: int


class Standing(NamedTuple):
    """By place where something may have been said about a lead. `is_lost`: a walk over all leads is on, or must be."""

    is_lost: bool
    reached: Mapping[tuple[str, int, int], int]
    ends: Mapping[tuple[str, int, int], int]

    def is_past(self, ends: Mapping[tuple[str, int, int], int]) -> bool:
        """Whether all leads stand here as the services had them when the places reached so far, or later."""
        return not self.is_lost and all(self.reached.get(place, end) >= end for place, end in ends.items())


class ListStore:
    """Each method is part of a transaction of the caller's."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def is_mine(self, connection: AsyncConnection) -> bool:
        """Whether this transaction may follow; nobody else can until it ends."""
        return await _locked(connection, LOCK)

    async def is_mine_to_refresh(self, connection: AsyncConnection) -> bool:
        """The same for refreshing."""
        return await _locked(connection, _REFRESH_LOCK)

    async def told_of(self, connection: AsyncConnection) -> Told:
        """What was said since the last look. What was trimmed unseen, as at the first start, begins a walk over all
        leads."""
        places = [dict(row) for row in (await connection.execute(text(_PLACES))).mappings()]
        if any(place["follows_from"] < place["first"] for place in places):
            await connection.execute(text(_BEGIN_WALK))
        for place in places:
            begins = max(place["follows_from"], place["first"])
            place |= {"begins": begins, "ends": min(place["end"], begins + EVENTS_MAX)}
        moved = [place for place in places if place["ends"] != place["next"]]
        lead_ids: list[UUID] = []
        for kind, rows in _ROWS.items():
            if of_kind := [place for place in moved if place["place"] == kind and place["ends"] > place["begins"]]:
                lead_ids += await _told(connection, rows, of_kind)
        return Told(lead_ids, moved, sum(place["end"] - place["ends"] for place in moved))

    async def move(self, connection: AsyncConnection, places: Sequence[Mapping[str, Any]]) -> None:
        """All leads that were spoken of there have been brought: the next look begins behind."""
        if places:
            await connection.execute(text(_MOVE), {"places": [one["place"] for one in places], **_columns(places)})

    async def bring(self, connection: AsyncConnection, lead_ids: Sequence[UUID]) -> None:
        """Has these leads stand in the lists and reports as the services have them now."""
        for statement in _BRING:
            await connection.execute(statement, {"lead_ids": list(lead_ids)})

    async def standing(self) -> Standing:
        """How far the log is followed, and how far it reaches."""
        places = await self.database.rows(text(_STANDING))
        known = {(row["place"], row["number"], row["partition"]): row for row in places}
        return Standing(
            is_lost=any(row["is_lost"] for row in places),
            reached={place: row["follows_from"] for place, row in known.items()},
            ends={place: row["end"] for place, row in known.items()},
        )

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


async def _told(connection: AsyncConnection, rows: str, places: Sequence[Mapping[str, Any]]) -> list[UUID]:
    values = {**_columns(places), "starts": [place["begins"] for place in places]}
    return [row[0] for row in await connection.execute(text(_TOLD.format(rows=rows)), values)]


def _columns(places: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = {"numbers": "number", "partitions": "partition", "ends": "ends"}
    return {name: [place[field] for place in places] for name, field in names.items()}


async def _locked(connection: AsyncConnection, lock: int) -> bool:
    locked = await connection.execute(text("SELECT pg_try_advisory_xact_lock(:lock)").bindparams(lock=lock))
    return bool(locked.scalar())
