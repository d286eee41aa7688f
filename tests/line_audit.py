"""`accord audit` as the fault tests call it: once a line is quiet, nothing may be in flight and nothing may differ."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

import asyncpg

from services.audit import line_sql
from services.audit.report import first
from services.audit.run import Audit, audit

ACCEPTED = "SELECT event_id FROM ingest.events_seen"
# One statement, so one snapshot: a promise that is announced between two looks is missed by both.
IS_QUIET = f"""SELECT NOT EXISTS ({line_sql.IN_FLIGHT})
    AND NOT EXISTS (SELECT FROM sla.clocks WHERE next_due_at IS NOT NULL OR then_due_at IS NOT NULL)"""


async def is_quiet(connection: Any) -> bool:
    """Whether every reader has read everything and no promise waits to be announced: nothing will move by itself."""
    return bool(await connection.fetchval(IS_QUIET))


async def assert_line_is_whole(database_url: str, accepted: Collection[UUID]) -> Audit:
    """`accepted` are the ids of all events that were answered 202: no other may have been accepted."""
    found = await audit(database_url)
    assert found.is_clean, "\n".join(sentence for _, sentence in first(found))
    assert found.in_flight == {}
    connection = await asyncpg.connect(database_url)
    try:
        assert {row[0] for row in await connection.fetch(ACCEPTED)} == set(accepted)
    finally:
        await connection.close()
    return found
