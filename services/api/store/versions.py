"""The steps of a version's life, each in one transaction that no other step runs beside."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.store.accords import ACCORDS_LOCK, version_row
from services.api.store.database import Row
from services.api.store.tables import ACCORDS, PUBLISHED_ACCORDS, SIGNATURES
from shared.agreement.life import Person, Shelf, Signing, Version

# From the moment that a signature is judged by until its commit come at most six statements. A process that stands
# still between two of them is cut off: the second signature is committed within its notice of 10 s, or not at all.
_IDLE_LIMIT = text("SET LOCAL idle_in_transaction_session_timeout = '1500ms'")
_LOCK = select(func.pg_advisory_xact_lock(ACCORDS_LOCK))


class Proposal(NamedTuple):
    """What is put on file."""

    document: dict[str, Any]
    source_text: str
    sha256: bytes
    effective_at: datetime | None


class Actor(NamedTuple):
    """Who acts, and when."""

    key_id: str
    name: str
    at: datetime


async def take_turn(connection: AsyncConnection) -> None:
    """Waits until no other step is under way; this one's turn lasts until the commit."""
    await connection.execute(_IDLE_LIMIT)
    await connection.execute(_LOCK)


async def shelf(connection: AsyncConnection) -> Shelf:
    """What is on file. A step calls it after `take_turn`; without it, it is what was so just now."""
    proposed = await connection.execute(select(ACCORDS.c.version).where(ACCORDS.c.state == "proposed"))
    joined = ACCORDS.join(PUBLISHED_ACCORDS, ACCORDS.c.version == PUBLISHED_ACCORDS.c.version)
    columns = (ACCORDS.c.version, ACCORDS.c.effective_at, ACCORDS.c.sha256)
    statement = select(*columns).select_from(joined).order_by(ACCORDS.c.effective_at.desc(), ACCORDS.c.version.desc())
    number, effective_at, sha256 = (await connection.execute(statement.limit(1))).one()
    return Shelf(proposed.scalar(), number, effective_at, bytes(sha256))


async def version(connection: AsyncConnection, number: int) -> tuple[Version, Row] | None:
    """The version as it stands, and its row."""
    row = await version_row(connection, number)
    if row is None:
        return None
    signers = [Person(signature["key_id"] or "", signature["side"]) for signature in row["signatures"]]
    return Version(number, row["state"], row["effective_at"], row["proposed_key_id"], signers), row


async def propose(connection: AsyncConnection, proposal: Proposal, actor: Actor) -> int:
    """The number of the new version."""
    number = func.coalesce(select(func.max(ACCORDS.c.version)).scalar_subquery(), 0) + 1
    values = {**proposal._asdict(), "state": "proposed", "proposed_by": actor.name, "proposed_key_id": actor.key_id}
    statement = insert(ACCORDS).values(version=number, created_at=actor.at, **values).returning(ACCORDS.c.version)
    return int((await connection.execute(statement)).scalar_one())


async def sign(
    connection: AsyncConnection, row: Row, signing: Signing, actor: Actor, *, asked: datetime | None
) -> None:
    """Adds the signature; with the second one the version is scheduled. `asked`: the time given with this one."""
    signature = {"version": row["version"], "side": signing.side, "sha256": row["sha256"], "effective_at": asked}
    signer = {"key_id": actor.key_id, "signed_by": actor.name, "signed_at": actor.at}
    await connection.execute(insert(SIGNATURES).values({**signature, **signer}))
    state = "scheduled" if signing.is_scheduled else "proposed"
    statement = ACCORDS.update().where(ACCORDS.c.version == row["version"])
    await connection.execute(statement.values(state=state, effective_at=signing.effective_at))


async def withdraw(connection: AsyncConnection, number: int, actor: Actor) -> None:
    """Takes a proposal back; its signatures stay on record."""
    statement = ACCORDS.update().where(ACCORDS.c.version == number)
    await connection.execute(statement.values(state="withdrawn", withdrawn_by=actor.name, withdrawn_at=actor.at))
