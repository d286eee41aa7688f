"""The accords on file: what is read of them, and the first one. The steps of a version's life: versions.py."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.store.cursors import Keys
from services.api.store.database import Database, Row
from services.api.store.tables import ACCORDS, PUBLISHED_ACCORDS, RESCORES, SIGNATURES
from shared.agreement.canonical import canonical_sha256
from shared.agreement.loading import load_accord
from shared.errors import InvalidDocument

# Version 1 also applies to every earlier event (ACCORD.md "Versions"), so it is effective since before all of them.
SINCE_EVER = datetime(1970, 1, 1, tzinfo=UTC)
# Whoever adds or changes a version holds this until the commit.
ACCORDS_LOCK = 0x6163635F616363
BOOTSTRAP = "bootstrap"

_NEWEST = """SELECT version, sha256 FROM api.accords JOIN api.published_accords USING (version)
    ORDER BY version DESC LIMIT 1"""
_INSERT = """INSERT INTO api.accords (version, document, source_text, sha256, effective_at, state, proposed_by)
    VALUES (1, $1::jsonb, $2, $3, $4, 'scheduled', $5)"""
_SIGN = """INSERT INTO api.signatures (version, side, signed_by, signed_at, sha256, effective_at)
    VALUES (1, $1, $1, now(), $2, $3)"""

# What is stored says what people did; whether a signed version is in effect, the view says as of now.
_STATE = func.coalesce(PUBLISHED_ACCORDS.c.state, ACCORDS.c.state).label("state")
_JOINED = ACCORDS.outerjoin(PUBLISHED_ACCORDS, ACCORDS.c.version == PUBLISHED_ACCORDS.c.version)
_WITHOUT_DOCUMENT = [column for column in ACCORDS.c if column.name not in ("document", "source_text", "state")]
_WHOLE = [column for column in ACCORDS.c if column.name != "state"]


class AccordStore:
    """Queries about accords. A row has its `signatures` with it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, keys: Keys | None, limit: int) -> Sequence[Row]:
        """Versions without their documents, the newest first."""
        statement = _select(_WITHOUT_DOCUMENT).order_by(ACCORDS.c.version.desc()).limit(limit)
        if keys is not None:
            statement = statement.where(ACCORDS.c.version < keys[0])
        async with self._database.transaction() as connection:
            return await _with_signatures(connection, statement)

    async def version(self, number: int) -> Row | None:
        async with self._database.transaction() as connection:
            return await version_row(connection, number)

    async def rescore(self, number: int) -> Row | None:
        """How far this version has rescored the leads; None if that has not begun."""
        return await self._database.row(select(RESCORES).where(RESCORES.c.version == number))

    async def before(self, number: int) -> Row | None:
        """The signed version that this one follows, without signatures; None for the first."""
        async with self._database.transaction() as connection:
            return await version_before(connection, number)


async def version_row(connection: AsyncConnection, number: int) -> Row | None:
    """One version whole, as this transaction sees it."""
    rows = await _with_signatures(connection, _select(_WHOLE).where(ACCORDS.c.version == number))
    return rows[0] if rows else None


async def version_before(connection: AsyncConnection, number: int) -> Row | None:
    """The signed version that this one follows, as this transaction sees it."""
    statement = _select(_WHOLE).where(PUBLISHED_ACCORDS.c.version < number).order_by(ACCORDS.c.version.desc()).limit(1)
    row = (await connection.execute(statement)).mappings().first()
    return dict(row) if row is not None else None


def _select(columns: Iterable[Any]) -> Select[Any]:
    return select(*columns, _STATE).select_from(_JOINED)


async def _with_signatures(connection: AsyncConnection, statement: Select[Any]) -> list[Row]:
    rows: list[Row] = [{**row, "signatures": []} for row in (await connection.execute(statement)).mappings()]
    by_version = {row["version"]: row["signatures"] for row in rows}
    if by_version:
        signed = select(SIGNATURES).where(SIGNATURES.c.version.in_(by_version)).order_by(SIGNATURES.c.signed_at)
        for signature in (await connection.execute(signed)).mappings():
            by_version[signature["version"]].append(dict(signature))
    return rows


async def bootstrap_accord(connection: Any, text: str) -> int:
    """Puts the first accord in effect at once, marked as not signed by people. Returns the newest signed version.

    With an accord on file nothing changes; raises InvalidDocument if the text differs from its newest signed version
    (a proposal that is still open stops nobody's start). `connection` is asyncpg's.
    """
    accord = load_accord(text)
    sha256 = canonical_sha256(accord)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", ACCORDS_LOCK)
        newest = await connection.fetchrow(_NEWEST)
        if newest is None:
            await connection.execute(_INSERT, json.dumps(accord.as_written()), text, sha256, SINCE_EVER, BOOTSTRAP)
            await connection.execute(_SIGN, BOOTSTRAP, sha256, SINCE_EVER)
            return 1
    if bytes(newest["sha256"]) != sha256:
        raise InvalidDocument(
            f"version {newest['version']} of the accord is on file and this document differs from it. A start changes "
            "no agreement: propose the document as a new version, for marketing and sales to sign, with "
            "`accord accords propose FILE`. Start without --accord to go on with the accord on file."
        )
    return int(newest["version"])
