"""The statements of the Postgres carrier's hot paths, one name each."""

import json

from shared.db.columns import Columns
from shared.stream.breaker import Breaker
from shared.stream.carrier import Slot

# An event's columns in the order of shared.events.envelope.Event.
_EVENT = "event_id, type, key, occurred_at, received_at, value, accord, cause, after_seq, traceparent"
EVENT_COLUMNS = Columns(
    *("uuid", "text", "uuid", "timestamptz", "timestamptz", "bytea", "integer", "uuid", "bigint", "text")
)

EPOCH = "SELECT epoch FROM stream.ownership WHERE service = $1 AND kind = $2 AND number = $3"

# The session says whose it is from now on, as long as it lives: pg_stat_activity tells operators who runs what.
OWNED = """SELECT epoch, positions, breaker, pg_backend_pid() AS session, set_config('application_name', CASE kind
    WHEN 'lane' THEN 'accord-lane ' ELSE 'accord-owner ' END || service || '/' || number, false) FROM stream.ownership
WHERE service = $1 AND kind = $2 AND number = $3 FOR UPDATE"""

# A lost connection's session may still be about to run what was sent to it, and find the epoch and the positions that
# it expects: ticks and replays move neither. False if it is still there after 5 s.
END_SESSION = """SELECT coalesce(bool_and(pg_terminate_backend(pid, 5000)), true) FROM pg_stat_activity
WHERE pid = $1 AND pid <> pg_backend_pid() AND datname = current_database()
    AND application_name ~ '^accord-(owner|lane) '"""

RELEASE = """UPDATE stream.ownership SET owner = NULL, leased_until = NULL
WHERE service = $1 AND kind = $2 AND number = $3 AND epoch = $4"""

EMITTER_ID = """WITH made AS (INSERT INTO stream.emitters (name)
    SELECT $1::text WHERE NOT EXISTS (SELECT FROM stream.emitters WHERE name = $1)
    ON CONFLICT (name) DO UPDATE SET name = EXCLUDED.name RETURNING emitter_id)
SELECT emitter_id FROM made UNION ALL SELECT emitter_id FROM stream.emitters WHERE name = $1 LIMIT 1"""

SEQUENCES = "SELECT topic_id, partition, seq FROM stream.sequences WHERE emitter_id = $1"

FETCH = f"""SELECT l.topic_id, l.log_offset, l.emitter_id, l.seq, {_EVENT}
FROM unnest($1::smallint[], $2::bigint[], $3::integer[]) AS want(topic_id, start, room)
CROSS JOIN LATERAL (
    SELECT * FROM stream.log WHERE topic_id = want.topic_id AND partition = $4 AND log_offset >= want.start
    ORDER BY log_offset LIMIT want.room) AS l"""

# One round trip: take offsets, count the emitter's numbers, append. Counter rows are locked in key order, so that two
# emitters can't wait for each other. Events come sorted by their places: those of one (topic, partition) are a slice
# of each column, behind as many as `sent_before`. A column that comes as text is read once, not for each slice. What
# unnest gives in a select list is not put by in between.
EMIT = f"""sent (ids, types, keys, times, receipts, bodies, accords, causes, afters, traces) AS MATERIALIZED (
    SELECT {", ".join(EVENT_COLUMNS.arrays(7))}),
wanted AS (
    SELECT * FROM unnest($2::smallint[], $3::smallint[], $4::integer[], $5::integer[], $6::bigint[])
        AS w(topic_id, partition, sent_before, events, last_seq)),
locked AS (
    SELECT o.topic_id, o.partition FROM stream.offsets o JOIN wanted w USING (topic_id, partition)
    ORDER BY o.topic_id, o.partition FOR UPDATE OF o),
taken AS (
    UPDATE stream.offsets o SET next_offset = o.next_offset + w.events
    FROM locked JOIN wanted w USING (topic_id, partition)
    WHERE o.topic_id = locked.topic_id AND o.partition = locked.partition
    RETURNING o.topic_id, o.partition, o.next_offset - w.events AS first_offset, w.last_seq,
        w.sent_before + 1 AS low, w.sent_before + w.events AS high),
counted AS (
    INSERT INTO stream.sequences (emitter_id, topic_id, partition, seq)
    SELECT $1::integer, topic_id, partition, last_seq + events FROM wanted
    ON CONFLICT (emitter_id, topic_id, partition) DO UPDATE SET seq = EXCLUDED.seq),
logged AS (
    INSERT INTO stream.log (emitter_id, topic_id, partition, log_offset, seq, {_EVENT})
    SELECT $1::integer, topic_id, partition, first_offset + rank, last_seq + 1 + rank, {_EVENT}
    FROM taken CROSS JOIN sent CROSS JOIN LATERAL (
        SELECT generate_series(0, high - low) AS rank, unnest(ids[low:high]), unnest(types[low:high]),
            unnest(keys[low:high]), unnest(times[low:high]), unnest(receipts[low:high]), unnest(bodies[low:high]),
            unnest(accords[low:high]), unnest(causes[low:high]), unnest(afters[low:high]), unnest(traces[low:high])
    ) AS e (rank, {_EVENT}))"""
