"""What waits for Kafka: the rows that owners emitted and their relays ship (DESIGN.md "Relay").

Rows are in the order of their owner, not of their topic: no two owners wait for each other's counters.
"""

from alembic import op

revision = "0008"
down_revision = "0007"

STATEMENTS = (
    """CREATE TABLE stream.outbox (
        emitter_id integer NOT NULL,
        row_number bigint NOT NULL,
        topic_id smallint NOT NULL,
        partition smallint NOT NULL,
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
        CONSTRAINT pk_outbox PRIMARY KEY (emitter_id, row_number))""",
    # next_row: the number that the next row gets; shipped_through: the last row that Kafka acknowledged.
    """ALTER TABLE stream.ownership
        ADD COLUMN next_row bigint NOT NULL DEFAULT 1,
        ADD COLUMN shipped_through bigint NOT NULL DEFAULT 0""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
