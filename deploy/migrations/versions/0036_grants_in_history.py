"""What an activity was granted when it was applied stands in its line of the history, and no longer in rows of its own.

`granted` is `[accord, occurred_at in µs since 1970, type, [[rule, points, withheld, why], …]]`. `grants` keeps what was
granted before, and what versions grant afterwards: by a rescore, or to a late activity. `ledger` is both.
"""

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_OF_HISTORY = """SELECT h.lead_id, h.event_id, scoring.instant(said ->> 1) AS occurred_at, h.received_at,
        (one ->> 1)::integer AS points, (one ->> 2)::integer AS withheld, (said ->> 0)::integer AS accord,
        said ->> 2 AS type, one ->> 0 AS rule, one ->> 3 AS why
    FROM scoring.history AS h CROSS JOIN LATERAL (SELECT h.granted::jsonb AS said OFFSET 0) AS parsed
    CROSS JOIN LATERAL jsonb_array_elements(said -> 3) AS one WHERE h.granted IS NOT NULL"""
_PUBLISHED = """CREATE OR REPLACE VIEW scoring.published_grants AS
    SELECT lead_id, event_id, type, rule, points, withheld, why, accord, occurred_at, received_at FROM scoring."""

STATEMENTS = (
    "ALTER TABLE scoring.history ADD COLUMN granted text",
    f"""CREATE VIEW scoring.ledger AS
    SELECT lead_id, event_id, occurred_at, received_at, points, withheld, accord, type, rule, why FROM scoring.grants
    UNION ALL {_OF_HISTORY}""",  # noqa: S608 - the text above
    f"{_PUBLISHED}ledger",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
