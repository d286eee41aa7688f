"""Schema `scoring`: what each lead is worth, from which inputs, by which grants.

The three tables are the busiest of the house: no foreign keys, one index each, and room on the pages of `leads` for
updates in place. Numbers that lists filter and sort by stand beside the state; the view digs for the rest.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA scoring",
    # States count microseconds since 1970. They are lists, in the order of the fields of services.scoring.model.State.
    """
    CREATE FUNCTION scoring.instant(microseconds text) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT timestamptz '1970-01-01 00:00:00+00' + microseconds::bigint * interval '1 microsecond' $$
    """,
    """
    CREATE TABLE scoring.leads (
        lead_id uuid NOT NULL CONSTRAINT pk_leads PRIMARY KEY,
        engagement double precision NOT NULL,
        fit integer NOT NULL,
        grade text NOT NULL,
        state text NOT NULL
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE scoring.history (
        lead_id uuid NOT NULL,
        event_id uuid NOT NULL,
        number integer NOT NULL,
        kind text NOT NULL,
        received_at timestamptz NOT NULL,
        body bytea NOT NULL,
        CONSTRAINT pk_history PRIMARY KEY (lead_id, event_id)
    )
    """,
    """
    CREATE TABLE scoring.grants (
        lead_id uuid NOT NULL,
        event_id uuid NOT NULL,
        occurred_at timestamptz NOT NULL,
        received_at timestamptz NOT NULL,
        points integer NOT NULL,
        withheld integer NOT NULL,
        accord integer NOT NULL,
        type text NOT NULL,
        rule text NOT NULL,
        why text
    )
    """,
    "CREATE INDEX ix_grants_lead_id ON scoring.grants (lead_id)",
    """
    CREATE VIEW scoring.published_leads AS
    SELECT lead_id, state ->> 9 AS email, state -> 7 AS profile, state ->> 10 AS source, state ->> 11 AS campaign,
        state ->> 12 AS first_source, state ->> 13 AS first_team, (state ->> 0)::integer AS version,
        (state ->> 2)::integer AS accord, scoring.instant(state ->> 3) AS as_of, engagement, fit, grade,
        (
            SELECT coalesce(
                jsonb_object_agg(rule, jsonb_build_array(total -> 0, scoring.instant(total ->> 1), total -> 2)), '{}'
            )
            FROM jsonb_each(state -> 4) AS totals (rule, total)
        ) AS rule_totals,
        scoring.instant(state ->> 3) AS updated_at
    FROM (SELECT lead_id, engagement, fit, grade, state::jsonb AS state FROM scoring.leads) AS leads
    """,
    """
    CREATE VIEW scoring.published_history AS
    SELECT lead_id, number, event_id, kind,
        CASE kind WHEN 'profile' THEN 'profile.updated' ELSE body ->> 'type' END AS type,
        (body ->> 'occurred_at')::timestamptz AS occurred_at, received_at, body ->> 'source' AS source,
        body ->> 'campaign' AS campaign, body
    FROM (
        SELECT lead_id, number, event_id, kind, received_at, convert_from(body, 'UTF8')::jsonb AS body
        FROM scoring.history
    ) AS history
    """,
    """
    CREATE VIEW scoring.published_grants AS
    SELECT lead_id, event_id, type, rule, points, withheld, why, accord, occurred_at, received_at FROM scoring.grants
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
