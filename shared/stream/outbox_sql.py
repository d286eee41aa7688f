"""The statements of the outbox (migration 0008). Event columns in the order of shared.events.envelope.Event."""

from shared.stream.log_sql import EVENT_COLUMNS

_EVENT = "event_id, type, key, occurred_at, received_at, value, accord, cause, after_seq, traceparent"

# Count the emitter's numbers, append; `next_row` is counted by the fence of a step that is one statement.
EMIT = f"""counted AS (
    INSERT INTO stream.sequences (emitter_id, topic_id, partition, seq)
    SELECT $1::integer, * FROM unnest($2::smallint[], $3::smallint[], $4::bigint[])
    ON CONFLICT (emitter_id, topic_id, partition) DO UPDATE SET seq = EXCLUDED.seq),
boxed AS (
    INSERT INTO stream.outbox (emitter_id, row_number, topic_id, partition, seq, {_EVENT})
    SELECT $1::integer, * FROM unnest($5::bigint[], $6::smallint[], $7::smallint[], $8::bigint[],
        {", ".join(EVENT_COLUMNS.arrays(9))}))"""

# And by this write in one that is open: one statement can't change the owner's row twice.
EMIT_OPEN = f"""{EMIT},
placed AS (UPDATE stream.ownership SET next_row = $19 WHERE service = $20 AND kind = $21 AND number = $22)"""

FENCE = """fence AS (
    UPDATE stream.ownership SET positions = $1::jsonb, breaker = $2::jsonb, next_row = $8,
        shipped_through = greatest(shipped_through, $9),
        leased_until = CASE WHEN kind = 'lane' THEN now() + interval '15 seconds' ELSE leased_until END
    WHERE service = $3 AND kind = $4 AND number = $5 AND epoch = $6 AND positions = $7::jsonb RETURNING 1)"""

ROWS = "SELECT next_row, shipped_through FROM stream.ownership WHERE service = $1 AND kind = $2 AND number = $3"

UNSHIPPED = f"""SELECT row_number, topic_id, partition, seq, {_EVENT} FROM stream.outbox
WHERE emitter_id = $1 AND row_number > $2 ORDER BY row_number LIMIT $3"""

# Moves only forward, and only under the epoch. Losing the last of it in a crash means that some rows are sent again.
# Noted twice, because the first answer was lost, it finds its row all the same: no row means another epoch.
SHIPPED = """UPDATE stream.ownership SET shipped_through = greatest(shipped_through, $5)
WHERE service = $1 AND kind = $2 AND number = $3 AND epoch = $4"""

ABANDONED = """SELECT number FROM stream.ownership
WHERE service = $1 AND kind = 'lane' AND next_row - 1 > shipped_through
    AND (leased_until IS NULL OR leased_until < now())
ORDER BY number LIMIT 1"""
