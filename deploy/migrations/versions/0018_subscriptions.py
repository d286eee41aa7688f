"""What a subscription can ask for, how its endpoint fares, requests to tell something again, and the stream's order.

A delivery has its event's number, so that a lead's deliveries keep the events' order whenever they were added.
"""

from alembic import op

revision = "0018"
down_revision = "0017"

STATEMENTS = (
    """ALTER TABLE api.subscriptions
        ADD COLUMN in_flight_max integer,
        ADD COLUMN rate_per_second double precision,
        ADD COLUMN timeout_seconds double precision,
        ADD COLUMN group_seconds integer NOT NULL DEFAULT 0,
        ADD COLUMN quiet_hours jsonb,
        ADD COLUMN handshake boolean NOT NULL DEFAULT false,
        ADD COLUMN public_key text,
        ADD COLUMN enabling integer NOT NULL DEFAULT 0,
        ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now()""",
    """CREATE OR REPLACE VIEW api.published_subscriptions AS
        SELECT subscription_id, name, url, types, condition, format, secret, state, in_flight_max, rate_per_second,
            timeout_seconds, group_seconds, quiet_hours, handshake, enabling
        FROM api.subscriptions WHERE deleted_at IS NULL""",
    """CREATE TABLE api.delivery_requests (
        request_id uuid NOT NULL CONSTRAINT pk_delivery_requests PRIMARY KEY,
        subscription_id uuid NOT NULL,
        kind text NOT NULL CONSTRAINT ck_delivery_requests_kind CHECK (kind IN ('replay', 'test')),
        since timestamptz,
        until timestamptz,
        event_ids uuid[],
        created_at timestamptz NOT NULL DEFAULT now())""",
    """CREATE INDEX ix_delivery_requests_subscription_id_created_at
        ON api.delivery_requests (subscription_id, created_at)""",
    "CREATE INDEX ix_delivery_requests_created_at ON api.delivery_requests (created_at)",
    """CREATE VIEW api.published_delivery_requests AS
        SELECT request_id, subscription_id, kind, since, until, event_ids, created_at FROM api.delivery_requests""",
    "ALTER TABLE delivery.events ADD COLUMN partition smallint NOT NULL DEFAULT 0",
    "ALTER TABLE delivery.events ALTER COLUMN partition DROP DEFAULT, ALTER COLUMN body DROP NOT NULL",
    "CREATE UNIQUE INDEX uq_events_partition_number ON delivery.events (partition, number)",
    "CREATE INDEX ix_events_received_at ON delivery.events USING brin (received_at) WITH (autosummarize = on)",
    """ALTER TABLE delivery.deliveries
        ALTER COLUMN number DROP IDENTITY,
        ADD COLUMN body json,
        ADD COLUMN attempts_before integer NOT NULL DEFAULT 0""",
    "CREATE INDEX ix_deliveries_received_at ON delivery.deliveries USING brin (received_at) WITH (autosummarize = on)",
    "CREATE INDEX ix_deliveries_subscription_id_created_at ON delivery.deliveries (subscription_id, created_at)",
    """CREATE TABLE delivery.endpoints (
        subscription_id uuid NOT NULL CONSTRAINT pk_endpoints PRIMARY KEY,
        enabling integer NOT NULL DEFAULT 0,
        failing_since timestamptz,
        disabled_at timestamptz,
        why text,
        next_message_at timestamptz,
        agreed_url text,
        agreed_rate_per_second double precision,
        asked_at timestamptz,
        refusal text)""",
    """INSERT INTO delivery.endpoints (subscription_id, disabled_at, why)
        SELECT subscription_id, disabled_at, why FROM delivery.disabled_subscriptions""",
    "DROP VIEW delivery.published_disabled",
    "DROP TABLE delivery.disabled_subscriptions",
    """CREATE VIEW delivery.published_endpoints AS
        SELECT subscription_id, enabling, failing_since, disabled_at, why, agreed_url, asked_at, refusal
        FROM delivery.endpoints""",
    """CREATE TABLE delivery.requests (
        request_id uuid NOT NULL CONSTRAINT pk_requests PRIMARY KEY,
        partition smallint NOT NULL DEFAULT 0,
        number bigint NOT NULL DEFAULT 0,
        deliveries bigint NOT NULL DEFAULT 0,
        finished_at timestamptz)""",
    """CREATE VIEW delivery.published_requests AS
        SELECT request_id, deliveries, finished_at FROM delivery.requests""",
    """CREATE TABLE delivery.horizons (
        partition smallint NOT NULL CONSTRAINT pk_horizons PRIMARY KEY,
        forgotten_through bigint NOT NULL)""",
    """CREATE VIEW delivery.published_events AS
        SELECT partition, number, event_id, lead_id, type, received_at, body FROM delivery.events""",
    "CREATE VIEW delivery.published_horizons AS SELECT partition, forgotten_through FROM delivery.horizons",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
