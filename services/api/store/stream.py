"""What delivery keeps of the line's events, as the stream reads it: partition by partition, each in its own order."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, SMALLINT

from services.api.store.database import Database

_PLACE = (bindparam("partitions", type_=ARRAY(SMALLINT)), bindparam("numbers", type_=ARRAY(BIGINT)))

# A partition has one writer at a time, so what appears in it appears in the order of its numbers.
_FOLLOWING = text("""
SELECT e.partition, e.number, e.lead_id, e.type, e.body::text AS body
FROM unnest(:partitions, :numbers) AS stands(partition, number)
CROSS JOIN LATERAL (
    SELECT * FROM delivery.published_events k WHERE k.partition = stands.partition AND k.number > stands.number
    ORDER BY k.number LIMIT :most) AS e
ORDER BY e.number""").bindparams(*_PLACE)
_ENDS = text("""
SELECT p.partition, coalesce((
    SELECT k.number FROM delivery.published_events k WHERE k.partition = p.partition
    ORDER BY k.number DESC LIMIT 1), 0) AS number
FROM generate_series(0, :partitions - 1) AS p(partition) ORDER BY p.partition""")
_HORIZONS = text("SELECT partition, forgotten_through FROM delivery.published_horizons")


class Entry(NamedTuple):
    """One event as it was kept; without a body it was forgotten."""

    partition: int
    number: int
    lead_id: UUID
    type: str
    body: str | None


class StreamStore:
    """Reads the events of all partitions."""

    def __init__(self, database: Database, partitions: int) -> None:
        self._database = database
        self.partitions = partitions

    async def following(self, place: Sequence[int], most: int) -> list[Entry]:
        """What follows this place, at most so many of each partition."""
        asked = {"partitions": list(range(len(place))), "numbers": list(place), "most": most}
        rows = await self._database.rows(_FOLLOWING.bindparams(**asked))
        return [Entry(*row.values()) for row in rows]

    async def ends(self) -> list[int]:
        """The last number of each partition."""
        rows = await self._database.rows(_ENDS.bindparams(partitions=self.partitions))
        return [row["number"] for row in rows]

    async def horizons(self) -> list[int]:
        """Through which number each partition was forgotten."""
        known = {row["partition"]: row["forgotten_through"] for row in await self._database.rows(_HORIZONS)}
        return [known.get(partition, 0) for partition in range(self.partitions)]
