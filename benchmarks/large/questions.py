"""What is asked: each call of the api beside bare SQL of the same question on the tables themselves."""

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any, Final, NamedTuple

from benchmarks.large.prospects import SOURCES
from services.simulate.people import LAST_NAMES
from shared.clock import SystemClock

TARGET_MS: Final = 100.0
LEAD_TARGET_MS: Final = 10.0
_SAMPLED: Final = 500
_LEADS: Final = """SELECT lead_id, value AS email FROM ingest.identities TABLESAMPLE SYSTEM (1) WHERE kind = 'email'
LIMIT $1"""
# Those with most to show: they have been sold to.
_QUALIFIED: Final = "SELECT lead_id FROM sla.leads TABLESAMPLE SYSTEM (20) LIMIT $1"
_OWNERS: Final = "SELECT DISTINCT owner FROM stages.loads WHERE owner IS NOT NULL"
_SUBSCRIPTION: Final = "SELECT subscription_id FROM api.subscriptions ORDER BY name DESC LIMIT 1"


class Question(NamedTuple):
    """`path` and `sql` are filled with the same draws: `{lead}` there, and in `draws` the order of $1, $2 here."""

    name: str
    path: str
    sql: str
    draws: Sequence[str] = ()
    target_ms: float = TARGET_MS


class Draws:
    """What questions ask about, drawn anew for each call."""

    def __init__(self, found: dict[str, list[Any]]) -> None:
        self._random = Random(1)
        self._found = found

    def __call__(self) -> dict[str, Any]:
        drawn = {name: self._random.choice(values) for name, values in self._found.items()}
        lead_id, email = drawn["known"]
        return {**drawn, "lead": lead_id, "email": email}


async def draws_from(connection: Any) -> Draws:
    """Some leads, owners and words of this data set."""
    now = SystemClock().now()
    return Draws(
        {
            "known": [tuple(row) for row in await connection.fetch(_LEADS, _SAMPLED)],
            "busy": [row[0] for row in await connection.fetch(_QUALIFIED, _SAMPLED)],
            "owner": [row[0] for row in await connection.fetch(_OWNERS)],
            "subscription": [await connection.fetchval(_SUBSCRIPTION)],
            "source": list(SOURCES),
            "name": [name.lower() for name in LAST_NAMES],
            "company": ["quartz energy 4", "north foods 12", "maple tools", "iron clinics 7"],
            "letters": ["am", "he", "qu", "zi"],
            "at": [now - timedelta(days=days) for days in (1, 7, 30, 90)],
        }
    )


_SHOWN = """SELECT i.*, sc.state, st.state FROM ({chosen}) AS i JOIN scoring.leads AS sc USING (lead_id)
LEFT JOIN stages.leads AS st USING (lead_id)"""


def _list(name: str, query: str, where: str, order: str, draws: Sequence[str] = ()) -> Question:
    chosen = f"SELECT * FROM api.lead_index WHERE {where} ORDER BY {order} LIMIT 51"
    return Question(f"leads, {name}", f"/v1/leads?{query}", _SHOWN.format(chosen=chosen), draws)


