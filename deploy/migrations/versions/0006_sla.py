"""Clocks and what was announced of them.

`clocks` has one index beside its key: the moments still to come, by partition, which is all that the sweep reads.
"""

from alembic import op

revision = "0006"
down_revision = "0005"

STATEMENTS = (
    "CREATE SCHEMA IF NOT EXISTS sla",
    """CREATE TABLE sla.leads (
        lead_id uuid NOT NULL CONSTRAINT pk_leads PRIMARY KEY,
        entry integer NOT NULL,
        stage text NOT NULL,
        owner text,
        team text,
        accord integer,
        inputs integer NOT NULL,
        after_seq bigint,
        touches json NOT NULL,
        snapshot json NOT NULL) WITH (fillfactor = 75)""",
    """CREATE TABLE sla.clocks (
        lead_id uuid NOT NULL,
        clock_id uuid NOT NULL,
        partition smallint NOT NULL,
        rule text NOT NULL,
        attempt integer NOT NULL,
        accord integer NOT NULL,
        entry integer NOT NULL,
        state text NOT NULL CONSTRAINT ck_clocks_state CHECK (state IN
            ('open', 'warned', 'met', 'breached', 'resolved', 'voided', 'cancelled', 'paused', 'late_start')),
        owner text,
        team text,
        started_at timestamptz NOT NULL,
        deadline timestamptz NOT NULL,
        ladder_steps smallint NOT NULL,
        next_due_at timestamptz,
        met_at timestamptz,
        breached_at timestamptz,
        announced_at timestamptz,
        resolved_at timestamptz,
        voided_at timestamptz,
        closed_at timestamptz,
        lateness_seconds double precision,
        is_lagging boolean NOT NULL,
        CONSTRAINT pk_clocks PRIMARY KEY (lead_id, clock_id)) WITH (fillfactor = 75)""",
    """CREATE INDEX ix_clocks_partition_next_due_at ON sla.clocks (partition, next_due_at)
        WHERE next_due_at IS NOT NULL""",
    """CREATE TABLE sla.clock_events (
        lead_id uuid NOT NULL,
        event_id uuid NOT NULL,
        clock_id uuid NOT NULL,
        type text NOT NULL,
        occurred_at timestamptz NOT NULL,
        rule text NOT NULL,
        owner text,
        level integer,
        CONSTRAINT pk_clock_events PRIMARY KEY (lead_id, event_id))""",
    # A tick's own time stands in received_at, what it swept in body.
    """CREATE TABLE sla.history (
        lead_id uuid NOT NULL,
        number integer NOT NULL,
        event_id uuid NOT NULL,
        type text NOT NULL,
        received_at timestamptz NOT NULL,
        seq bigint,
        body json NOT NULL)""",
    "CREATE UNIQUE INDEX uq_history_lead_id_event_id ON sla.history (lead_id, event_id)",
    """CREATE VIEW sla.published_clocks AS
        SELECT clock_id, lead_id, rule, attempt, accord, entry, state, owner, team, started_at, deadline, met_at,
            breached_at, announced_at, resolved_at, voided_at, lateness_seconds, closed_at, is_lagging
        FROM sla.clocks""",
    """CREATE VIEW sla.published_clock_events AS
        SELECT lead_id, clock_id, event_id, type, occurred_at, rule, owner, level FROM sla.clock_events""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