FIRST_OFFSETS = "(SELECT array_agg(first_offset ORDER BY topic_id, partition) FROM taken)"

# The fence of a step that is one statement; `begin` makes that of the others.
FENCE = """fence AS (
    UPDATE stream.ownership SET positions = $1::jsonb, breaker = $2::jsonb,
        leased_until = CASE WHEN kind = 'lane' THEN now() + interval '15 seconds' ELSE leased_until END
    WHERE service = $3 AND kind = $4 AND number = $5 AND epoch = $6 AND positions = $7::jsonb RETURNING 1)"""
FENCED = "SELECT count(*) FROM fence"

BURY = f"""INSERT INTO stream.dead_letters
    (letter_id, service, topic, partition, log_offset, emitter, seq, {_EVENT}, kind, message, buried_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
ON CONFLICT (letter_id) DO UPDATE SET state = 'open', kind = EXCLUDED.kind, message = EXCLUDED.message,
    buried_at = EXCLUDED.buried_at"""

REPLAYING = f"""SELECT letter_id, topic, partition, log_offset, emitter, seq, {_EVENT}, kind, message, buried_at
FROM stream.dead_letters WHERE service = $1 AND partition = $2 AND state = 'replaying' ORDER BY buried_at LIMIT 100"""

MARK_REPLAYED = "UPDATE stream.dead_letters SET state = 'replayed' WHERE letter_id = $1"

# Of two owners the later one's word counts.
GAP = """INSERT INTO stream.gaps (service, partition, epoch, topic, emitter, expected_seq, found_seq)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (service, partition) DO UPDATE SET epoch = EXCLUDED.epoch, topic = EXCLUDED.topic,
    emitter = EXCLUDED.emitter, expected_seq = EXCLUDED.expected_seq, found_seq = EXCLUDED.found_seq, found_at = now()
WHERE stream.gaps.epoch <= EXCLUDED.epoch"""
NO_GAP = "DELETE FROM stream.gaps WHERE service = $1 AND partition = $2 AND epoch <= $3"


def begin(slot: Slot, epoch: int, positions: str, moved: str, breaker: Breaker) -> str:
    """Begins a transaction of an owner: DESIGN.md "Ownership". The update locks the slot's row until the commit.

    One script, so that beginning and fencing are one round trip; its values are Accord's own names and numbers,
    quoted all the same.
    """
    lease = ", leased_until = now() + interval '15 seconds'" if slot.kind == "lane" else ""
    return f"""BEGIN; UPDATE stream.ownership SET positions = {_quoted(moved)},
breaker = {_quoted(json.dumps(breaker.to_json()))}{lease}
WHERE service = {_quoted(slot.service)} AND kind = {_quoted(slot.kind)} AND number = {slot.number:d}
AND epoch = {epoch:d} AND positions = {_quoted(positions)}"""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
