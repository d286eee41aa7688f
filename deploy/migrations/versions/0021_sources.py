"""Sources that can be changed, what each of them sent last, and what of it could not be used.

`receipts` holds two things: the latest events of each source (without their bodies), and requests of which something
could not be used, with their bodies (sealed, because they hold personal data) until they are replayed or too old.
"""

from alembic import op

revision = "0021"
down_revision = "0020"

STATEMENTS = (
    "ALTER TABLE api.sources ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now()",
    """CREATE OR REPLACE VIEW api.published_sources AS
        SELECT source_id, name, kind, team, secret, settings, changed_at FROM api.sources WHERE deleted_at IS NULL""",
    """CREATE TABLE api.receipt_replays (
        receipt_id uuid NOT NULL CONSTRAINT pk_receipt_replays PRIMARY KEY,
        asked_at timestamptz NOT NULL)""",
    "CREATE VIEW api.published_receipt_replays AS SELECT receipt_id, asked_at FROM api.receipt_replays",
    """CREATE TABLE ingest.receipts (
        source_id uuid NOT NULL,
        receipt_id uuid NOT NULL CONSTRAINT pk_receipts PRIMARY KEY,
        received_at timestamptz NOT NULL,
        standing text NOT NULL,
        kind text,
        type text,
        event_id uuid,
        reason text,
        items json NOT NULL DEFAULT '[]',
        sent text,
        sent_bytes integer NOT NULL DEFAULT 0,
        replayed_at timestamptz)""",
    "CREATE INDEX ix_receipts_source_id_received_at ON ingest.receipts (source_id, received_at, receipt_id)",
    """CREATE TABLE ingest.source_kinds (
        source_id uuid NOT NULL,
        kind text NOT NULL,
        standing text NOT NULL,
        events bigint NOT NULL,
        last_at timestamptz NOT NULL,
        CONSTRAINT pk_source_kinds PRIMARY KEY (source_id, kind, standing))""",
    """CREATE VIEW ingest.published_receipts AS
        SELECT source_id, receipt_id, received_at, standing, kind, type, event_id, reason, items::jsonb AS items, sent,
            sent_bytes, replayed_at FROM ingest.receipts""",
    """CREATE VIEW ingest.published_source_kinds AS
        SELECT source_id, kind, standing, events, last_at FROM ingest.source_kinds""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
