"""Which leads sources ask to be erased, until the api has done it. Only sources whose settings say `erases` do."""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """CREATE TABLE ingest.erasure_wishes (
        lead_id uuid NOT NULL CONSTRAINT pk_erasure_wishes PRIMARY KEY,
        source_id uuid NOT NULL,
        source text NOT NULL,
        asked_at timestamptz NOT NULL)"""
    )
    op.execute(
        """CREATE VIEW ingest.published_erasure_wishes AS
        SELECT lead_id, source_id, source, asked_at FROM ingest.erasure_wishes"""
    )
