"""What the services publish of their JSON is parsed once per row, not once per column: Postgres puts the cast of a
plain subquery wherever its column is used. An OFFSET keeps it from that; only the row's own JSON stands behind it, so
that other conditions still find their indexes. And what calls itself immutable while it adds an interval to a time
can't be put in place of its call: as stable it can."""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_LEADS = """CREATE OR REPLACE VIEW scoring.published_leads AS
    SELECT lead_id, {json} ->> 9 AS email, {json} -> 7 AS profile, {json} ->> 10 AS source, {json} ->> 11 AS campaign,
        {json} ->> 12 AS first_source, {json} ->> 13 AS first_team, ({json} ->> 0)::integer AS version,
        ({json} ->> 2)::integer AS accord, scoring.instant({json} ->> 3) AS as_of, engagement, fit, grade,
        (
            SELECT coalesce(
                jsonb_object_agg(rule, jsonb_build_array(total -> 0, scoring.instant(total ->> 1), total -> 2)), '{{}}'
            )
            FROM jsonb_each({json} -> 4) AS totals (rule, total)
        ) AS rule_totals,
        scoring.instant({json} ->> 3) AS updated_at
    FROM {rows}"""
_HISTORY = """CREATE OR REPLACE VIEW scoring.published_history AS
    SELECT lead_id, number, event_id, kind,
        CASE kind WHEN 'profile' THEN 'profile.updated' ELSE {json} ->> 'type' END AS type,
        ({json} ->> 'occurred_at')::timestamptz AS occurred_at, received_at, {json} ->> 'source' AS source,
        {json} ->> 'campaign' AS campaign, {json} AS body
    FROM {rows}"""
_ACTIONS = """CREATE OR REPLACE VIEW stages.published_actions AS
    SELECT lead_id, event_id, {json} ->> 'action' AS action, ({json} ->> 'occurred_at')::timestamptz AS occurred_at,
        received_at, {json} ->> 'reason' AS reason, {json} ->> 'channel' AS channel, {json} ->> 'actor' AS actor,
        ignored, {json} ->> 'note' AS note, {json} ->> 'source' AS source, ({json} ->> 'until')::timestamptz AS until,
        ({json} ->> 'amount')::double precision AS amount, {json} ->> 'currency' AS currency,
        {json} ->> 'owner' AS owner
    FROM {rows}"""
_ASSIGNMENTS = """CREATE OR REPLACE VIEW stages.published_assignments AS
    SELECT lead_id, event_id, received_at, {json} ->> 'owner' AS owner, {json} ->> 'team' AS team,
        {json} ->> 'why' AS why, ({json} ->> 'turn')::bigint AS turn, {json} -> 'candidates' AS candidates,
        {json} -> 'passed_over' AS passed_over
    FROM {rows}"""
_TEXT = "convert_from({table}.body, 'UTF8')::jsonb"
# The view, its table, the JSON there, and which rows have some.
VIEWS = (
    (_LEADS, "scoring.leads", "{table}.state::jsonb", ""),
    (_HISTORY, "scoring.history", _TEXT, ""),
    (_ACTIONS, "stages.history", _TEXT, " WHERE of.body IS NOT NULL"),
    (_ASSIGNMENTS, "stages.history", "{table}.stamp::jsonb", " WHERE of.stamp IS NOT NULL"),
)


_INSTANT = "ALTER FUNCTION scoring.instant(text) {volatility}"


def upgrade() -> None:
    op.execute(_INSTANT.format(volatility="STABLE"))
    for view, table, json, where in VIEWS:
        parsed = (
            f"{table} AS of CROSS JOIN LATERAL (SELECT {json.format(table='of')} AS said OFFSET 0) AS parsed{where}"
        )
        op.execute(view.format(json="said", rows=parsed))
