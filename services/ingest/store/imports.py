"""Files under way: their chunks, how far each is read, its refused rows; sealed bodies come in and go out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from services.ingest.store import imports_sql as sql
from shared.db.statement import Write
from shared.errors import Poison, Unavailable

Connection = Any

UPLOAD_LEASE_SECONDS: Final = 900  # at the least that the edge takes of a body a second, a block comes in 256 s
READ_LEASE_SECONDS: Final = 15
_TRIMMED_AT_ONCE: Final = 20


class Begun(NamedTuple):
    """An upload under way."""

    import_id: UUID
    source_id: UUID
    uploaded_by: str
    plan: str


class Chunk(NamedTuple):
    """Whole rows of a file, sealed. `size` is its part of the file's bytes."""

    number: int
    first_line: int
    rows: int
    size: int
    body: bytes


class File(NamedTuple):
    """What is known of a file once all of it is here."""

    sha256: str
    bytes: int
    rows: int


class Claimed(NamedTuple):
    """A file that this process reads next. `moves` counts what happened to it: a commit that finds another number than
    it began with is refused. Of its first chunk, all rows up to `after_at` and `after_line` are committed."""

    import_id: UUID
    plan: str
    sha256: str
    rejected: int
    moves: int
    after_at: datetime | None
    after_line: int | None


class Step(NamedTuple):
    """What is written in the commit of some rows. The chunk is done without `after`, and with the last one the import;
    `failure` ends it too."""

    claimed: Claimed
    claimed_by: UUID
    chunk: Chunk
    is_last: bool
    after: tuple[datetime, int] | None = None
    rows: int = 0
    rejected: int = 0
    ignored: int = 0
    first_errors: str = "[]"
    refused: bytes | None = None
    failure: str | None = None

    @property
    def state(self) -> str:
        """Of the import, after it."""
        if self.failure is not None:
            return "failed"
        return "done" if self.is_last and self.after is None else "running"


class ImportStore:
    """Works on a pool; `progress` is part of a lane's commit."""

    async def begin(self, pool: Connection, begun: Begun, pending_max: int) -> bool:
        """False if as many files as may be are under way."""
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(sql.ONE_AT_A_TIME)
            values = (*begun, UPLOAD_LEASE_SECONDS, pending_max)
            return await connection.fetchval(sql.BEGIN, *values) is not None

    async def add(self, pool: Connection, import_id: UUID, chunk: Chunk) -> None:
        """Raises Unavailable if the upload was given up meanwhile."""
        if await pool.fetchval(sql.ADD, import_id, UPLOAD_LEASE_SECONDS, *chunk) is None:
            raise Unavailable("this upload was given up")

    async def finish(self, pool: Connection, import_id: UUID, file: File) -> Any:
        """From now on it is read; its row, as it is shown. Raises Unavailable if the upload was given up meanwhile."""
        row = await pool.fetchrow(sql.FINISH, import_id, *file)
        if row is None:
            raise Unavailable("this upload was given up")
        return row

    async def discard(self, pool: Connection, import_id: UUID) -> None:
        """Everything of an upload that wasn't finished."""
        await pool.execute(sql.DISCARD, import_id)

    async def claim(self, pool: Connection, claimed_by: UUID) -> Claimed | None:
        """The file whose turn it is; None if there is none."""
        row = await pool.fetchrow(sql.CLAIM, claimed_by, READ_LEASE_SECONDS)
        return None if row is None else Claimed(*row)

    async def release(self, pool: Connection, claimed_by: UUID) -> None:
        await pool.execute(sql.RELEASE, claimed_by)

    async def next_chunk(self, pool: Connection, import_id: UUID) -> tuple[Chunk, bool] | None:
        """The first one that isn't read to its end, and whether it is the last."""
        row = await pool.fetchrow(sql.NEXT_CHUNK, import_id)
        return None if row is None else (Chunk(*row[:-1]), row[-1])

    async def moves(self, pool: Connection, import_id: UUID) -> int | None:
        found: int | None = await pool.fetchval(sql.MOVES, import_id)
        return found

    def progress(self, step: Step, accepted: int, duplicates: int) -> Write:
        """Refused with Poison if something else happened to the import meanwhile."""
        after_at, after_line = step.after or (None, None)
        claimed, chunk = step.claimed, step.chunk
        counts = (step.rows, accepted, duplicates, step.rejected, step.ignored)
        values = (
            *(claimed.import_id, step.claimed_by, claimed.moves, chunk.number, after_at, after_line, *counts),
            *(chunk.size if step.after is None else 0, step.first_errors, step.refused, step.failure),
            *(step.after is None, step.state, READ_LEASE_SECONDS),
        )
        return Write(sql.PROGRESS, values, "SELECT count(*) FROM import_moved", 1, _moved_on)

    async def end(self, pool: Connection, claimed: Claimed, failure: str | None) -> None:
        """Outside of a commit: of a file that can't be read on, or has nothing left."""
        await pool.execute(sql.END, claimed.import_id, claimed.moves, failure)

    async def one(self, pool: Connection, import_id: UUID) -> Any:
        """Its row, as it is shown; None if there is none."""
        return await pool.fetchrow(sql.ONE, import_id)

    async def listed(
        self, pool: Connection, source_id: UUID | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Any]:
        """The latest first."""
        rows: Sequence[Any] = await pool.fetch(sql.LISTED, source_id, *(before or (None, None)), limit)
        return rows

    async def refused_after(self, pool: Connection, import_id: UUID, number: int) -> tuple[int, bytes] | None:
        """The refused rows of the next chunk that has some."""
        row = await pool.fetchrow(sql.REFUSED_AFTER, import_id, number)
        return None if row is None else (row[0], row[1])

    async def pending(self, pool: Connection) -> tuple[int, float]:
        """How many files are under way, and for how many seconds the oldest of them."""
        row = await pool.fetchrow(sql.PENDING)
        return row[0], float(row[1])

    async def trim(self, pool: Connection, not_after: datetime, refused_bytes_max: int) -> int:
        """Deletes a bounded number of those that ended before that time, uploads that nobody goes on with, and refused
        rows of the oldest beyond so many bytes. Returns of how many chunks these were."""
        await pool.execute(sql.TRIM, not_after, _TRIMMED_AT_ONCE)
        return int((await pool.execute(sql.TRIM_REFUSED, refused_bytes_max)).split()[-1])


async def _moved_on(_: Connection) -> Exception:
    return Poison("this import was changed by somebody else")
