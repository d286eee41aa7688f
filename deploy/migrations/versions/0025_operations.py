"""How the line is, for people: where each reader stands, what holds it up, and what the last audits found.

Whether a partition has an owner is seen by its session, which ends with its process. What was read is counted by
numbers and not by offsets, so that it is true on every carrier; the age of what waits is known where the log lies here.
"""

from alembic import op

revision = "0025"
down_revision = "0024"

STATEMENTS = (
    """CREATE TABLE stream.audits (
        taken_at timestamptz NOT NULL CONSTRAINT pk_audits PRIMARY KEY,
        seconds double precision NOT NULL,
        is_clean boolean NOT NULL,
        in_flight jsonb NOT NULL,
        skipped jsonb NOT NULL,
        counts jsonb NOT NULL,
        checks jsonb NOT NULL,
        first jsonb NOT NULL)""",
    """CREATE VIEW stream.published_audits AS
        SELECT taken_at, seconds, is_clean, in_flight, skipped, counts, checks, first FROM stream.audits""",
    "CREATE INDEX ix_dead_letters_open ON stream.dead_letters (service) WHERE state = 'open'",
    """CREATE VIEW stream.published_partitions AS
        SELECT o.service, o.number AS partition,
            EXISTS (SELECT FROM pg_stat_activity AS session WHERE session.datname = current_database()
                AND session.application_name = 'accord-owner ' || o.service || '/' || o.number) AS is_owned,
            coalesce((o.breaker ->> 'is_stopped')::boolean, false) AS is_stopped,
            o.breaker ->> 'release' AS stopped_by,
            g.topic AS missing_topic, g.emitter AS missing_of, g.expected_seq AS first_missing,
            g.found_seq - 1 AS last_missing, g.found_at AS missing_since
        FROM stream.ownership AS o LEFT JOIN stream.gaps AS g
            ON (g.service, g.partition, g.epoch) = (o.service, o.number, o.epoch)
        WHERE o.kind = 'partition'""",
    """CREATE VIEW stream.published_lanes AS
        SELECT service, number AS lane, leased_until FROM stream.ownership WHERE kind = 'lane'""",
    """CREATE VIEW stream.published_readings AS
        SELECT o.service, o.number AS partition, p.topic, coalesce(n.read, 0)::bigint AS read,
            coalesce(n.unread, 0)::bigint AS unread, (
                SELECT l.appended_at FROM stream.log AS l
                WHERE l.topic_id = t.topic_id AND l.partition = o.number AND l.log_offset >= (p.position ->> 0)::bigint
                ORDER BY l.log_offset LIMIT 1) AS oldest_unread_at
        FROM stream.ownership AS o
        CROSS JOIN LATERAL jsonb_each(o.positions) AS p (topic, position)
        JOIN stream.topics AS t ON t.name = p.topic
        LEFT JOIN LATERAL (
            SELECT sum(least(s.seq, had.seq)) AS read, sum(greatest(s.seq - had.seq, 0)) AS unread
            FROM stream.sequences AS s JOIN stream.emitters AS e USING (emitter_id)
            CROSS JOIN LATERAL (
                SELECT coalesce((p.position #>> ARRAY['1', e.name])::bigint, 0) AS seq) AS had
            WHERE s.topic_id = t.topic_id AND s.partition = o.number) AS n ON true
        WHERE o.kind = 'partition'""",
    """CREATE VIEW stream.published_emitted AS
        SELECT split_part(e.name, '/', 1) AS service, t.name AS topic, sum(s.seq)::bigint AS events
        FROM stream.sequences AS s JOIN stream.emitters AS e USING (emitter_id) JOIN stream.topics AS t USING (topic_id)
        GROUP BY 1, 2""",
    # Of kinds that were counted before, nobody knows when the first one came.
    "ALTER TABLE ingest.source_kinds ADD COLUMN first_at timestamptz",
    """CREATE OR REPLACE VIEW ingest.published_source_kinds AS
        SELECT source_id, kind, standing, events, last_at, first_at FROM ingest.source_kinds""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
