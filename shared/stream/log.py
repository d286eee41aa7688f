"""The Postgres carrier: log, counters and owners are tables of the schema `stream`, on one machine or several.

An offset comes from a counter row that stays locked until the commit, so offsets appear in order and without holes.
"""

import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from shared.clock import new_id
from shared.stream import operations
from shared.stream import positions as positions_
from shared.stream.carrier import End, Missing, Position, Slot
from shared.stream.handover import Handover
from shared.stream.log_claim import Names, PostgresClaim

Connection = Any  # asyncpg ships no types
Connect = Callable[[], Awaitable[Connection]]

LANE_LEASE_SECONDS = 15

TAKE = """
INSERT INTO stream.ownership (service, kind, number, epoch, owner, positions, leased_until)
VALUES ($1, $2, $3, 1, $4, $5::jsonb, now() + make_interval(secs => $6))
ON CONFLICT (service, kind, number) DO UPDATE SET epoch = stream.ownership.epoch + 1, owner = EXCLUDED.owner,
    leased_until = EXCLUDED.leased_until, positions = EXCLUDED.positions || stream.ownership.positions
RETURNING epoch"""

FREE_LANE = """
SELECT lane
FROM generate_series(0, (SELECT count(*) FROM stream.ownership WHERE service = $1 AND kind = 'lane')) AS lane
WHERE NOT EXISTS (SELECT FROM stream.ownership o WHERE o.service = $1 AND o.kind = 'lane' AND o.number = lane
    AND o.leased_until > now())
ORDER BY lane LIMIT 1"""

POSITION = """SELECT positions -> $2
FROM stream.ownership WHERE service = $1 AND kind = 'partition' AND number = $3"""

END = """SELECT e.name, s.seq
FROM stream.sequences s JOIN stream.topics t USING (topic_id) JOIN stream.emitters e USING (emitter_id)
WHERE t.name = $1 AND s.partition = $2"""

# One snapshot: what a service emitted in the step that moved its position is in it too.
ALL_READ = """SELECT NOT EXISTS (
    SELECT FROM unnest($1::text[], $2::text[]) AS r(service, topic)
    JOIN stream.topics t ON t.name = r.topic JOIN stream.sequences s ON s.topic_id = t.topic_id AND s.partition = $3
    JOIN stream.emitters e USING (emitter_id)
    LEFT JOIN stream.ownership o ON o.service = r.service AND o.kind = 'partition' AND o.number = $3
    WHERE s.seq > coalesce((o.positions -> r.topic -> 1 ->> e.name)::bigint, 0))"""


class PostgresCarrier:
    """Implements `Carrier`. Each claim has a connection of its own, made by `connect`; `pool` serves look-ups."""

    def __init__(
        self, *, pool: Connection, connect: Connect, partitions: int, names: Names, handover: Handover
    ) -> None:
        self.partitions = partitions
        self.is_full = False
        self._pool = pool
        self._connect = connect
        self._names = names
        self._handover = handover
        # No two processes have the same: containers may share a host name and all have process 1.
        self.owner = f"{socket.gethostname()}/{new_id().hex[:8]}/{os.getpid()}"

    async def claim(self, slot: Slot, topics: Sequence[str] = ()) -> PostgresClaim:
        start = json.dumps(positions_.to_json(dict.fromkeys(topics, positions_.START)))
        connection = await self._connect()
        try:
            # ON CONFLICT waits on the row lock for any commit in flight of the former owner.
            epoch = await connection.fetchval(
                TAKE, slot.service, slot.kind, slot.number, self.owner, start, LANE_LEASE_SECONDS
            )
            claim = self._new_claim(slot, epoch)
            await claim.load(connection)
        except BaseException:
            connection.terminate()
            raise
        return claim

    def _new_claim(self, slot: Slot, epoch: int) -> PostgresClaim:
        return PostgresClaim(
            slot=slot,
            epoch=epoch,
            names=self._names,
            handover=self._handover,
            connect=self._connect,
            partitions=self.partitions,
        )

    async def claim_lane(self, service: str) -> PostgresClaim:
        claim = await self._claim_lane(service, FREE_LANE)
        if claim is None:
            raise RuntimeError("there is always a free lane: they are counted one past the last")
        return claim

    async def _claim_lane(self, service: str, number_of: str) -> PostgresClaim | None:
        """Takes the lane that the query names; None if it names none."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('accord lane ' || $1))", service)
            number = await connection.fetchval(number_of, service)
            if number is None:
                return None
            slot = Slot(service, "lane", number)
            await connection.execute(TAKE, service, "lane", number, self.owner, "{}", LANE_LEASE_SECONDS)
        return await self.claim(slot)

    async def wait(self, slot: Slot, topics: Sequence[str], timeout_seconds: float) -> None:
        await self._handover.wait(slot, topics, timeout_seconds)

    def wake(self, slot: Slot) -> None:
        self._handover.wake(slot)

    def set_full(self, is_full: bool) -> None:
        """What the trimmer found."""
        self.is_full = is_full

    async def end(self, topic: str, partition: int) -> End:
        return dict(await self._pool.fetch(END, topic, partition))

    async def has_read(self, service: str, topic: str, partition: int, end: End) -> bool:
        return positions_.reaches(await self._position(service, topic, partition), end)

    async def have_read_all(self, readers: Mapping[str, str], partition: int) -> bool:
        found: bool = await self._pool.fetchval(ALL_READ, list(readers), list(readers.values()), partition)
        return found

    async def position(self, service: str, topic: str, partition: int) -> int:
        return (await self._position(service, topic, partition)).offset

    async def _position(self, service: str, topic: str, partition: int) -> Position:
        found = await self._pool.fetchval(POSITION, service, topic, partition)
        return Position(*json.loads(found)) if found else positions_.START

    async def resume(self, service: str, partition: int) -> bool:
        """Ends a breaker's stop; False if this partition was not stopped."""
        return await operations.resume_partition(self._pool, service, partition)

    async def gap(self, service: str, partition: int) -> Missing | None:
        """What this partition waits for, as its owner wrote it down."""
        return await operations.find_gap(self._pool, service, partition)

    async def skip(self, service: str, partition: int, missing: Missing, by: str) -> bool:
        """Moves the position past what is missing; False if the partition doesn't wait for that any more."""
        async with self._pool.acquire() as connection:
            return await operations.skip_gap(connection, service, partition, missing=missing, by=by)

    async def ask_replay(self, letter_id: UUID) -> bool:
        """Asks the owner of a dead letter's partition to apply it again; False if there is no such open letter."""
        return await operations.ask_replay(self._pool, letter_id)
