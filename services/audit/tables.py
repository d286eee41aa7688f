"""The rows of many tables, lead by lead: one server-side cursor per table, ordered by lead, so that memory holds a
bounded number of rows whatever the size of the database."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

Row = Any  # asyncpg ships no types
FETCH_ROWS = 1_000


class Range(NamedTuple):
    """Leads from `first` to `last`, both included."""

    first: UUID
    last: UUID


class Table:
    """One table's rows of a range. `lead_id` is whose the next row is, None at the end."""

    def __init__(self, cursor: Any) -> None:
        self.lead_id: UUID | None = None
        self._cursor = cursor
        self._rows: Sequence[Row] = ()
        self._next = 0

    @classmethod
    async def open(cls, connection: Any, name: str, columns: Sequence[str], leads: Range, *order: str) -> "Table":
        """Needs an open transaction, in which the cursor lives. Names are ours, never input."""
        select = (
            f"SELECT {', '.join(columns)} FROM {name} WHERE lead_id BETWEEN $1 AND $2 "  # noqa: S608
            f"ORDER BY {', '.join(('lead_id', *order))}"
        )
        table = cls(await connection.cursor(select, *leads))
        await table._fetch()
        return table

    async def take(self, lead_id: UUID) -> list[Row]:
        """The rows of this lead, whose turn it is."""
        taken: list[Row] = []
        while self.lead_id == lead_id:
            rows, start = self._rows, self._next
            end = start + 1
            while end < len(rows) and rows[end][0] == lead_id:
                end += 1
            taken += rows[start:end]
            if end < len(rows):
                self._next, self.lead_id = end, rows[end][0]
            else:
                await self._fetch()
        return taken

    async def _fetch(self) -> None:
        self._rows, self._next = await self._cursor.fetch(FETCH_ROWS), 0
        self.lead_id = self._rows[0][0] if self._rows else None


async def by_lead(tables: Sequence[Table]) -> AsyncIterator[tuple[UUID, list[list[Row]]]]:
    """Every lead that any table has, in order, with its rows of each table."""
    while known := [table.lead_id for table in tables if table.lead_id is not None]:
        lead_id = min(known)
        yield lead_id, [await table.take(lead_id) if table.lead_id == lead_id else [] for table in tables]
