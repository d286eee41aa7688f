"""The log, its counters, who owns what, and what could not be applied.

Hot rows (ownership, sequences, offsets) are updated in place thousands of times a second: a low fillfactor keeps those
updates within their page. The log has one index, and small integers for topic and emitter.
"""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    "CREATE SCHEMA IF NOT EXISTS stream",
    """CREATE TABLE stream.settings (
        name text NOT NULL CONSTRAINT pk_settings PRIMARY KEY,
        value text NOT NULL)""",
    """CREATE TABLE stream.topics (
        topic_id smallint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_topics PRIMARY KEY,
        name text NOT NULL CONSTRAINT uq_topics_name UNIQUE)""",
    """CREATE TABLE stream.emitters (
        emitter_id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_emitters PRIMARY KEY,
        name text NOT NULL CONSTRAINT uq_emitters_name UNIQUE)""",
    """CREATE TABLE stream.ownership (
        service text NOT NULL,
        kind text NOT NULL CONSTRAINT ck_ownership_kind CHECK (kind IN ('partition', 'lane')),
        number integer NOT NULL,
        epoch bigint NOT NULL DEFAULT 0,
        owner text,
        leased_until timestamptz,
        positions jsonb NOT NULL DEFAULT '{}',
        breaker jsonb NOT NULL DEFAULT '{}',
        CONSTRAINT pk_ownership PRIMARY KEY (service, kind, number)) WITH (fillfactor = 20)""",
    """CREATE TABLE stream.sequences (
        emitter_id integer NOT NULL,
        topic_id smallint NOT NULL,
        partition smallint NOT NULL,
        seq bigint NOT NULL,
        CONSTRAINT pk_sequences PRIMARY KEY (emitter_id, topic_id, partition)) WITH (fillfactor = 20)""",
    """CREATE TABLE stream.offsets (
        topic_id smallint NOT NULL,
        partition smallint NOT NULL,
        next_offset bigint NOT NULL DEFAULT 0,
        first_offset bigint NOT NULL DEFAULT 0,
        CONSTRAINT pk_offsets PRIMARY KEY (topic_id, partition)) WITH (fillfactor = 20)""",
    """CREATE TABLE stream.log (
        topic_id smallint NOT NULL,
        partition smallint NOT NULL,
        emitter_id integer NOT NULL,
        log_offset bigint NOT NULL,
        seq bigint NOT NULL,
        event_id uuid NOT NULL,
        key uuid NOT NULL,
        cause uuid,
        occurred_at timestamptz NOT NULL,
        received_at timestamptz NOT NULL,
        appended_at timestamptz NOT NULL DEFAULT now(),
        after_seq bigint,
        accord integer,
        type text NOT NULL,
        traceparent text,
        value bytea NOT NULL,
        CONSTRAINT pk_log PRIMARY KEY (topic_id, partition, log_offset))""",
    """CREATE TABLE stream.dead_letters (
        letter_id uuid NOT NULL CONSTRAINT pk_dead_letters PRIMARY KEY,
        service text NOT NULL,
        topic text NOT NULL,
        partition smallint NOT NULL,
        log_offset bigint NOT NULL,
        emitter text,
        seq bigint,
        event_id uuid NOT NULL,
        key uuid NOT NULL,
        cause uuid,
        occurred_at timestamptz NOT NULL,
        received_at timestamptz NOT NULL,
        accord integer,
        after_seq bigint,
        type text NOT NULL,
        traceparent text,
        value bytea NOT NULL,
        kind text NOT NULL,
        message text NOT NULL,
        buried_at timestamptz NOT NULL,
        state text NOT NULL DEFAULT 'open'
            CONSTRAINT ck_dead_letters_state CHECK (state IN ('open', 'replaying', 'replayed', 'discarded')))""",
    """CREATE INDEX ix_dead_letters_service_partition ON stream.dead_letters (service, partition)
        WHERE state = 'replaying'""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
