"""Erases leads: a handler around a service's own one. `accord.lead.erased` takes every row that bears the lead's id out
of the service's schema, in the step that reads it, and goes on down the line; a tombstone drops what still surfaces.

The tombstones of a month are kept in memory: topics keep nothing longer, and only the owner adds some.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from shared.db.statement import Write
from shared.events.activity import LeadErased
from shared.events.envelope import Event, Outgoing, Record, derived_id
from shared.stream.carrier import Transaction
from shared.stream.handler import Handler

_TABLES: Final = """SELECT c.table_name FROM information_schema.columns c JOIN information_schema.tables t
    USING (table_schema, table_name)
WHERE c.table_schema = $1 AND c.column_name = 'lead_id' AND t.table_type = 'BASE TABLE' AND c.table_name <> 'erased'
ORDER BY c.table_name"""


class Erasure(NamedTuple):
    """What erasing means in one service: its name and schema, and the topic on which the event goes on, if any.

    With `keeps_ids` the ids of what was applied or dropped stay, so that an audit still finds what became of each.
    """

    service: str
    schema: str
    forward: str | None = None
    keeps_ids: bool = False


class Forgetful(Handler, Protocol):
    """A handler that remembers leads between steps."""

    def forget(self, lead_ids: Iterable[UUID]) -> None: ...


class ErasingHandler:
    """Implements `Handler` for one partition."""

    def __init__(self, inner: Handler, erasure: Erasure, forget: Callable[[Iterable[UUID]], None]) -> None:
        self._inner = inner
        self._erasure = erasure
        self._forget = forget
        self._epoch = 0
        self._erased: set[UUID] = set()
        self._tables: tuple[str, ...] = ()

    async def handle(self, transaction: Transaction, records: Sequence[Record]) -> Sequence[Outgoing]:
        if transaction.epoch != self._epoch:
            await self._remember(transaction)
        asked = {record.event.key: record.event for record in records if record.event.type == LeadErased.TYPE}
        if not asked and not self._erased:
            return await self._inner.handle(transaction, records)
        gone = self._erased | asked.keys()
        kept = [record for record in records if record.event.key not in gone]
        outgoing = list(await self._inner.handle(transaction, kept)) if kept else []
        if asked:
            transaction.add(Write(self._deletions(), (list(asked),)))
            transaction.on_commit(partial(self._erase, list(asked)))
        if self._erasure.keeps_ids and len(kept) < len(records):
            dropped = [record.event.id for record in records if record.event.key in gone]
            transaction.add(Write(self._kept_ids(), (sorted(set(dropped)),)))
        if self._erasure.forward is not None:
            outgoing += [Outgoing(self._erasure.forward, _onward(event, self._erasure)) for event in asked.values()]
        return outgoing

    def _erase(self, lead_ids: Sequence[UUID]) -> None:
        self._erased.update(lead_ids)
        self._forget(lead_ids)

    async def _remember(self, transaction: Transaction) -> None:
        reader: Any = transaction.reader
        erased = await reader.fetch(
            f"SELECT lead_id FROM {self._erasure.schema}.erased WHERE erased_at > now() - interval '31 days'"
        )
        self._tables = tuple(row[0] for row in await reader.fetch(_TABLES, self._erasure.schema))
        self._erased = {row[0] for row in erased}
        self._epoch = transaction.epoch

    def _deletions(self) -> str:
        schema = self._erasure.schema
        parts = [
            f"gone_{table} AS (DELETE FROM {schema}.{table} WHERE lead_id = ANY($1::uuid[]) RETURNING *)"
            for table in self._tables
        ]
        parts.append(
            "gone_letters AS (DELETE FROM stream.dead_letters WHERE key = ANY($1::uuid[])"
            f" AND service = '{self._erasure.service}' RETURNING event_id)"
        )
        parts.append(
            f"tombstones AS (INSERT INTO {schema}.erased (lead_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING)"
        )
        if self._erasure.keeps_ids:
            parts.append(
                f"ids_of_erased AS (INSERT INTO {schema}.erased_events (event_id)"
                " SELECT event_id FROM gone_history UNION SELECT event_id FROM gone_letters ON CONFLICT DO NOTHING)"
            )
        return ", ".join(parts)

    def _kept_ids(self) -> str:
        insert = f"INSERT INTO {self._erasure.schema}.erased_events (event_id)"
        return f"ids_of_dropped AS ({insert} SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING)"


def erasing(inner: Handler, erasure: Erasure) -> ErasingHandler:
    """For a handler that remembers nothing between steps."""
    return ErasingHandler(inner, erasure, lambda _: None)


def erasing_forgetful(inner: Forgetful, erasure: Erasure) -> ErasingHandler:
    """For one that does."""
    return ErasingHandler(inner, erasure, inner.forget)


def _onward(event: Event, erasure: Erasure) -> Event:
    return event._replace(id=derived_id(event.id, LeadErased.TYPE, erasure.service), cause=event.id)
