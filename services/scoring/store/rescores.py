"""How far each version has rescored the leads of a partition, and who is still to be rescored."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from services.scoring.model import Done, LedgerLine, Line, Older, State, Tally, instant
from services.scoring.model.grants import Granted
from services.scoring.store.tables import decode_state, done_from, keep_ledger
from shared.db.columns import columns
from shared.db.statement import Write
from shared.events.codec import encode

FIRST = UUID(int=0)

_FINISHED = "SELECT version FROM scoring.rescores WHERE partition = $1 AND finished_at IS NOT NULL"
_AFTER = "SELECT after_lead_id FROM scoring.rescores WHERE version = $1 AND partition = $2"
_BEHIND = """
SELECT lead_id, state FROM scoring.leads WHERE partition = $1 AND accord = $2 AND lead_id > $3 ORDER BY lead_id LIMIT $4
"""
_PARTIAL = "SELECT version, number, line FROM scoring.rescoring WHERE lead_id = $1"
_DONE_BETWEEN = """
SELECT event_id, received_at, body FROM scoring.history
WHERE lead_id = $1 AND number > $2 AND number <= $3 AND kind = 'activity' ORDER BY number
"""
_GRANTS_UNDER = (
    "SELECT rule, points, occurred_at FROM scoring.ledger WHERE lead_id = $1 AND accord = $2 AND points <> 0"
)
_LEFT = "SELECT coalesce(sum(leads - done), 0)::integer FROM scoring.rescores WHERE finished_at IS NULL"

# A rescore begins with the count of those who carry an earlier version: the statement sees them as they were before.
_COUNT = """
tallied AS (
    SELECT * FROM unnest($2::integer[], $3::text[], $4::boolean[], $5::integer[], $6::integer[], $7::integer[],
        $8::integer[], $9::uuid[])
    AS tallied (version, older, begins, joined, done, changed, newly_qualifying, after_lead_id)),
went_on AS (
    UPDATE scoring.rescores AS r SET leads = r.leads + t.joined, done = r.done + t.done,
        changed = r.changed + t.changed, newly_qualifying = r.newly_qualifying + t.newly_qualifying,
        after_lead_id = coalesce(t.after_lead_id, r.after_lead_id),
        finished_at = CASE WHEN t.joined = 0 THEN r.finished_at END
    FROM tallied t WHERE r.version = t.version AND r.partition = $1 RETURNING r.version),
begun AS (
    INSERT INTO scoring.rescores (version, partition, leads, done, changed, newly_qualifying, after_lead_id)
    SELECT t.version, $1, t.joined + (SELECT count(*) FROM scoring.leads l
        WHERE l.partition = $1 AND l.accord = ANY(string_to_array(t.older, ',')::integer[])),
        t.done, t.changed, t.newly_qualifying, t.after_lead_id
    FROM tallied t WHERE t.begins AND NOT EXISTS (SELECT FROM went_on w WHERE w.version = t.version))
"""
# Nobody is left. That what was counted at the beginning was done is so unless leads were erased meanwhile.
_FINISH = """
finished AS (
    INSERT INTO scoring.rescores AS r (version, partition, leads, done, changed, newly_qualifying, finished_at)
    VALUES ($1, $2, 0, 0, 0, 0, now())
    ON CONFLICT (version, partition) DO UPDATE SET leads = r.done, finished_at = now())
"""
_KEEP_PARTIAL = """
put_by AS (
    INSERT INTO scoring.rescoring (lead_id, version, number, line) VALUES ($1, $2, $3, $4)
    ON CONFLICT (lead_id) DO UPDATE SET version = excluded.version, number = excluded.number, line = excluded.line)
"""
_DROP_PARTIAL = "dropped AS (DELETE FROM scoring.rescoring WHERE lead_id = $1)"
_LINE = msgspec.json.Decoder(tuple[dict[str, Any], dict[str, Any], dict[str, Any], int])


class Partial(NamedTuple):
    """A long history, granted anew by a version up to this number."""

    version: int
    number: int
    line: Line


class RescoreStore:
    """The tables of rescoring."""

    async def finished(self, connection: Any, partition: int) -> set[int]:
        """The versions under which every lead of this partition was rescored."""
        return {row[0] for row in await connection.fetch(_FINISHED, partition)}

    async def after(self, connection: Any, version: int, partition: int) -> UUID | None:
        """Where the rescore goes on; None if it hasn't begun."""
        row = await connection.fetchrow(_AFTER, version, partition)
        return None if row is None else row[0] or FIRST

    async def behind(
        self, connection: Any, partition: int, *, accord: int, after: UUID, limit: int
    ) -> list[tuple[UUID, State]]:
        """The next leads that carry this version, in the order of their ids."""
        rows = await connection.fetch(_BEHIND, partition, accord, after, limit)
        return [(lead_id, decode_state(state)) for lead_id, state in rows]

    async def partial(self, connection: Any, lead_id: UUID) -> Partial | None:
        """What is half done of this lead."""
        row = await connection.fetchrow(_PARTIAL, lead_id)
        return None if row is None else Partial(row[0], row[1], decode_line(row[2]))

    async def done_between(self, connection: Any, lead_id: UUID, after: int, through: int) -> list[Done]:
        """What the lead did by these numbers of its history."""
        return [done_from(*row) for row in await connection.fetch(_DONE_BETWEEN, lead_id, after, through)]

    async def older(self, connection: Any, lead_id: UUID, accord: int, number: int) -> Older:
        """All that this version has granted anew, up to that number: slow, and asked for only by late activities."""
        rows = await connection.fetch(_GRANTS_UNDER, lead_id, accord)
        grants = [(rule, instant(occurred_at), points) for rule, points, occurred_at in rows]
        return Older(grants, await self.done_between(connection, lead_id, 0, number))

    async def left(self, connection: Any) -> int:
        """The leads still to be rescored, of all versions and partitions; one counts for each version."""
        return int(await connection.fetchval(_LEFT))

    def count(self, tallies: Mapping[int, Tally], partition: int, after: UUID | None = None) -> Write:
        """Moves the progress; `after` is where the next step goes on."""
        rows = [
            (
                version,
                ",".join(map(str, tally.older)),
                tally.done > 0 or after is not None,
                tally.joined,
                tally.done,
                tally.changed,
                tally.newly_qualifying,
                after,
            )
            for version, tally in tallies.items()
        ]
        return Write(_COUNT, (partition, *columns(rows)))

    def finish(self, version: int, partition: int) -> Write:
        """Nobody of this partition carries an earlier version."""
        return Write(_FINISH, (version, partition))

    def keep_partial(self, lead_id: UUID, partial: Partial, ledger: Sequence[LedgerLine]) -> list[Write]:
        """What a step did of a long history."""
        kept = Write(_KEEP_PARTIAL, (lead_id, partial.version, partial.number, encode_line(partial.line)))
        return [kept, keep_ledger(ledger)] if ledger else [kept]

    def drop_partial(self, lead_id: UUID) -> Write:
        """The rescore is done."""
        return Write(_DROP_PARTIAL, (lead_id,))


def encode_line(line: Line) -> str:
    """As JSON text."""
    granted, as_of = line
    return encode((granted.totals, granted.windows, granted.preceding, as_of)).decode()


def decode_line(text: str) -> Line:
    """The line that was encoded, to the last digit."""
    totals, windows, preceding, as_of = _LINE.decode(text)
    return Line(Granted((), totals, windows, preceding), as_of)
