"""What remains of erased leads: rows of nobody, under ids made at random, with what reports count (ADR 21).

An erasure is told to the log after its rows stand (`told_at`), and `done_at` every service has applied it: in between,
reports leave out what the services still hold of the lead. What was erased before has no such rows.
"""

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

_SERVICES = ("ingest", "scoring", "stages", "sla", "delivery")
_APPLIED = " AND ".join(
    f"EXISTS (SELECT FROM {schema}.erased AS by_service WHERE by_service.lead_id = e.lead_id)" for schema in _SERVICES
)

STATEMENTS = (
    "ALTER TABLE api.erasures ADD COLUMN told_at timestamptz, ADD COLUMN done_at timestamptz",
    # The others are told again, which changes nothing where they were told before.
    f"UPDATE api.erasures AS e SET told_at = now(), done_at = now() WHERE {_APPLIED}",  # noqa: S608
    "CREATE INDEX ix_erasures_undone ON api.erasures (requested_at) INCLUDE (lead_id) WHERE done_at IS NULL",
    """CREATE TABLE api.nobodies (
        nobody_id uuid NOT NULL CONSTRAINT pk_nobodies PRIMARY KEY,
        began_at timestamptz,
        left_at timestamptz,
        source text,
        campaign text,
        first_team text)""",
    """CREATE TABLE api.nobody_entries (
        nobody_id uuid NOT NULL,
        version integer NOT NULL,
        stage text COLLATE "C" NOT NULL,
        entered_at timestamptz NOT NULL,
        left_at timestamptz,
        is_only boolean NOT NULL,
        is_implied boolean NOT NULL,
        contacted_at timestamptz,
        owner text,
        source text,
        campaign text,
        amount double precision,
        currency text,
        held text[] NOT NULL DEFAULT '{}',
        CONSTRAINT pk_nobody_entries PRIMARY KEY (nobody_id, version))""",
    "CREATE INDEX ix_nobody_entries_entered_at ON api.nobody_entries (stage, entered_at)",
    """CREATE TABLE api.nobody_touches (
        nobody_id uuid NOT NULL,
        version integer NOT NULL,
        kind text COLLATE "C" NOT NULL,
        key text,
        stage text COLLATE "C" NOT NULL,
        entered_at timestamptz NOT NULL,
        amount double precision,
        currency text,
        touches integer NOT NULL,
        touches_of_all integer NOT NULL,
        is_first boolean NOT NULL,
        is_last boolean NOT NULL)""",
    "CREATE INDEX ix_nobody_touches_nobody_id ON api.nobody_touches (nobody_id)",
    """CREATE TABLE api.nobody_clocks (
        nobody_id uuid NOT NULL,
        rule text NOT NULL,
        state text NOT NULL,
        owner text,
        team text,
        started_at timestamptz NOT NULL,
        response_seconds double precision)""",
    "CREATE INDEX ix_nobody_clocks_started_at ON api.nobody_clocks (started_at)",
    # Whose clock it is stands in the index too, so that attainment leaves erased leads out without reading the table.
    "DROP INDEX sla.ix_clocks_started_at",
    """CREATE INDEX ix_clocks_started_at ON sla.clocks (started_at)
        INCLUDE (lead_id, state, rule, owner, team, response_seconds)""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
