"""Who signed which version of the accord, for which side, when, and over which document; who proposed and withdrew it.

What is stored of a version is only what people did: it is proposed, withdrawn, or signed (`scheduled`). Whether a
signed one lies ahead, is in effect or is superseded follows from the time, so that no job can be late in saying so.
"""

from alembic import op

revision = "0014"
down_revision = "0013"

STATEMENTS = (
    """CREATE TABLE api.signatures (
        version integer NOT NULL
            CONSTRAINT fk_signatures_version_accords REFERENCES api.accords (version) ON DELETE CASCADE,
        side text NOT NULL CONSTRAINT ck_signatures_side CHECK (side IN ('marketing', 'sales', 'bootstrap')),
        key_id text,
        signed_by text NOT NULL,
        signed_at timestamptz NOT NULL,
        sha256 bytea NOT NULL CONSTRAINT ck_signatures_sha256 CHECK (length(sha256) = 32),
        effective_at timestamptz,
        CONSTRAINT pk_signatures PRIMARY KEY (version, side),
        CONSTRAINT uq_signatures_version_key_id UNIQUE (version, key_id),
        CONSTRAINT ck_signatures_key_id CHECK ((side = 'bootstrap') = (key_id IS NULL)))""",
    """INSERT INTO api.signatures (version, side, signed_by, signed_at, sha256, effective_at)
        SELECT version, 'bootstrap', 'bootstrap', created_at, sha256, effective_at FROM api.accords
        WHERE version = 1""",
    """ALTER TABLE api.accords
        DROP COLUMN signed_by,
        ADD COLUMN proposed_by text,
        ADD COLUMN proposed_key_id text,
        ADD COLUMN withdrawn_by text,
        ADD COLUMN withdrawn_at timestamptz""",
    "CREATE UNIQUE INDEX uq_accords_proposed ON api.accords (state) WHERE state = 'proposed'",
    """CREATE OR REPLACE VIEW api.published_accords AS
        SELECT version, document, effective_at, CASE
            WHEN effective_at > now() THEN 'scheduled'
            WHEN version = (
                SELECT latest.version FROM api.accords AS latest
                WHERE latest.state NOT IN ('proposed', 'withdrawn') AND latest.effective_at <= now()
                ORDER BY latest.effective_at DESC, latest.version DESC LIMIT 1) THEN 'effective'
            ELSE 'superseded' END AS state
        FROM api.accords WHERE state NOT IN ('proposed', 'withdrawn')""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