_BY_ENGAGEMENT: Final = "engagement DESC, lead_id DESC"
_SAID: Final = "lead_id IN (SELECT lead_id FROM api.lead_words WHERE words LIKE {})"
_SORTS: Final = {
    "engagement": _BY_ENGAGEMENT,
    "fit": "fit DESC, lead_id DESC",
    "updated": "updated_at DESC, lead_id DESC",
    "deadline": "deadline, lead_id",
}
_LISTS: Final = (
    *(_list(f"by {sort}", f"sort={sort}", "true", order) for sort, order in _SORTS.items()),
    *(_list(f"mql by {sort}", f"stage=mql&sort={sort}", "stage = 'mql'", order) for sort, order in _SORTS.items()),
    _list("grade A", "grade=A", "grade = 'A'", _BY_ENGAGEMENT),
    _list("grade A by updated", "grade=A&sort=updated", "grade = 'A'", _SORTS["updated"]),
    _list("of an owner", "owner={owner}", "owner = $1", _BY_ENGAGEMENT, ("owner",)),
    _list("of an owner by deadline", "owner={owner}&sort=deadline", "owner = $1", _SORTS["deadline"], ("owner",)),
    _list("unassigned", "owner=unassigned", "owner = 'unassigned'", _BY_ENGAGEMENT),
    _list("engagement from 60", "min_engagement=60", "engagement >= 60", _BY_ENGAGEMENT),
    _list("engagement from 60 by fit", "min_engagement=60&sort=fit", "engagement >= 60", _SORTS["fit"]),
    *(
        _list(
            f"of a source by {sort}",
            f"source={{source}}&sort={sort}",
            "(source = $1 OR first_source = $1)",
            order,
            ("source",),
        )
        for sort, order in _SORTS.items()
    ),
    _list("q, a name", "q={name}", _SAID.format("'%' || $1 || '%'"), _BY_ENGAGEMENT, ("name",)),
    _list(
        "q, a name by updated", "q={name}&sort=updated", _SAID.format("'%' || $1 || '%'"), _SORTS["updated"], ("name",)
    ),
    _list("q, a company", "q={company}", _SAID.format("'%' || $1 || '%'"), _BY_ENGAGEMENT, ("company",)),
    _list("q, two letters", "q={letters}", _SAID.format("'% ' || $1 || '%'"), _BY_ENGAGEMENT, ("letters",)),
    _list("q, an email", "q={email}", _SAID.format("'%' || $1 || '%'"), _BY_ENGAGEMENT, ("email",)),
    _list(
        "mql of an owner, grade A",
        "stage=mql&owner={owner}&grade=A",
        "stage = 'mql' AND owner = $1 AND grade = 'A'",
        _BY_ENGAGEMENT,
        ("owner",),
    ),
    _list(
        "customers with a name",
        "stage=customer&q={name}",
        "stage = 'customer' AND " + _SAID.format("'%' || $1 || '%'"),
        _BY_ENGAGEMENT,
        ("name",),
    ),
    _list(
        "sql, grade A, of a source by updated",
        "stage=sql&grade=A&source={source}&sort=updated",
        "stage = 'sql' AND grade = 'A' AND (source = $1 OR first_source = $1)",
        _SORTS["updated"],
        ("source",),
    ),
)

_LEAD: Final = """SELECT sc.state, st.state, (SELECT jsonb_agg(c) FROM sla.clocks AS c WHERE c.lead_id = sc.lead_id),
    (SELECT jsonb_agg(i) FROM ingest.identities AS i WHERE i.lead_id = sc.lead_id)
FROM scoring.leads AS sc LEFT JOIN stages.leads AS st USING (lead_id) WHERE sc.lead_id = {}"""
_GRANTS: Final = "SELECT * FROM scoring.ledger WHERE lead_id = $1 ORDER BY occurred_at"
_LIFE: Final = """SELECT 'input', received_at, body::text FROM scoring.history WHERE lead_id = $1
UNION ALL SELECT 'grant', received_at, rule FROM scoring.ledger WHERE lead_id = $1
UNION ALL SELECT 'action', received_at, convert_from(body, 'UTF8') FROM stages.history
    WHERE lead_id = $1 AND body IS NOT NULL
UNION ALL SELECT 'transition', occurred_at, to_stage FROM stages.transitions WHERE lead_id = $1
UNION ALL SELECT 'clock', occurred_at, type FROM sla.clock_events WHERE lead_id = $1
UNION ALL SELECT 'delivery', created_at, type FROM delivery.deliveries WHERE lead_id = $1 ORDER BY 2 LIMIT 101"""
ONE_LEAD: Final = (
    Question("lead by id", "/v1/leads/{lead}", _LEAD.format("$1"), ("lead",), LEAD_TARGET_MS),
    Question(
        "lead by email",
        "/v1/leads/{email}",
        _LEAD.format("(SELECT lead_id FROM ingest.identities WHERE kind = 'email' AND value = $1)"),
        ("email",),
        LEAD_TARGET_MS,
    ),
)
_LEADS_PARTS: Final = (
    Question("lead sold to", "/v1/leads/{busy}", _LEAD.format("$1"), ("busy",)),
    Question("lead at a time", "/v1/leads/{busy}?at={at}", _GRANTS, ("busy",)),
    Question("timeline", "/v1/leads/{busy}/timeline", _LIFE, ("busy",)),
    Question("timeline, latest first", "/v1/leads/{busy}/timeline?order=desc", _LIFE, ("busy",)),
    Question("explanation", "/v1/leads/{busy}/explanation", _GRANTS, ("busy",)),
    Question("explanation at a time", "/v1/leads/{busy}/explanation?at={at}", _GRANTS, ("busy",)),
    Question("export", "/v1/leads/{busy}/export", _LIFE, ("busy",)),
)

