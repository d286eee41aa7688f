"""The statements of imports.py and import_erasure.py."""

from typing import Final

_LOCK: Final = 0x6163635F696D70  # one number for this use of Postgres's advisory locks
_UNDER_WAY: Final = "state IN ('uploading', 'waiting', 'running')"
_SHOWN: Final = """import_id, source_id, uploaded_by, state, plan::text, bytes, bytes_read, rows_total, rows_read,
    accepted, duplicates, rejected, ignored, first_errors::text, failure, received_at, started_at, ended_at"""

ONE_AT_A_TIME: Final = f"SELECT pg_advisory_xact_lock({_LOCK})"
BEGIN: Final = f"""INSERT INTO ingest.imports (import_id, source_id, uploaded_by, plan, state, claimed_until)
SELECT $1, $2, $3, $4, 'uploading', clock_timestamp() + make_interval(secs => $5)
WHERE (SELECT count(*) FROM ingest.imports WHERE {_UNDER_WAY}) < $6
RETURNING 1"""
ADD: Final = """WITH held AS (
    UPDATE ingest.imports SET claimed_until = clock_timestamp() + make_interval(secs => $2)
    WHERE import_id = $1 AND state = 'uploading' RETURNING import_id)
INSERT INTO ingest.import_chunks (import_id, number, first_line, rows, bytes, body)
SELECT import_id, $3, $4, $5, $6, $7 FROM held RETURNING 1"""
FINISH: Final = f"""UPDATE ingest.imports SET state = 'waiting', file_sha256 = $2, bytes = $3, rows_total = $4,
    received_at = clock_timestamp(), turn_at = clock_timestamp(), claimed_until = NULL
WHERE import_id = $1 AND state = 'uploading' RETURNING {_SHOWN}"""
DISCARD: Final = "DELETE FROM ingest.imports WHERE import_id = $1 AND state = 'uploading'"

# Files take turns, a chunk each, so that a small one doesn't wait for a large one.
CLAIM: Final = """UPDATE ingest.imports SET state = 'running', claimed_by = $1, moves = moves + 1,
    claimed_until = clock_timestamp() + make_interval(secs => $2), started_at = coalesce(started_at, clock_timestamp())
WHERE import_id = (
    SELECT import_id FROM ingest.imports WHERE state IN ('waiting', 'running')
        AND (claimed_until IS NULL OR claimed_until < clock_timestamp() OR claimed_by = $1)
    ORDER BY turn_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING import_id, plan::text, file_sha256, rejected, moves, after_at, after_line"""
RELEASE: Final = "UPDATE ingest.imports SET claimed_by = NULL, claimed_until = NULL WHERE claimed_by = $1"
NEXT_CHUNK: Final = """SELECT number, first_line, rows, bytes, body, NOT EXISTS (
    SELECT FROM ingest.import_chunks l WHERE l.import_id = $1 AND l.number > c.number)
FROM ingest.import_chunks c WHERE import_id = $1 ORDER BY number LIMIT 1"""
MOVES: Final = "SELECT moves FROM ingest.imports WHERE import_id = $1"

PROGRESS: Final = """import_moved AS (
UPDATE ingest.imports SET moves = moves + 1, after_at = $5::timestamptz, after_line = $6::bigint,
    rows_read = rows_read + $7::bigint, accepted = accepted + $8::bigint, duplicates = duplicates + $9::bigint,
    rejected = rejected + $10::bigint, ignored = ignored + $11::bigint, bytes_read = bytes_read + $12::bigint,
    first_errors = (first_errors::jsonb || $13::jsonb)::json, failure = $15::text,
    state = $17::text, ended_at = CASE WHEN $17::text <> 'running' THEN clock_timestamp() END,
    turn_at = CASE WHEN $16::boolean THEN clock_timestamp() ELSE turn_at END,
    claimed_by = CASE WHEN $16::boolean THEN NULL ELSE claimed_by END,
    claimed_until = CASE WHEN $16::boolean THEN NULL ELSE clock_timestamp() + make_interval(secs => $18::integer) END
WHERE import_id = $1::uuid AND claimed_by = $2::uuid AND moves = $3::bigint AND state = 'running'
RETURNING import_id),
import_chunk_read AS (
DELETE FROM ingest.import_chunks WHERE import_id IN (SELECT import_id FROM import_moved)
    AND ($15::text IS NOT NULL OR $16::boolean AND number = $4::integer)),
import_refused AS (
INSERT INTO ingest.import_refusals (import_id, number, body)
SELECT import_id, $4::integer, $14::bytea FROM import_moved WHERE $14::bytea IS NOT NULL
ON CONFLICT (import_id, number) DO NOTHING)"""
END: Final = """WITH ended AS (
    UPDATE ingest.imports SET state = CASE WHEN $3::text IS NULL THEN 'done' ELSE 'failed' END, failure = $3::text,
        ended_at = clock_timestamp(), moves = moves + 1, claimed_by = NULL, claimed_until = NULL
    WHERE import_id = $1 AND moves = $2 AND state = 'running' RETURNING import_id)
DELETE FROM ingest.import_chunks WHERE import_id IN (SELECT import_id FROM ended)"""

