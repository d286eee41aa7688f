"""What a partition waits for, as its owner wrote it down, and what operators skipped.

A gap counts only while the epoch that wrote it owns the partition: a successor looks for itself.
"""

from alembic import op

revision = "0010"
down_revision = "0009"

STATEMENTS = (
    """CREATE TABLE stream.gaps (
        service text NOT NULL,
        partition integer NOT NULL,
        epoch bigint NOT NULL,
        topic text NOT NULL,
        emitter text NOT NULL,
        expected_seq bigint NOT NULL,
        found_seq bigint NOT NULL,
        found_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_gaps PRIMARY KEY (service, partition))""",
    # Numbers of an emitter, both included; without an emitter they are offsets of the topic.
    """CREATE TABLE stream.skips (
        skip_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_skips PRIMARY KEY,
        service text NOT NULL,
        partition integer NOT NULL,
        topic text NOT NULL,
        emitter text,
        first_missing bigint NOT NULL,
        last_missing bigint NOT NULL,
        skipped_at timestamptz NOT NULL DEFAULT now(),
        skipped_by text NOT NULL)""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
