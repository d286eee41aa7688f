"""The accords on file."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from services.api.store.cursors import Keys
from services.api.store.database import Database, Row
from services.api.store.tables import ACCORDS
from shared.agreement.canonical import canonical_sha256
from shared.agreement.loading import load_accord
from shared.errors import InvalidDocument

# Version 1 also applies to every earlier event (ACCORD.md "Versions"), so it is effective since before all of them.
SINCE_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_ACCORD_LOCK = 0x6163635F616363
_BOOTSTRAP_SIGNATURE = {
    "by": "bootstrap",
    "role": None,
    "is_person": False,
    "note": "put in effect at the first start; not signed by people",
}

_NEWEST = "SELECT version, sha256 FROM api.accords ORDER BY version DESC LIMIT 1"
_INSERT = """INSERT INTO api.accords (version, document, source_text, sha256, effective_at, state, signed_by)
    VALUES (1, $1::jsonb, $2, $3, $4, 'effective', $5::jsonb)"""


class AccordStore:
    """Queries about accords."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, keys: Keys | None, limit: int) -> Sequence[Row]:
        """Versions without their documents, the newest first."""
        columns = [column for column in ACCORDS.c if column.name not in ("document", "source_text")]
        statement = select(*columns).order_by(ACCORDS.c.version.desc()).limit(limit)
        if keys is not None:
            statement = statement.where(ACCORDS.c.version < keys[0])
        return await self._database.rows(statement)

    async def version(self, number: int) -> Row | None:
        return await self._database.row(select(ACCORDS).where(ACCORDS.c.version == number))


async def bootstrap_accord(connection: Any, text: str) -> int:
    """Puts the first accord in effect at once, marked as not signed by people. Returns the newest version on file.

    With an accord on file nothing changes; raises InvalidDocument if the text is another one. `connection` is
    asyncpg's.
    """
    accord = load_accord(text)
    sha256 = canonical_sha256(accord)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _FIRST_ACCORD_LOCK)
        newest = await connection.fetchrow(_NEWEST)
        if newest is None:
            signed_by = json.dumps([_BOOTSTRAP_SIGNATURE | {"sha256": sha256.hex()}])
            await connection.execute(_INSERT, json.dumps(accord.as_written()), text, sha256, SINCE_EVER, signed_by)
            return 1
    if bytes(newest["sha256"]) != sha256:
        raise InvalidDocument(
            f"version {newest['version']} of the accord is on file and stays in effect; this document differs from it. "
            "A change must be proposed as a new version and signed by marketing and sales: `accord accords propose`, "
            "which comes with a later release. Start without --accord to go on with the accord on file."
        )
    return int(newest["version"])
