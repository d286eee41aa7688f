"""What ingest must remember: who is who, and which events it has seen in the last 30 days."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    "CREATE SCHEMA ingest",
    """CREATE TABLE ingest.identities (
        kind text NOT NULL,
        value text NOT NULL,
        lead_id uuid NOT NULL,
        is_tied boolean NOT NULL,
        CONSTRAINT pk_identities PRIMARY KEY (kind, value))""",
    "CREATE INDEX ix_identities_lead_id ON ingest.identities (lead_id)",
    """CREATE TABLE ingest.events_seen (
        event_id uuid NOT NULL CONSTRAINT pk_events_seen PRIMARY KEY,
        received_at timestamptz NOT NULL)""",
    # Block ranges are enough to find what is older than 30 days, and cost an insert next to nothing.
    "CREATE INDEX ix_events_seen_received_at ON ingest.events_seen USING brin (received_at)",
    "CREATE VIEW ingest.published_identities AS SELECT lead_id, kind, value FROM ingest.identities",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
