"""What reports are counted from, in the api's own tables: they follow the log with the lists (ADR 18).

`report_leads` and `report_entries` say when each lead entered each stage and went on, `report_days` how many leads
began on a day (UTC), `report_touches` what led to each outcome. Names stand in `report_names` and elsewhere as their
MD5, so that what a report reads of a row stands in its index.
"""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

# No row has a key: who brings a lead up to date takes away what is no longer so and adds what is new.
STATEMENTS = (
    """CREATE TABLE api.report_names (
        name_id uuid NOT NULL CONSTRAINT pk_report_names PRIMARY KEY,
        name text NOT NULL)""",
    """CREATE TABLE api.report_leads (
        lead_id uuid NOT NULL,
        began_at timestamptz NOT NULL,
        left_at timestamptz,
        source uuid,
        campaign uuid)""",
    "CREATE INDEX ix_report_leads_lead_id ON api.report_leads (lead_id)",
    "CREATE INDEX ix_report_leads_began_at ON api.report_leads (began_at) INCLUDE (lead_id, source, campaign)",
    """CREATE INDEX ix_report_leads_left ON api.report_leads (began_at) INCLUDE (left_at, source, campaign)
        WHERE left_at IS NOT NULL""",
    """CREATE TABLE api.report_days (
        day date NOT NULL,
        source uuid,
        campaign uuid,
        leads integer NOT NULL,
        CONSTRAINT uq_report_days UNIQUE NULLS NOT DISTINCT (day, source, campaign))""",
    """CREATE TABLE api.report_entries (
        lead_id uuid NOT NULL,
        version integer NOT NULL,
        stage text COLLATE "C" NOT NULL,
        entered_at timestamptz NOT NULL,
        left_at timestamptz,
        is_only boolean NOT NULL,
        is_implied boolean NOT NULL,
        contacted_at timestamptz,
        owner uuid,
        source uuid,
        campaign uuid)""",
    "CREATE INDEX ix_report_entries_lead_id ON api.report_entries (lead_id)",
    """CREATE INDEX ix_report_entries_only ON api.report_entries (entered_at)
        INCLUDE (stage, left_at, owner, source, campaign) WHERE is_only""",
    "CREATE INDEX ix_report_entries_again ON api.report_entries (entered_at) WHERE NOT is_only",
    """CREATE INDEX ix_report_entries_mql ON api.report_entries (entered_at)
        INCLUDE (lead_id, version, is_only, owner, contacted_at) WHERE stage = 'mql' AND NOT is_implied""",
    """CREATE TABLE api.report_touches (
        lead_id uuid NOT NULL,
        version integer NOT NULL,
        kind text COLLATE "C" NOT NULL,
        key uuid,
        stage text COLLATE "C" NOT NULL,
        entered_at timestamptz NOT NULL,
        amount double precision,
        currency uuid,
        touches integer NOT NULL,
        touches_of_all integer NOT NULL,
        is_first boolean NOT NULL,
        is_last boolean NOT NULL)""",
    "CREATE INDEX ix_report_touches_lead_id ON api.report_touches (lead_id)",
    """CREATE INDEX ix_report_touches_kind ON api.report_touches (kind, entered_at)
        INCLUDE (stage, key, amount, currency, touches, touches_of_all, is_first, is_last)""",
    # Attainment reads of a clock what stands here; a clock has few changes, none of which was in place before either.
    "DROP INDEX sla.ix_clocks_started_at",
    """CREATE INDEX ix_clocks_started_at ON sla.clocks (started_at)
        INCLUDE (state, rule, owner, team, response_seconds)""",
    # They are filled by a walk over all leads; until it is over reports read what the services publish.
    """INSERT INTO api.list_state (walked_through)
        SELECT '00000000-0000-0000-0000-000000000000'
        WHERE EXISTS (SELECT FROM scoring.leads) OR EXISTS (SELECT FROM stages.leads)
        ON CONFLICT (is_only) DO UPDATE SET walked_through = excluded.walked_through""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
