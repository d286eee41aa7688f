"""How the engagement of a page of leads went: their grants added up by day in the database, one query however many."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from services.api.store.database import Database
from shared.agreement.compiled import CompiledAccord

# What a day's grants are worth at its end. Postgres refuses a power that is too small to be told from nothing. They are
# looked up lead by lead (hence OFFSET): the planner would rather open what was granted to all leads.
_WORTHS: Final = """WITH grants AS (
    SELECT g.lead_id, g.accord, rule, points, extract(epoch FROM :now - occurred_at)::float8 AS age,
        least(:days, floor(extract(epoch FROM :now - occurred_at) / 86400))::integer AS days_ago
    FROM unnest(CAST(:lead_ids AS uuid[]), CAST(:accords AS integer[])) AS lead (lead_id, accord)
    CROSS JOIN LATERAL (SELECT lead_id, accord, rule, points, occurred_at FROM scoring.published_grants AS one
        WHERE one.lead_id = lead.lead_id AND one.accord = lead.accord OFFSET 0) AS g
    WHERE points <> 0 AND occurred_at <= :now)
SELECT lead_id, half_life, days_ago, sum(points * CASE WHEN half_life IS NULL THEN 1.0
    ELSE power(2.0::float8, greatest(-1000.0, (days_ago * 86400.0 - age) / half_life)) END) AS worth
FROM grants JOIN unnest(CAST(:versions AS integer[]), CAST(:rules AS text[]), CAST(:half_lives AS float8[]))
    AS r (accord, rule, half_life) USING (accord, rule)
GROUP BY lead_id, half_life, days_ago"""

Worth = tuple[float | None, int, float]


class TrendStore:
    """Queries about many leads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def worths(
        self, leads: Mapping[UUID, CompiledAccord], days: int, now: datetime
    ) -> dict[UUID, Sequence[Worth]]:
        """By lead what `engagement_by_day` takes. `leads` are each with the version of its score."""
        rules = [
            (accord.version, rule.id, half_life.total_seconds() if half_life else None)
            for accord in {accord.version: accord for accord in leads.values()}.values()
            for rule in accord.document.scoring.engagement.rules
            for half_life in (accord.rule(rule.id).half_life,)
        ]
        values: dict[str, Any] = {
            "now": now,
            "days": days,
            "lead_ids": list(leads),
            "accords": [accord.version for accord in leads.values()],
            "versions": [version for version, _, _ in rules],
            "rules": [rule for _, rule, _ in rules],
            "half_lives": [half_life for _, _, half_life in rules],
        }
        found: dict[UUID, list[Worth]] = {lead_id: [] for lead_id in leads}
        for row in await self._database.rows(text(_WORTHS).bindparams(**values)):
            found[row["lead_id"]].append((row["half_life"], row["days_ago"], row["worth"]))
        return {**found}