ONE: Final = f"SELECT {_SHOWN} FROM ingest.imports WHERE import_id = $1 AND state <> 'uploading'"
LISTED: Final = f"""SELECT {_SHOWN} FROM ingest.imports
WHERE state <> 'uploading' AND ($1::uuid IS NULL OR source_id = $1)
    AND ($2::timestamptz IS NULL OR (received_at, import_id) < ($2, $3::uuid))
ORDER BY received_at DESC, import_id DESC LIMIT $4"""
REFUSED_AFTER: Final = """SELECT number, body FROM ingest.import_refusals WHERE import_id = $1 AND number > $2
ORDER BY number LIMIT 1"""
PENDING: Final = f"""SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(received_at)), 0)
FROM ingest.imports WHERE {_UNDER_WAY}"""
TRIM: Final = """DELETE FROM ingest.imports WHERE import_id IN (
    SELECT import_id FROM ingest.imports
    WHERE (state IN ('done', 'failed') AND ended_at < $1)
        OR (state = 'uploading' AND claimed_until < clock_timestamp()) LIMIT $2)"""
# The latest files keep theirs.
TRIM_REFUSED: Final = """DELETE FROM ingest.import_refusals r USING (
    SELECT import_id, number, sum(length(body)) OVER (ORDER BY received_at DESC, import_id, number) AS bytes
    FROM ingest.import_refusals JOIN ingest.imports USING (import_id)) AS placed
WHERE placed.bytes > $1 AND r.import_id = placed.import_id AND r.number = placed.number"""

# Of a lead that is erased: whom the file names is looked for in its chunks and its refused rows.
IDENTIFIERS: Final = "SELECT kind, value FROM ingest.identities WHERE lead_id = ANY($1::uuid[])"
PLANS: Final = f"SELECT import_id, plan::text FROM ingest.imports WHERE {_UNDER_WAY} ORDER BY received_at"
CHUNKS_AFTER: Final = """SELECT number, first_line, rows, bytes, body FROM ingest.import_chunks
WHERE import_id = $1 AND number > $2 ORDER BY number LIMIT 1"""
REFUSALS_AFTER: Final = """SELECT import_id, number, body FROM ingest.import_refusals
WHERE (import_id, number) > ($1, $2) ORDER BY import_id, number LIMIT 20"""
# The import is locked first, as by a commit of its rows, and what was begun with the former text is refused.
REWRITE: Final = """WITH locked AS MATERIALIZED (SELECT import_id FROM ingest.imports WHERE import_id = $1 FOR UPDATE),
rewritten AS (
    UPDATE ingest.import_chunks c SET body = $4, rows = $5 FROM locked
    WHERE c.import_id = locked.import_id AND c.number = $2 AND c.body = $3 RETURNING c.import_id)
UPDATE ingest.imports i SET moves = i.moves + 1 FROM rewritten WHERE i.import_id = rewritten.import_id RETURNING 1"""
REWRITE_REFUSED: Final = """UPDATE ingest.import_refusals SET body = $4
WHERE import_id = $1 AND number = $2 AND body = $3 RETURNING 1"""
