"""Files of rows: their text in sealed chunks of whole rows until those are read, how far each file is read, and rows
that were refused, sealed too."""

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

STATEMENTS = (
    """CREATE TABLE ingest.imports (
        import_id uuid NOT NULL CONSTRAINT pk_imports PRIMARY KEY,
        source_id uuid NOT NULL,
        uploaded_by text NOT NULL,
        state text NOT NULL CONSTRAINT ck_imports_state
            CHECK (state IN ('uploading', 'waiting', 'running', 'done', 'failed')),
        plan json,
        file_sha256 text,
        bytes bigint NOT NULL DEFAULT 0,
        bytes_read bigint NOT NULL DEFAULT 0,
        rows_total bigint NOT NULL DEFAULT 0,
        rows_read bigint NOT NULL DEFAULT 0,
        accepted bigint NOT NULL DEFAULT 0,
        duplicates bigint NOT NULL DEFAULT 0,
        rejected bigint NOT NULL DEFAULT 0,
        ignored bigint NOT NULL DEFAULT 0,
        first_errors json NOT NULL DEFAULT '[]',
        failure text,
        received_at timestamptz NOT NULL DEFAULT now(),
        started_at timestamptz,
        ended_at timestamptz,
        turn_at timestamptz NOT NULL DEFAULT now(),
        claimed_by uuid,
        claimed_until timestamptz,
        moves bigint NOT NULL DEFAULT 0,
        after_at timestamptz,
        after_line bigint)""",
    "CREATE INDEX ix_imports_turn_at ON ingest.imports (turn_at) WHERE state IN ('uploading', 'waiting', 'running')",
    "CREATE INDEX ix_imports_received_at ON ingest.imports (received_at, import_id)",
    """CREATE TABLE ingest.import_chunks (
        import_id uuid NOT NULL CONSTRAINT fk_import_chunks_import_id_imports
            REFERENCES ingest.imports (import_id) ON DELETE CASCADE,
        number integer NOT NULL,
        first_line bigint NOT NULL,
        rows integer NOT NULL,
        bytes bigint NOT NULL,
        body bytea NOT NULL,
        CONSTRAINT pk_import_chunks PRIMARY KEY (import_id, number))""",
    """CREATE TABLE ingest.import_refusals (
        import_id uuid NOT NULL CONSTRAINT fk_import_refusals_import_id_imports
            REFERENCES ingest.imports (import_id) ON DELETE CASCADE,
        number integer NOT NULL,
        body bytea NOT NULL,
        CONSTRAINT pk_import_refusals PRIMARY KEY (import_id, number))""",
    # Sealed bytes can't be made smaller.
    "ALTER TABLE ingest.import_chunks ALTER COLUMN body SET STORAGE EXTERNAL",
    "ALTER TABLE ingest.import_refusals ALTER COLUMN body SET STORAGE EXTERNAL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
