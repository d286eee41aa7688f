"""A group commit's ids, identities and receipts in; what is new and who it is about out."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from services.ingest.model import ErasureAsked, Identifier, Known, Receipt
from shared.db.statement import Write
from shared.errors import Raced

Connection = Any

_number = attrgetter("int")
EMAILS_CACHED_MAX = 200_000
TRIM_ROWS = 10_000

SEE = """INSERT INTO ingest.events_seen (event_id, received_at)
SELECT unnest($1::uuid[]), $2::timestamptz
ON CONFLICT (event_id) DO NOTHING RETURNING event_id"""

FIND = """SELECT kind, value, lead_id, is_tied FROM ingest.identities
JOIN unnest($1::text[], $2::text[]) AS wanted(kind, value) USING (kind, value)"""

CLAIM_EMAILS = """claimed AS (
INSERT INTO ingest.identities (kind, value, lead_id, is_tied)
SELECT 'email', value, lead_id, true FROM unnest($1::text[], $2::uuid[]) AS n(value, lead_id)
ON CONFLICT (kind, value) DO NOTHING RETURNING 1)"""

WRITE = """written AS (
INSERT INTO ingest.identities (kind, value, lead_id, is_tied)
SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::boolean[])
ON CONFLICT (kind, value) DO UPDATE SET lead_id = EXCLUDED.lead_id, is_tied = true WHERE EXCLUDED.is_tied
RETURNING 1)"""

KEEP = """kept AS (
INSERT INTO ingest.receipts (receipt_id, source_id, received_at, standing, kind, reason, items, sent, sent_bytes)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::json[],
    $8::text[], $9::integer[])
ON CONFLICT (receipt_id) DO UPDATE SET standing = EXCLUDED.standing, kind = EXCLUDED.kind, reason = EXCLUDED.reason,
    items = EXCLUDED.items)"""

WISH = """wished AS (
INSERT INTO ingest.erasure_wishes (lead_id, source_id, source, asked_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[])
ON CONFLICT (lead_id) DO NOTHING)"""

TIE = "UPDATE ingest.identities SET is_tied = true WHERE lead_id = ANY($1::uuid[]) AND NOT is_tied"

FORGET = """DELETE FROM ingest.events_seen WHERE event_id IN (
    SELECT event_id FROM ingest.events_seen WHERE received_at < $1 LIMIT $2)"""


# In the order of the keys, as publishers lock them; the log and the ids of events hold nobody's name.
ERASE = """WITH known AS (
    SELECT kind, value FROM ingest.identities WHERE lead_id = ANY($1::uuid[]) ORDER BY kind, value FOR UPDATE),
gone AS (DELETE FROM ingest.identities USING known WHERE identities.kind = known.kind
    AND identities.value = known.value),
granted AS (DELETE FROM ingest.erasure_wishes WHERE lead_id = ANY($1::uuid[]))
INSERT INTO ingest.erased (lead_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING"""


class IdentityStore:
    """Reads and writes through the lane's transaction. Emails that were read or committed are kept in memory: an
    email's lead doesn't change, and what a rolled-back transaction wrote is never kept."""

    def __init__(self) -> None:
        # Ordered, as a dict's first key is found by walking past the places of all that were deleted before it.
        self._emails: OrderedDict[Identifier, Known] = OrderedDict()

    @property
    def cached(self) -> int:
        return len(self._emails)

    async def see(self, connection: Connection, ids: Iterable[UUID], received_at: datetime) -> set[UUID]:
        """The ids among these that were never seen before; from now on they were."""
        rows = await connection.fetch(SEE, sorted(ids, key=_number), received_at)
        return {row[0] for row in rows}

    def see_all(self, ids: Iterable[UUID], received_at: datetime) -> Write:
        """None of these was seen before. Refused with Raced if one was."""
        ordered = sorted(ids, key=_number)  # as the ids themselves compare, which is Python
        return Write(f"seen AS ({SEE})", (ordered, received_at), "SELECT count(*) FROM seen", len(ordered), _raced)

    async def find(self, connection: Connection, identifiers: Iterable[Identifier]) -> dict[Identifier, Known]:
        """What is on file of these identifiers; one look-up for those that are not in memory."""
        found: dict[Identifier, Known] = {}
        missing: list[Identifier] = []
        for identifier in identifiers:
            cached = self._emails.get(identifier)
            if cached is None:
                missing.append(identifier)
            else:
                found[identifier] = cached
        if missing:
            kinds, values = zip(*missing, strict=True)
            for kind, value, lead_id, is_tied in await connection.fetch(FIND, kinds, values):
                found[kind, value] = known = Known(lead_id, is_tied)
                if kind == "email":
                    self._keep((kind, value), known)
        return found

    def claim_emails(self, emails: Mapping[str, UUID]) -> Write:
        """Writes new emails. Refused with Raced if another publisher was faster with one of them: look up again."""
        columns = list(zip(*sorted(emails.items()), strict=True))
        return Write(CLAIM_EMAILS, columns, "SELECT count(*) FROM claimed", len(emails), _raced)

    def write(self, rows: Sequence[tuple[str, str, UUID, bool]]) -> Write:
        """Writes other identifiers; those posted with an email (the last column) go to that email's lead. Refused with
        Raced if another publisher was faster with one of the others: look up again."""
        columns = list(zip(*sorted(rows), strict=True))
        return Write(WRITE, columns, "SELECT count(*) FROM written", len(rows), _raced)

    def keep(self, receipts: Sequence[Receipt]) -> Write:
        """Writes down what could not be used."""
        ordered = [one for _, one in sorted({one.id: one for one in receipts}.items())]
        columns: list[Sequence[Any]] = [[getattr(one, name) for one in ordered] for name in Receipt._fields]
        columns[Receipt._fields.index("items")] = [to_json(one.items).decode() for one in ordered]
        return Write(KEEP, columns)

    def wish(self, wishes: Mapping[UUID, ErasureAsked]) -> Write:
        """Writes down which leads are to be erased, and who asked; once, until it is done."""
        rows = [(lead, one.source_id, one.source, one.asked_at) for lead, one in sorted(wishes.items())]
        return Write(WISH, list(zip(*rows, strict=True)))

    async def tie(self, connection: Connection, lead_ids: Iterable[UUID]) -> None:
        """Marks all identifiers of leads that now have an email."""
        await connection.execute(TIE, sorted(lead_ids))

    def remember(self, emails: Mapping[str, UUID]) -> None:
        """Keeps emails in memory that were claimed and committed."""
        for email, lead_id in emails.items():
            self._keep(("email", email), Known(lead_id, True))

    async def forget(self, pool: Connection, now: datetime, days: int) -> int:
        """Deletes a bounded number of ids that are older than `days`. Returns how many."""
        status: str = await pool.execute(FORGET, now - timedelta(days=days), TRIM_ROWS)
        return int(status.split()[-1])

    def forget_leads(self, lead_ids: Iterable[UUID]) -> None:
        """Drops these leads' addresses from memory."""
        gone = set(lead_ids)
        for email in [email for email, known in self._emails.items() if known.lead_id in gone]:
            del self._emails[email]

    async def erase(self, pool: Connection, lead_ids: Sequence[UUID]) -> None:
        """Deletes all identifiers of these leads, and notes that they are erased."""
        await pool.execute(ERASE, sorted(lead_ids))

    def _keep(self, email: Identifier, known: Known) -> None:
        if len(self._emails) >= EMAILS_CACHED_MAX:
            self._emails.popitem(last=False)
        self._emails[email] = known


async def _raced(connection: Connection) -> Exception:
    return Raced()
