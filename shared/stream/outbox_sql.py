"""The statements of the outbox (migration 0008). Event columns in the order of shared.events.envelope.Event."""

_EVENT = "event_id, type, key, occurred_at, received_at, value, accord, cause, after_seq, traceparent"

# One round trip: count the emitter's numbers and the owner's rows, append. The owner's row is locked by the fence.
EMIT = f"""WITH counted AS (
    INSERT INTO stream.sequences (emitter_id, topic_id, partition, seq)
    SELECT $1::integer, * FROM unnest($2::smallint[], $3::smallint[], $4::bigint[])
    ON CONFLICT (emitter_id, topic_id, partition) DO UPDATE SET seq = EXCLUDED.seq),
placed AS (
    UPDATE stream.ownership SET next_row = $5 WHERE service = $6 AND kind = $7 AND number = $8)
INSERT INTO stream.outbox (emitter_id, row_number, topic_id, partition, seq, {_EVENT})
SELECT $1::integer, * FROM unnest($9::bigint[], $10::smallint[], $11::smallint[], $12::bigint[], $13::uuid[],
    $14::text[], $15::uuid[], $16::timestamptz[], $17::timestamptz[], $18::bytea[], $19::integer[], $20::uuid[],
    $21::bigint[], $22::text[])"""

ROWS = "SELECT next_row, shipped_through FROM stream.ownership WHERE service = $1 AND kind = $2 AND number = $3"

UNSHIPPED = f"""SELECT row_number, topic_id, partition, seq, {_EVENT} FROM stream.outbox
WHERE emitter_id = $1 AND row_number > $2 ORDER BY row_number LIMIT $3"""

# Moves only forward, and only under the epoch. Losing the last of it in a crash means that some rows are sent again.
SHIPPED = """UPDATE stream.ownership SET shipped_through = $5
WHERE service = $1 AND kind = $2 AND number = $3 AND epoch = $4 AND shipped_through < $5"""

ABANDONED = """SELECT number FROM stream.ownership
WHERE service = $1 AND kind = 'lane' AND next_row - 1 > shipped_through
    AND (leased_until IS NULL OR leased_until < now())
ORDER BY number LIMIT 1"""
