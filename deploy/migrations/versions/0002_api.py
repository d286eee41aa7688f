"""What people configure (accords, keys, sources, subscriptions, owners), and the views that the services read it by.

Secrets that Accord must be able to use again (to verify or to sign) are kept as they are; keys only as a hash.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    "CREATE SCHEMA IF NOT EXISTS api",
    """CREATE TABLE api.accords (
        version integer NOT NULL CONSTRAINT pk_accords PRIMARY KEY CONSTRAINT ck_accords_version CHECK (version > 0),
        document jsonb NOT NULL,
        source_text text NOT NULL,
        sha256 bytea NOT NULL,
        effective_at timestamptz,
        state text NOT NULL CONSTRAINT ck_accords_state
            CHECK (state IN ('proposed', 'scheduled', 'effective', 'superseded', 'withdrawn')),
        signed_by jsonb NOT NULL DEFAULT '[]',
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT ck_accords_effective_at CHECK (
            effective_at IS NOT NULL OR state IN ('proposed', 'withdrawn')))""",
    """CREATE TABLE api.keys (
        key_id text NOT NULL CONSTRAINT pk_keys PRIMARY KEY,
        secret_sha256 bytea NOT NULL CONSTRAINT ck_keys_secret_sha256 CHECK (length(secret_sha256) = 32),
        name text NOT NULL,
        role text NOT NULL CONSTRAINT ck_keys_role CHECK (role IN ('marketing', 'sales', 'operations', 'admin')),
        scopes text[] NOT NULL DEFAULT '{}',
        source_id uuid,
        expires_at timestamptz,
        revoked_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now())""",
    "CREATE INDEX ix_keys_created_at_key_id ON api.keys (created_at, key_id)",
    """CREATE TABLE api.sources (
        source_id uuid NOT NULL CONSTRAINT pk_sources PRIMARY KEY,
        name text NOT NULL,
        kind text NOT NULL,
        team text NOT NULL CONSTRAINT ck_sources_team CHECK (team IN ('marketing', 'sales')),
        secret text NOT NULL,
        settings jsonb NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL DEFAULT now(),
        deleted_at timestamptz)""",
    "CREATE INDEX ix_sources_created_at_source_id ON api.sources (created_at, source_id)",
    """CREATE TABLE api.subscriptions (
        subscription_id uuid NOT NULL CONSTRAINT pk_subscriptions PRIMARY KEY,
        name text NOT NULL,
        url text NOT NULL,
        types text[] NOT NULL,
        condition jsonb,
        format text NOT NULL DEFAULT 'standard',
        secret text NOT NULL,
        state text NOT NULL DEFAULT 'active'
            CONSTRAINT ck_subscriptions_state CHECK (state IN ('active', 'paused', 'disabled')),
        created_at timestamptz NOT NULL DEFAULT now(),
        deleted_at timestamptz)""",
    """CREATE INDEX ix_subscriptions_created_at_subscription_id
        ON api.subscriptions (created_at, subscription_id)""",
    """CREATE TABLE api.owners (
        owner text NOT NULL CONSTRAINT pk_owners PRIMARY KEY,
        is_paused boolean NOT NULL DEFAULT false,
        paused_until timestamptz,
        updated_at timestamptz NOT NULL DEFAULT now())""",
    """CREATE TABLE api.idempotency (
        key_id text NOT NULL,
        idempotency_key text NOT NULL,
        request_sha256 bytea NOT NULL,
        status integer NOT NULL,
        body jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_idempotency PRIMARY KEY (key_id, idempotency_key))""",
    "CREATE INDEX ix_idempotency_created_at ON api.idempotency (created_at)",
    """CREATE VIEW api.published_accords AS
        SELECT version, document, effective_at, state FROM api.accords
        WHERE state IN ('scheduled', 'effective', 'superseded')""",
    """CREATE VIEW api.published_keys AS
        SELECT key_id, secret_sha256, name, role, scopes, source_id, expires_at, revoked_at FROM api.keys""",
    """CREATE VIEW api.published_sources AS
        SELECT source_id, name, kind, team, secret, settings FROM api.sources WHERE deleted_at IS NULL""",
    """CREATE VIEW api.published_subscriptions AS
        SELECT subscription_id, name, url, types, condition, format, secret, state FROM api.subscriptions
        WHERE deleted_at IS NULL""",
    "CREATE VIEW api.published_owners AS SELECT owner, is_paused, paused_until FROM api.owners",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
