"""Promises on many leads are counted as leads enter stages, and judged in their periods. What was counted has no lead's
id: it stays when a lead is erased."""

from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

STATEMENTS = (
    """CREATE TABLE sla.promise_entries (
        lead_id uuid NOT NULL,
        promise text COLLATE "C" NOT NULL,
        since timestamptz NOT NULL,
        entered_at timestamptz NOT NULL,
        accord integer NOT NULL,
        is_chosen boolean NOT NULL,
        is_counted boolean NOT NULL,
        amount double precision,
        is_other_currency boolean NOT NULL,
        CONSTRAINT pk_promise_entries PRIMARY KEY (lead_id, promise, since))""",
    """CREATE TABLE sla.promise_counts (
        promise text COLLATE "C" NOT NULL,
        since timestamptz NOT NULL,
        partition smallint NOT NULL,
        entries bigint NOT NULL,
        counted bigint NOT NULL,
        amount numeric NOT NULL,
        counted_amount numeric NOT NULL,
        other_currencies bigint NOT NULL,
        CONSTRAINT pk_promise_counts PRIMARY KEY (promise, since, partition)) WITH (fillfactor = 50)""",
    """CREATE TABLE sla.promise_periods (
        promise text COLLATE "C" NOT NULL,
        since timestamptz NOT NULL,
        partition smallint NOT NULL,
        until timestamptz NOT NULL,
        accord integer NOT NULL,
        state text NOT NULL CONSTRAINT ck_promise_periods_state CHECK (state IN
            ('running', 'kept', 'breached', 'withdrawn')),
        judged_through timestamptz NOT NULL,
        warned_at timestamptz,
        settled_at timestamptz,
        reached double precision,
        numerator double precision,
        denominator double precision,
        corrections integer NOT NULL,
        CONSTRAINT pk_promise_periods PRIMARY KEY (promise, since))""",
    """CREATE TABLE sla.promise_events (
        event_id uuid NOT NULL CONSTRAINT pk_promise_events PRIMARY KEY,
        promise text COLLATE "C" NOT NULL,
        since timestamptz NOT NULL,
        type text NOT NULL,
        told_at timestamptz NOT NULL,
        body json NOT NULL)""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
