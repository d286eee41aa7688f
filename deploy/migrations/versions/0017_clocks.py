"""Clocks that pause, escalations that act, and what lists and reports of clocks look up.

The indexes follow the api's lists: by state and deadline, by owner, broken ones by when they broke. What was announced
while the line lagged and is still to be carried out is rare: its index is nearly empty.
"""

from alembic import op

revision = "0017"
down_revision = "0016"

STATEMENTS = (
    "ALTER TABLE sla.leads ADD snoozes json NOT NULL DEFAULT '[]'",
    """ALTER TABLE sla.clocks
        ADD response_seconds double precision,
        ADD pauses text NOT NULL DEFAULT '[]',
        ADD pauses_told smallint NOT NULL DEFAULT 0,
        ADD paused_until timestamptz,
        ADD then_steps smallint NOT NULL DEFAULT 0,
        ADD then_due_at timestamptz,
        ADD reassigned_by uuid,
        ADD tried text NOT NULL DEFAULT '[]'""",
    # What was announced before this release is not carried out after the fact.
    "UPDATE sla.clocks SET then_steps = ladder_steps WHERE ladder_steps > 0",
    "ALTER TABLE sla.clock_events ADD pause integer",
    "ALTER TABLE sla.history ADD cause uuid",
    """CREATE INDEX ix_clocks_partition_then_due_at ON sla.clocks (partition, then_due_at)
        WHERE then_due_at IS NOT NULL""",
    "CREATE INDEX ix_clocks_state_deadline ON sla.clocks (state, deadline, clock_id)",
    "CREATE INDEX ix_clocks_owner_state_deadline ON sla.clocks (owner, state, deadline, clock_id)",
    """CREATE INDEX ix_clocks_breached_at ON sla.clocks (breached_at, clock_id)
        WHERE state IN ('breached', 'resolved')""",
    # Rows lie about in the order in which clocks started.
    "CREATE INDEX ix_clocks_started_at ON sla.clocks USING brin (started_at)",
    """CREATE OR REPLACE VIEW sla.published_clocks AS
        SELECT clock_id, lead_id, rule, attempt, accord, entry, state, owner, team, started_at, deadline, met_at,
            breached_at, announced_at, resolved_at, voided_at, lateness_seconds, closed_at, is_lagging,
            response_seconds, pauses::json AS pauses, paused_until
        FROM sla.clocks""",
    """CREATE OR REPLACE VIEW sla.published_clock_events AS
        SELECT lead_id, clock_id, event_id, type, occurred_at, rule, owner, level, pause FROM sla.clock_events""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
