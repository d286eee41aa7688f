"""SQL of what the api has rolled up for its reports, against what the services publish. Like line_sql: a sentence per
difference."""

from collections.abc import Iterator
from typing import Final

from services.api.store.rollup import BY_DAY, TABLES, RolledTable
from services.audit.findings import Check
from services.audit.line_sql import Statement

# Leads that the log has spoken of since the api last looked are rolled up at its next look; all of them, when it lost
# the thread and walks over all leads.
BEHIND: Final = """places AS MATERIALIZED (
    SELECT place, number, partition, p.first, coalesce(l.next, CASE place WHEN 'log' THEN 0 ELSE 1 END) AS next
    FROM stream.published_places AS p LEFT JOIN api.list_places AS l USING (place, number, partition)),
behind AS MATERIALIZED (
    SELECT l.of_lead FROM places AS p JOIN stream.published_log AS l ON p.place = 'log' AND l.topic_id = p.number
        AND l.partition = p.partition AND l.log_offset >= p.next
    UNION SELECT b.of_lead FROM places AS p JOIN stream.published_outbox AS b ON p.place = 'outbox'
        AND b.emitter_id = p.number AND b.row_number >= p.next),
lost AS (SELECT FROM places WHERE next < first
    UNION ALL SELECT FROM api.list_state WHERE walked_through IS NOT NULL)"""

_DAYS: Final = """SELECT format('api.report_days: %s leads of %s count, of %s that are rolled up', counted, day, begun)
FROM (SELECT day, sum(leads) AS counted FROM api.report_days GROUP BY day) AS days
FULL JOIN (
    SELECT (began_at AT TIME ZONE 'UTC')::date AS day, count(*) AS begun FROM api.report_leads GROUP BY 1) AS leads
    USING (day) WHERE coalesce(counted, 0) <> coalesce(begun, 0)"""

# Shares of a day come and go to the last digit.
_OUTCOMES: Final = f"""WITH counted AS (SELECT * FROM api.report_outcomes),
given AS ({BY_DAY.format(rows="SELECT *, 1 AS sign FROM api.report_touches")}),
empty AS (SELECT kind, day, key, stage, currency, has_amount, 0, 0, 0, 0, 0, 0 FROM counted)
SELECT format('api.report_outcomes: of %s by %s is counted what is not rolled up', day, kind)
FROM ((TABLE counted EXCEPT TABLE given EXCEPT TABLE empty) UNION (TABLE given EXCEPT TABLE counted)) AS different
GROUP BY day, kind"""


def statements() -> Iterator[Statement]:
    """The checks of reports."""
    for table in TABLES:
        yield Statement(Check.REPORTS, _different(table), f"SELECT count(*) FROM api.{table.name}")
    yield Statement(Check.REPORTS, _DAYS)
    yield Statement(Check.REPORTS, _OUTCOMES)


def _different(table: RolledTable) -> str:
    columns = ", ".join(table.columns)
    return f"""WITH {BEHIND}, kept AS MATERIALIZED (SELECT {columns} FROM api.{table.name}),
given AS MATERIALIZED ({table.published})
SELECT format('api.{table.name}: what is rolled up of lead %s is not what the services publish', lead_id)
FROM ((TABLE kept EXCEPT ALL TABLE given) UNION ALL (TABLE given EXCEPT ALL TABLE kept)) AS different
WHERE NOT EXISTS (TABLE lost) AND lead_id NOT IN (TABLE behind) GROUP BY lead_id"""
