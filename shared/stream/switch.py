"""Which carrier an installation's log is on, and the move from one to the other: only between two quiet moments.

Numbers and states stay what they are; only offsets change, since they are places on the carrier itself.
"""

from typing import Any, Literal

from shared.errors import AccordError

Kind = Literal["postgres", "kafka"]

STORED = "SELECT value FROM stream.settings WHERE name = 'carrier'"
IS_FRESH = "SELECT NOT EXISTS (SELECT FROM stream.sequences)"
STORE = """INSERT INTO stream.settings (name, value) VALUES ('carrier', $1)
ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value"""

# A lane's lease tells of its owner; a partition's, which is renewed by nobody, doesn't, but its owner's session does.
OWNERS = """SELECT EXISTS (
    SELECT FROM stream.ownership WHERE leased_until > now()
    UNION ALL SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND application_name ~ '^accord-(owner|lane) ')"""

UNREAD = """SELECT coalesce(sum(greatest(
    s.seq - coalesce((o.positions #>> ARRAY[t.name, '1', e.name])::bigint, 0), 0)), 0)::bigint
FROM stream.ownership o
CROSS JOIN LATERAL jsonb_object_keys(o.positions) AS read(topic)
JOIN stream.topics t ON t.name = read.topic
JOIN stream.sequences s ON s.topic_id = t.topic_id AND s.partition = o.number
JOIN stream.emitters e USING (emitter_id)
WHERE o.kind = 'partition'"""

UNSHIPPED = "SELECT coalesce(sum(next_row - 1 - shipped_through), 0)::bigint FROM stream.ownership"

# Where readers stood on Kafka when it was left: they go on there, should it be taken up again.
KEEP = """INSERT INTO stream.settings (name, value)
SELECT 'kafka offsets', coalesce(jsonb_object_agg(service || '/' || number, positions), '{}')::text
FROM stream.ownership WHERE kind = 'partition'
ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value"""

# To Kafka: to where it was left, or to the beginning of new topics. To Postgres: the log goes on where it ended.
MOVE = """UPDATE stream.ownership o SET positions = (
    SELECT jsonb_object_agg(p.key, jsonb_build_array(CASE WHEN $1 = 'kafka' THEN coalesce((
        SELECT value::jsonb #> ARRAY[o.service || '/' || o.number, p.key, '0'] FROM stream.settings
        WHERE name = 'kafka offsets'), '0') ELSE to_jsonb(f.next_offset) END, p.value -> 1))
    FROM jsonb_each(o.positions) AS p JOIN stream.topics t ON t.name = p.key
    JOIN stream.offsets f ON f.topic_id = t.topic_id AND f.partition = o.number)
WHERE o.kind = 'partition' AND o.positions <> '{}'"""


class CarrierInUse(AccordError):
    """The log of this installation is on the other carrier."""


async def use_carrier(connection: Any, kind: Kind) -> None:
    """Fixes the carrier at the first start; moves to another one when all that was emitted is read and nothing runs.

    Raises CarrierInUse, with what to do, when it isn't.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('accord stream setup'))")
        stored = await connection.fetchval(STORED)
        if stored is None:
            stored = kind if await connection.fetchval(IS_FRESH) else "postgres"
            await connection.execute(STORE, stored)
        if stored == kind:
            return
        is_in_postgres = stored == "postgres"
        here = "in Postgres" if is_in_postgres else "on Kafka"
        there = "without ACCORD_KAFKA" if is_in_postgres else "with ACCORD_KAFKA"
        if await connection.fetchval(OWNERS):
            raise CarrierInUse(f"the log of this Accord is {here}, and processes are using it: stop them, wait 15 s")
        unread = await connection.fetchval(UNREAD)
        if unread:
            raise CarrierInUse(
                f"the log of this Accord is {here}, and {unread} events on it are not read yet: start Accord {there}, "
                "let it read them, stop it, and try again"
            )
        unshipped = await connection.fetchval(UNSHIPPED)
        if unshipped and not is_in_postgres:
            raise CarrierInUse(
                f"{unshipped} events wait for Kafka: start Accord {there}, let it ship them, and try again"
            )
        if not is_in_postgres:
            await connection.execute(KEEP)
        await connection.execute(MOVE, kind)
        await connection.execute(STORE, kind)
