"""Leaves the verdict of an audit in the database, for `GET /v1/operations`: one row, of which the latest are kept."""

import json
from typing import Any, Final

from services.audit.findings import MEANING, Check
from services.audit.report import first
from services.audit.run import Audit
from shared.db.connections import connect

KEPT_MAX: Final = 100
_IS_READ_ONLY: Final = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean"
_ADD: Final = """INSERT INTO stream.audits (taken_at, seconds, is_clean, in_flight, skipped, counts, checks, first)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (taken_at) DO NOTHING"""
_TRIM: Final = """DELETE FROM stream.audits
WHERE taken_at <= (SELECT taken_at FROM stream.audits ORDER BY taken_at DESC OFFSET $1 LIMIT 1)"""


async def record(database_url: str, found: Audit) -> bool:
    """False where nothing can be written: on a replica. The text of a difference names ids, never a person."""
    connection = await connect(database_url, "accord-audit")
    try:
        if await connection.fetchval(_IS_READ_ONLY):
            return False
        texts = (json.dumps(part) for part in (found.in_flight, found.skipped, dict(found.counts), _checks(found)))
        shown = json.dumps([{"check": check, "difference": sentence} for check, sentence in first(found)])
        async with connection.transaction():
            await connection.execute(_ADD, found.taken_at, found.seconds, found.is_clean, *texts, shown)
            await connection.execute(_TRIM, KEPT_MAX)
    finally:
        await connection.close()
    return True


def _checks(found: Audit) -> list[dict[str, Any]]:
    """In the order of the report."""
    findings = found.findings
    return [
        {
            "check": check,
            "must_hold": MEANING[check][0],
            "unit": MEANING[check][1],
            "looked_at": findings.checked[check],
            "differences": findings.differences.get(check, 0),
        }
        for check in Check
        if check in findings.checked
    ]
