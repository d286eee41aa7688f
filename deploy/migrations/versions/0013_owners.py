"""Owners who are paused or gone, what each was given on a day, and how long a lead stayed in each stage.

`loads` is what capacity is counted by: one row per owner and day on which they got a lead.
"""

from alembic import op

revision = "0013"
down_revision = "0012"

STATEMENTS = (
    "ALTER TABLE api.owners ADD COLUMN deleted_at timestamptz",
    """CREATE OR REPLACE VIEW api.published_owners AS
        SELECT owner, is_paused, paused_until, deleted_at IS NOT NULL AS is_gone FROM api.owners""",
    """CREATE TABLE stages.loads (
        owner text NOT NULL,
        day date NOT NULL,
        leads integer NOT NULL DEFAULT 0,
        CONSTRAINT pk_loads PRIMARY KEY (owner, day)) WITH (fillfactor = 50)""",
    "CREATE VIEW stages.published_loads AS SELECT owner, day, leads FROM stages.loads",
    # Only changes of stage or owner touch it: scores still update in place.
    """CREATE INDEX ix_leads_owner ON stages.leads (owner)
        WHERE stage IN ('mql', 'sal', 'sql', 'opportunity')""",
    """CREATE VIEW stages.published_owners AS
        SELECT owner, count(*) AS open_leads FROM stages.leads
        WHERE stage IN ('mql', 'sal', 'sql', 'opportunity') GROUP BY owner""",
    # Every stage that a lead was in, with the time it stayed there; the present one has no end. The stage that a lead
    # begins in was entered with its first event, or with an action that happened before that came in.
    """CREATE VIEW stages.published_stages AS
        SELECT lead_id, version, stage, entered_at,
            lead(entered_at) OVER entries AS left_at,
            extract(epoch FROM lead(entered_at) OVER entries - entered_at)::double precision AS seconds,
            implied, reason, action, owner
        FROM (
            SELECT lead_id, version, to_stage AS stage, occurred_at AS entered_at, is_implied AS implied, reason,
                action, owner
            FROM stages.transitions
            UNION ALL
            SELECT lead_id, 0, 'lead', least((state::json ->> 2)::timestamptz, (
                SELECT occurred_at FROM stages.transitions t WHERE t.lead_id = l.lead_id AND t.version = 1)),
                false, NULL, NULL, NULL
            FROM stages.leads l
        ) AS entered
        WINDOW entries AS (PARTITION BY lead_id ORDER BY version)""",
    """CREATE OR REPLACE VIEW stages.published_actions AS
        SELECT lead_id, event_id, body ->> 'action' AS action, (body ->> 'occurred_at')::timestamptz AS occurred_at,
            received_at, body ->> 'reason' AS reason, body ->> 'channel' AS channel, body ->> 'actor' AS actor, ignored,
            body ->> 'note' AS note, body ->> 'source' AS source, (body ->> 'until')::timestamptz AS until,
            (body ->> 'amount')::double precision AS amount, body ->> 'currency' AS currency, body ->> 'owner' AS owner
        FROM (
            SELECT lead_id, event_id, received_at, ignored, convert_from(body, 'UTF8')::jsonb AS body
            FROM stages.history WHERE body IS NOT NULL
        ) AS history""",
    # Who was given the lead, and why; what is stamped names who was passed over.
    """CREATE VIEW stages.published_assignments AS
        SELECT lead_id, event_id, received_at, stamp ->> 'owner' AS owner, stamp ->> 'team' AS team,
            stamp ->> 'why' AS why, (stamp ->> 'turn')::bigint AS turn, stamp -> 'candidates' AS candidates,
            stamp -> 'passed_over' AS passed_over
        FROM (
            SELECT lead_id, event_id, received_at, stamp::jsonb AS stamp FROM stages.history WHERE stamp IS NOT NULL
        ) AS history""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
