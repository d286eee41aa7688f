"""Dead letters as the api shows them: which, why, and what was in them."""

from alembic import op

revision = "0016"
down_revision = "0015"

STATEMENTS = (
    "CREATE INDEX ix_dead_letters_buried_at_letter_id ON stream.dead_letters (buried_at, letter_id)",
    "CREATE INDEX ix_dead_letters_key ON stream.dead_letters (key)",
    """CREATE VIEW stream.published_dead_letters AS
        SELECT letter_id, service, topic, partition, log_offset, emitter, seq, event_id, key AS lead_id, cause,
            occurred_at, received_at, accord, type, value, kind, message, buried_at, state
        FROM stream.dead_letters""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
