"""Schema `stages`: where each lead stands, how it came there, whose it is, and the turns of the teams.

`history` keeps bodies of sales actions only: the scores follow from scoring's own history.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA stages",
    """
    CREATE TABLE stages.leads (
        lead_id uuid NOT NULL CONSTRAINT pk_leads PRIMARY KEY,
        version integer NOT NULL,
        fit integer NOT NULL,
        engagement double precision NOT NULL,
        entered_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        stage text NOT NULL,
        grade text NOT NULL,
        owner text,
        team text,
        email text,
        state text NOT NULL
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE stages.history (
        lead_id uuid NOT NULL,
        event_id uuid NOT NULL,
        number integer NOT NULL,
        received_at timestamptz NOT NULL,
        body bytea,
        stamp text,
        ignored text,
        CONSTRAINT pk_history PRIMARY KEY (lead_id, event_id)
    )
    """,
    """
    CREATE TABLE stages.transitions (
        lead_id uuid NOT NULL,
        version integer NOT NULL,
        event_id uuid NOT NULL,
        cause_id uuid NOT NULL,
        occurred_at timestamptz NOT NULL,
        from_stage text NOT NULL,
        to_stage text NOT NULL,
        reason text NOT NULL,
        action text,
        is_implied boolean NOT NULL,
        owner text,
        CONSTRAINT pk_transitions PRIMARY KEY (lead_id, version)
    )
    """,
    """
    CREATE TABLE stages.turns (
        team text NOT NULL CONSTRAINT pk_turns PRIMARY KEY,
        turn bigint NOT NULL DEFAULT 0
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE stages.sticky (
        value text NOT NULL CONSTRAINT pk_sticky PRIMARY KEY,
        owner text,
        team text
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE VIEW stages.published_leads AS
    SELECT lead_id, stage, version AS entry, entered_at, owner, team, version, engagement, fit, grade, email, updated_at
    FROM stages.leads
    """,
    """
    CREATE VIEW stages.published_transitions AS
    SELECT lead_id, version, event_id, from_stage, to_stage, version AS entry, reason, action, is_implied AS implied,
        owner, occurred_at, cause_id
    FROM stages.transitions
    """,
    "CREATE VIEW stages.published_history AS SELECT lead_id, number, event_id, received_at FROM stages.history",
    """
    CREATE VIEW stages.published_actions AS
    SELECT lead_id, event_id, body ->> 'action' AS action, (body ->> 'occurred_at')::timestamptz AS occurred_at,
        received_at, body ->> 'reason' AS reason, body ->> 'channel' AS channel, body ->> 'actor' AS actor, ignored,
        body ->> 'note' AS note, body ->> 'source' AS source
    FROM (
        SELECT lead_id, event_id, received_at, ignored, convert_from(body, 'UTF8')::jsonb AS body
        FROM stages.history WHERE body IS NOT NULL
    ) AS history
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
