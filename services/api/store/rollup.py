"""The tables that reports are counted from, and how some leads in them are brought up to date.

One statement a table, which reads one moment: rows that no longer follow from what is published go, those that are
missing come, and what was counted by day moves with them.
"""

from typing import Final, NamedTuple

from sqlalchemy import text

from services.api.store.rolled import ENTRIES, IS_AMOUNT, LEADS, MODELS, TOUCHES

_OF: Final = "lead_id = ANY(CAST(:lead_ids AS uuid[]))"
_ALL: Final = dict.fromkeys(("leads", "moves", "nobodies"), "true")
# When a lead was first heard of is looked up once: its history may be long. By lead (hence OFFSET): for a least value
# the planner would rather walk all leads in the order of that value.
_BEGAN: Final = """(SELECT min(kept.began_at) FROM (
    SELECT began_at FROM api.report_leads AS r WHERE r.lead_id = known.lead_id OFFSET 0) AS kept)"""


class RolledTable(NamedTuple):
    """A table, the query that says what should stand in it, its columns in the order of the query, and which of them
    are names."""

    name: str
    rows: str
    columns: tuple[str, ...]
    names: tuple[str, ...]
    also: str = ""

    @property
    def published(self) -> str:
        """What should stand in it of all leads."""
        return f"SELECT {self._hashed} FROM ({self.rows.format(began='NULL', **_ALL)}) AS told"

    @property
    def statement(self) -> str:
        """Brings it up to date, of the leads `lead_ids`."""
        columns = ", ".join(self.columns)
        named = ", ".join(f"({one})" for one in self.names)
        return f"""WITH told AS MATERIALIZED ({self.rows.format(began=_BEGAN, **dict.fromkeys(_ALL, _OF))}),
named AS (INSERT INTO api.report_names (name_id, name)
    SELECT DISTINCT md5(of.name)::uuid, of.name FROM told CROSS JOIN LATERAL (VALUES {named}) AS of (name)
    WHERE of.name IS NOT NULL AND NOT EXISTS (
        SELECT FROM api.report_names AS n WHERE n.name_id = md5(of.name)::uuid) ORDER BY 1
    ON CONFLICT (name_id) DO NOTHING),
now AS MATERIALIZED (SELECT {self._hashed} FROM told),
before AS MATERIALIZED (SELECT {columns} FROM api.{self.name} WHERE {_OF}),
gone AS (DELETE FROM api.{self.name} AS kept WHERE {_OF} AND NOT EXISTS (
    SELECT FROM now WHERE now.lead_id = kept.lead_id AND ROW(now.*) IS NOT DISTINCT FROM ROW(kept.*)) RETURNING *),
come AS (INSERT INTO api.{self.name} ({columns}) SELECT {columns} FROM now WHERE NOT EXISTS (
    SELECT FROM before WHERE before.lead_id = now.lead_id AND ROW(before.*) IS NOT DISTINCT FROM ROW(now.*))
    RETURNING *){self.also}
SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM come)"""

    @property
    def _hashed(self) -> str:
        return ", ".join(f"md5({one})::uuid AS {one}" if one in self.names else one for one in self.columns)


# Days follow the leads that begin on them, in the same statement.
_COUNTED: Final = """,
counted AS (INSERT INTO api.report_days AS d (day, source, campaign, leads)
    SELECT (began_at AT TIME ZONE 'UTC')::date, source, campaign, sum(leads) FROM (
        SELECT began_at, source, campaign, 1 AS leads FROM come
        UNION ALL SELECT began_at, source, campaign, -1 FROM gone) AS moved
    GROUP BY 1, 2, 3 HAVING sum(leads) <> 0 ORDER BY 1, 2, 3
    ON CONFLICT ON CONSTRAINT uq_report_days DO UPDATE SET leads = d.leads + excluded.leads)"""
_MEASURES: Final = tuple(f"{model}_{measure}" for model in MODELS for measure in ("outcomes", "amount"))
_SUMS: Final = ", ".join(
    f"""coalesce(sum(sign * {share}) FILTER (WHERE {chosen}), 0) AS {model}_outcomes,
        coalesce(sum(sign * {share} * amount::numeric) FILTER (WHERE {chosen} AND {IS_AMOUNT}), 0) AS {model}_amount"""
    for model, (chosen, share) in MODELS.items()
)
# What `rows` of touches come to by day; their column `sign` is 1 or -1.
BY_DAY: Final = f"""SELECT kind, (entered_at AT TIME ZONE 'UTC')::date AS day, key, stage, currency,
        {IS_AMOUNT} AS has_amount, {_SUMS}
    FROM ({{rows}}) AS rows GROUP BY 1, 2, 3, 4, 5, 6"""
_MOVED: Final = BY_DAY.format(rows="SELECT *, 1 AS sign FROM come UNION ALL SELECT *, -1 FROM gone")
_ADDED: Final = f""",
added AS (INSERT INTO api.report_outcomes AS d (
        kind, day, key, stage, currency, has_amount, {", ".join(_MEASURES)})
    SELECT * FROM ({_MOVED}) AS moved WHERE ({", ".join(_MEASURES)}) <> ({", ".join("0" for _ in _MEASURES)})
    ORDER BY 1, 2, 3, 4, 5, 6 ON CONFLICT ON CONSTRAINT uq_report_outcomes DO UPDATE SET
        {", ".join(f"{measure} = d.{measure} + excluded.{measure}" for measure in _MEASURES)})"""
_ENTRY: Final = (
    *("lead_id", "version", "stage", "entered_at", "left_at", "is_only", "is_implied", "contacted_at"),
    *("owner", "source", "campaign"),
)
_TOUCH: Final = (
    *("lead_id", "version", "kind", "key", "stage", "entered_at", "amount", "currency"),
    *("touches", "touches_of_all", "is_first", "is_last"),
)
TABLES: Final = (
    RolledTable(
        "report_leads",
        LEADS,
        ("lead_id", "began_at", "left_at", "source", "campaign"),
        ("source", "campaign"),
        _COUNTED,
    ),
    RolledTable("report_entries", ENTRIES, _ENTRY, ("owner", "source", "campaign")),
    RolledTable("report_touches", TOUCHES, _TOUCH, ("key", "currency"), _ADDED),
)
# Each of them brings `lead_ids` up to date.
ROLL_UP: Final = tuple(text(table.statement) for table in TABLES)
