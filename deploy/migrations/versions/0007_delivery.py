"""What was told to whom: the events, one delivery per event and subscription, and each try.

The two partial indexes of `deliveries` hold pending rows only: the first finds what is due for a subscription, the
second what a lead's earlier delivery holds back.
"""

from alembic import op

revision = "0007"
down_revision = "0006"

STATEMENTS = (
    "CREATE SCHEMA IF NOT EXISTS delivery",
    """CREATE TABLE delivery.events (
        lead_id uuid NOT NULL,
        number bigint GENERATED ALWAYS AS IDENTITY,
        event_id uuid NOT NULL,
        type text NOT NULL,
        received_at timestamptz NOT NULL,
        body json NOT NULL)""",
    "CREATE UNIQUE INDEX uq_events_lead_id_event_id ON delivery.events (lead_id, event_id)",
    """CREATE TABLE delivery.deliveries (
        lead_id uuid NOT NULL,
        delivery_id uuid NOT NULL,
        subscription_id uuid NOT NULL,
        number bigint GENERATED ALWAYS AS IDENTITY,
        event_id uuid NOT NULL,
        type text NOT NULL,
        received_at timestamptz NOT NULL,
        state text NOT NULL DEFAULT 'pending'
            CONSTRAINT ck_deliveries_state CHECK (state IN ('pending', 'delivered', 'dead')),
        attempts smallint NOT NULL DEFAULT 0,
        next_attempt_at timestamptz,
        claimed_until timestamptz,
        status smallint,
        outcome text,
        latency_seconds double precision,
        delivered_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_deliveries PRIMARY KEY (lead_id, delivery_id)) WITH (fillfactor = 70)""",
    """CREATE INDEX ix_deliveries_subscription_id_next_attempt_at
        ON delivery.deliveries (subscription_id, next_attempt_at) WHERE state = 'pending'""",
    """CREATE INDEX ix_deliveries_subscription_id_lead_id_number
        ON delivery.deliveries (subscription_id, lead_id, number) WHERE state = 'pending'""",
    """CREATE TABLE delivery.attempts (
        lead_id uuid NOT NULL,
        delivery_id uuid NOT NULL,
        attempt smallint NOT NULL,
        started_at timestamptz NOT NULL,
        outcome text NOT NULL,
        status smallint,
        latency_seconds double precision NOT NULL,
        answer bytea NOT NULL,
        CONSTRAINT pk_attempts PRIMARY KEY (lead_id, delivery_id, attempt))""",
    """CREATE TABLE delivery.disabled_subscriptions (
        subscription_id uuid NOT NULL CONSTRAINT pk_disabled_subscriptions PRIMARY KEY,
        disabled_at timestamptz NOT NULL,
        why text NOT NULL)""",
    """CREATE VIEW delivery.published_deliveries AS
        SELECT delivery_id, subscription_id, lead_id, event_id, type, state, attempts, status, latency_seconds,
            next_attempt_at, delivered_at, created_at, outcome FROM delivery.deliveries""",
    """CREATE VIEW delivery.published_attempts AS
        SELECT delivery_id, lead_id, attempt, started_at, outcome, status, latency_seconds, answer
        FROM delivery.attempts""",
    """CREATE VIEW delivery.published_disabled AS
        SELECT subscription_id, disabled_at, why FROM delivery.disabled_subscriptions""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
