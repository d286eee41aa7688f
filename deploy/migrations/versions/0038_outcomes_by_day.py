"""What was attributed on a day (UTC) is added up: reports read whole days from there, and only the ends of their period
outcome by outcome. Shares are exact numbers, so that what goes takes away what it brought."""

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

_MEASURES = ("first_outcomes", "first_amount", "last_outcomes", "last_amount", "linear_outcomes", "linear_amount")


def upgrade() -> None:
    measures = ", ".join(f"{measure} numeric NOT NULL" for measure in _MEASURES)
    op.execute(f"""CREATE TABLE api.report_outcomes (
        kind text COLLATE "C" NOT NULL,
        day date NOT NULL,
        key uuid,
        stage text COLLATE "C" NOT NULL,
        currency uuid,
        has_amount boolean NOT NULL,
        {measures},
        CONSTRAINT uq_report_outcomes UNIQUE NULLS NOT DISTINCT (kind, day, key, stage, currency, has_amount))""")
    op.execute("""INSERT INTO api.report_outcomes
        SELECT kind, (entered_at AT TIME ZONE 'UTC')::date, key, stage, currency, has_amount,
            count(*) FILTER (WHERE is_first), coalesce(sum(summed) FILTER (WHERE is_first), 0),
            count(*) FILTER (WHERE is_last), coalesce(sum(summed) FILTER (WHERE is_last), 0),
            sum(share), coalesce(sum(share * summed), 0)
        FROM (
            SELECT *, coalesce(amount = 0 OR amount BETWEEN 1e-9 AND 1e15, false) AS has_amount,
                touches::numeric / touches_of_all AS share FROM api.report_touches OFFSET 0) AS of_outcome
        CROSS JOIN LATERAL (SELECT CASE WHEN has_amount THEN amount::numeric END AS summed) AS amounts
        GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2""")