_CLOCKS: Final = "SELECT * FROM sla.clocks WHERE {} ORDER BY {} LIMIT 51"
_SALES: Final = (
    Question("clocks open", "/v1/clocks?state=open", _CLOCKS.format("state = 'open'", "deadline, clock_id")),
    Question("clocks", "/v1/clocks", _CLOCKS.format("true", "deadline, clock_id")),
    Question(
        "clocks open of an owner",
        "/v1/clocks?state=open&owner={owner}",
        _CLOCKS.format("state = 'open' AND owner = $1", "deadline, clock_id"),
        ("owner",),
    ),
    Question(
        "clocks of a rule",
        "/v1/clocks?state=met,breached&rule=first-contact-hot",
        _CLOCKS.format("state IN ('met', 'breached') AND rule = 'first-contact-hot'", "deadline, clock_id"),
    ),
    Question("clocks of a lead", "/v1/clocks?lead={busy}", _CLOCKS.format("lead_id = $1", "deadline"), ("busy",)),
    Question(
        "breaches",
        "/v1/breaches",
        _CLOCKS.format("state IN ('breached', 'resolved')", "breached_at DESC, clock_id DESC"),
    ),
    Question(
        "breaches of an owner",
        "/v1/breaches?owner={owner}",
        _CLOCKS.format("state IN ('breached', 'resolved') AND owner = $1", "breached_at DESC, clock_id DESC"),
        ("owner",),
    ),
    Question("owners", "/v1/owners", "SELECT owner, count(*) FROM stages.leads WHERE owner IS NOT NULL GROUP BY owner"),
    Question(
        "deliveries",
        "/v1/subscriptions/{subscription}/deliveries",
        "SELECT * FROM delivery.deliveries WHERE subscription_id = $1 ORDER BY created_at DESC LIMIT 51",
        ("subscription",),
    ),
)

_QUARTER: Final = "now() - interval '90 days'"
_ATTAINED: Final = f"""SELECT {{}} AS key, count(*), count(*) FILTER (WHERE state = 'met'),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY response_seconds)
FROM sla.clocks WHERE started_at >= {_QUARTER} AND state <> 'late_start' GROUP BY 1 ORDER BY 1 LIMIT 51"""
# What the steps after the first come to, without their times: the least that a funnel must read.
_STEPS: Final = f"""SELECT to_stage, count(DISTINCT lead_id) FROM stages.transitions WHERE occurred_at >= {_QUARTER}
GROUP BY to_stage UNION ALL SELECT 'lead', count(*) FROM scoring.history
WHERE number = 1 AND received_at >= {_QUARTER}"""
_OUTCOMES: Final = f"""SELECT t.lead_id, h.received_at, h.body FROM stages.transitions AS t
JOIN scoring.history AS h USING (lead_id)
WHERE t.to_stage IN ('mql', 'opportunity', 'customer') AND t.occurred_at >= {_QUARTER}"""
_CONTACTS: Final = f"""SELECT count(*) FROM stages.transitions AS t JOIN stages.history AS h USING (lead_id)
WHERE t.to_stage = 'mql' AND t.occurred_at >= {_QUARTER} AND h.body IS NOT NULL"""
_KEYS: Final = {"owner": "owner", "team": "team", "clock": "rule", "week": "date_trunc('week', started_at)::text"}
_REPORTS: Final = (
    *(Question(f"attainment by {by}", f"/v1/attainment?by={by}", _ATTAINED.format(key)) for by, key in _KEYS.items()),
    Question("funnel", "/v1/funnel", _STEPS),
    *(Question(f"funnel by {by}", f"/v1/funnel?by={by}", _STEPS) for by in ("source", "campaign", "owner", "week")),
    *(
        Question(f"attribution by {by}, {model}", f"/v1/attribution?by={by}&model={model}", _OUTCOMES)
        for by, model in (("source", "first"), ("campaign", "last"), ("source", "linear"))
    ),
    Question("first contact", "/v1/first-contact", _CONTACTS),
)
QUESTIONS: Final = (*_LISTS, *_LEADS_PARTS, *_SALES, *_REPORTS)
