"""The Kafka carrier: ownership, numbers and positions stay in Postgres; events go through the outbox to Kafka topics.

A step's transaction writes its events to the outbox; the relay of its claim ships them; a feed reads the topics.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from shared.db.faults import DATABASE_ERRORS
from shared.db.statement import Write
from shared.errors import OwnershipLost, Poison
from shared.events.envelope import Outgoing, Record
from shared.events.topics import partition_of
from shared.stream import outbox_sql as sql
from shared.stream.carrier import Slot
from shared.stream.emission import event_columns
from shared.stream.feed import Feed
from shared.stream.handover import Handover
from shared.stream.kafka_client import MESSAGE_BYTES_MAX
from shared.stream.log import PostgresCarrier
from shared.stream.log_claim import Connection, Names, PostgresClaim
from shared.stream.log_transaction import Moves, PostgresTransaction
from shared.stream.metrics import Metrics
from shared.stream.relay import FLUSH_SECONDS, Relay, RelaySlot, Row, Send

ABANDONED_CHECK_SECONDS = 2.0
# What Kafka takes, less what a message has beside its value. A row that it doesn't take would stop its relay for ever.
EVENT_BYTES_MAX = MESSAGE_BYTES_MAX - 64 * 1024


class KafkaTransaction(PostgresTransaction):
    """Emits into the outbox."""

    places = "NULL"

    def __init__(self, claim: "KafkaClaim", connection: Connection, moves: Moves) -> None:
        super().__init__(claim, connection, moves)
        self.rows: list[Row] = []
        self._owner = claim

    async def put(self, outgoing: Sequence[Outgoing]) -> None:
        await super().put(outgoing)
        self._make_rows(outgoing)
        claim = self._owner
        self.moves = self.moves._replace(next_row=claim.next_row + len(outgoing), shipped_through=claim.shipped_through)

    def _make_rows(self, outgoing: Sequence[Outgoing]) -> None:
        if self.rows:
            raise RuntimeError("a transaction emits at most once: its numbers would be given twice")
        claim, last = self._owner, self.sequences
        for number, (topic, event) in enumerate(outgoing, claim.next_row):
            if len(event.value) > EVENT_BYTES_MAX:
                raise Poison(f"{event.type}: its {len(event.value)} bytes are larger than Kafka takes")
            place = (claim.names.topic_ids[topic], partition_of(event.key, claim.partitions))
            last[place] = seq = last.get(place, claim.sequences.get(place, 0)) + 1
            self.rows.append(Row(number, topic, place[1], seq, event))

    def _number(self, outgoing: Sequence[Outgoing]) -> Write:
        if self.moves.next_row is None:
            self._make_rows(outgoing)
        claim, topic_ids = self._owner, self._owner.names.topic_ids
        counted = [(*place, seq) for place, seq in sorted(self.sequences.items())]
        placed = [(row.number, topic_ids[row.topic], row.partition, row.seq) for row in self.rows]
        values = (
            claim.emitter_id,
            *zip(*counted, strict=True),
            *zip(*placed, strict=True),
            *event_columns(outgoing),
        )
        if not self.is_open:
            return Write(sql.EMIT, values)
        return Write(sql.EMIT_OPEN, (*values, self.rows[-1].number + 1, *claim.slot))

    def _numbers(self) -> Sequence[tuple[int, int]]:
        return [(row.partition, row.seq) for row in self.rows]

    def _emitted(self, first_offsets: Any) -> None:
        """Where the events lie, Kafka decides."""


class KafkaClaim(PostgresClaim):
    """A claim with its relay, reading from the feed of its service."""

    flush_seconds: float = FLUSH_SECONDS

    def __init__(self, *, feed: Feed, send: Send, pool: Any, metrics: Metrics, **of: Any) -> None:
        super().__init__(**of)
        self.next_row = 1
        self._feed = feed
        self._send = send
        self._pool = pool
        self._metrics = metrics
        self._relay: Relay | None = None
        self._relaying: asyncio.Task[None] | None = None

    @property
    def shipped_through(self) -> int:
        """The last row that Kafka is known to have acknowledged; 0 where nobody ships any more."""
        return self._relay.shipped_through if self._relay is not None else 0

    async def load(self, connection: Connection) -> None:
        await super().load(connection)
        self.next_row, shipped_through = await connection.fetchrow(sql.ROWS, *self.slot)
        if self._relay is not None:
            self._relay.expect(self.next_row - 1)
            return
        self._relay = Relay(
            RelaySlot(self.slot, self.epoch, self.emitter_id),
            send=self._send,
            pool=self._pool,
            topics=self.names.topics,
            metrics=self._metrics,
            shipped_through=shipped_through,
            last_row=self.next_row - 1,
        )
        self._relaying = asyncio.create_task(self._relay.run(), name=f"relay of {self.slot.emitter}")

    async def fetch(self, topics: Sequence[str], limit: int) -> Sequence[Record]:
        return await self._feed.fetch(self.slot.number, topics, self.positions, limit)

    async def shipped(self, timeout_seconds: float) -> bool:
        """Waits until Kafka has acknowledged every committed row; False at the time-out."""
        return self._relay is None or await self._relay.flush(timeout_seconds)

    async def release(self) -> None:
        """What is committed is shipped first, if that is quick; a successor ships what is left."""
        try:
            if self._relay is not None and self._relaying is not None and not self._relaying.done():
                await self._relay.flush(self.flush_seconds)
        finally:
            await self.abandon()
        await super().release()

    async def abandon(self) -> None:
        """Ends the relay where it is."""
        relay, relaying = self._relay, self._relaying
        self._relay = self._relaying = None
        if relay is None or relaying is None:
            return
        relaying.cancel()
        with suppress(asyncio.CancelledError):
            await relaying
        with suppress(OwnershipLost, *DATABASE_ERRORS):
            await relay.note()

    def fence(self, moves: Moves) -> Write:
        if moves.next_row is None:
            return super().fence(moves)
        fence = super().fence(moves)
        return fence._replace(tables=sql.FENCE, values=(*fence.values, moves.next_row, moves.shipped_through))

    def _transaction(self, connection: Connection, moves: Moves) -> KafkaTransaction:
        return KafkaTransaction(self, connection, moves)

    def _committed(self, transaction: PostgresTransaction) -> None:
        if isinstance(transaction, KafkaTransaction) and transaction.rows:
            self.next_row = transaction.rows[-1].number + 1
            if self._relay is not None:
                if not transaction.is_open:
                    self._relay.noted(transaction.moves.shipped_through)
                self._relay.give(transaction.rows)


class KafkaCarrier(PostgresCarrier):
    """Implements `Carrier`. `feed_of` gives the one feed of a service in this process."""

    claim_type: type[KafkaClaim] = KafkaClaim

    def __init__(
        self,
        *,
        pool: Any,
        connect: Callable[[], Awaitable[Connection]],
        partitions: int,
        names: Names,
        feed_of: Callable[[str], Feed],
        send: Send,
        metrics: Metrics,
    ) -> None:
        super().__init__(pool=pool, connect=connect, partitions=partitions, names=names, handover=Handover())
        self._feed_of = feed_of
        self._send = send
        self._metrics = metrics

    async def wait(self, slot: Slot, topics: Sequence[str], timeout_seconds: float) -> None:
        await self._feed_of(slot.service).wait(slot.number, timeout_seconds)

    def wake(self, slot: Slot) -> None:
        self._feed_of(slot.service).wake(slot.number)

    async def ship_abandoned_lanes(self, service: str) -> None:
        """For ever: ships what a lane holds whose publisher vanished, then gives the lane back."""
        while True:
            await asyncio.sleep(ABANDONED_CHECK_SECONDS)
            with suppress(OwnershipLost, *DATABASE_ERRORS):
                claim = await self._claim_lane(service, sql.ABANDONED)
                if isinstance(claim, KafkaClaim):
                    await claim.shipped(ABANDONED_CHECK_SECONDS)
                    await claim.release()

    def _new_claim(self, slot: Slot, epoch: int) -> KafkaClaim:
        return self.claim_type(
            feed=self._feed_of(slot.service),
            send=self._send,
            pool=self._pool,
            metrics=self._metrics,
            slot=slot,
            epoch=epoch,
            names=self._names,
            handover=self._handover,
            connect=self._connect,
            partitions=self.partitions,
        )
