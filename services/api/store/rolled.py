"""What reports are counted from, in two shapes: as kept in tables of the api's own, and as it follows from what the
services publish. The tables hold what these queries give (ADR 18); while they don't yet, reports read the queries.

Each query is of all leads, or of those that `leads`, `moves` and `nobodies` choose: conditions on leads, on
transitions, and on what remains of erased leads (ADR 21).
"""

from collections.abc import Awaitable, Callable
from typing import Final, Literal, NamedTuple

from shared.events.sales import AMOUNT_MAX

# Where each step leads to. A lead enters the first one by being there.
NEXT: Final = {
    "lead": "mql",
    "mql": "sal",
    "sal": "sql",
    "sql": "opportunity",
    "opportunity": "customer",
    "customer": None,
}
OUTCOMES: Final = ("mql", "opportunity", "customer")

Model = Literal["first", "last", "linear"]
# Which touches of an outcome count, and what of it each of them gets. Exactly: days add up and lose shares again.
MODELS: Final[dict[Model, tuple[str, str]]] = {
    "first": ("is_first", "1::numeric"),
    "last": ("is_last", "1::numeric"),
    "linear": ("true", "touches::numeric / touches_of_all"),
}
# What other producers put on the log is bounded by nobody: a sum or a share of it might be no number any more.
IS_AMOUNT: Final = f"coalesce(amount = 0 OR amount BETWEEN 1e-9 AND {AMOUNT_MAX}, false)"

_STEPS: Final = ", ".join(f"('{stage}', '{to}')" if to else f"('{stage}', NULL)" for stage, to in NEXT.items())
_STAGES: Final = ", ".join(f"'{stage}'" for stage in NEXT)
_OUTCOMES: Final = ", ".join(f"'{stage}'" for stage in OUTCOMES)
# Leads of which the api counts what remains (store/nobodies.py), while services may still hold them.
ERASED: Final = "SELECT lead_id FROM api.erasures WHERE done_at IS NULL"
_KNOWN: Final = f"""(SELECT lead_id, first_source AS source, campaign FROM scoring.published_leads
    WHERE {{leads}} AND lead_id NOT IN ({ERASED}))"""
_MOVES: Final = f"(SELECT * FROM stages.published_transitions WHERE {{moves}} AND lead_id NOT IN ({ERASED}))"

# Of each lead that scoring knows, when it began: with its first input, or with what sales did before that came in. That
# input is looked up in the lead's own history, and once (hence OFFSET): a planner without statistics would rather go
# through the first inputs of all leads, for each.
LEADS: Final = f"""SELECT known.lead_id, least(first.at, moved.first_at) AS began_at, moved.left_at, known.source,
    known.campaign
FROM {_KNOWN} AS known
JOIN LATERAL (SELECT coalesce({{began}}, (
    SELECT of.received_at FROM (
        SELECT number, received_at FROM scoring.published_history AS h WHERE h.lead_id = known.lead_id OFFSET 0) AS of
    WHERE of.number = 1)) AS at OFFSET 0) AS first ON first.at IS NOT NULL
CROSS JOIN LATERAL (
    SELECT min(occurred_at) AS first_at, min(occurred_at) FILTER (WHERE to_stage = 'mql') AS left_at
    FROM stages.published_transitions AS t WHERE t.lead_id = known.lead_id) AS moved
UNION ALL SELECT lead_id, began_at, left_at, source, campaign FROM (
    SELECT nobody_id AS lead_id, * FROM api.nobodies) AS nobody
WHERE began_at IS NOT NULL AND {{nobodies}}"""

# Each later entry: when it led to the next stage, whether it is the lead's only one of this stage, and when sales made
# contact after it.
ENTRIES: Final = f"""SELECT t.lead_id, t.version, t.to_stage COLLATE "C" AS stage, t.occurred_at AS entered_at,
    others.left_at, others.is_only, t.implied AS is_implied, contact.contacted_at, t.owner, known.source, known.campaign
FROM {_MOVES} AS t JOIN (VALUES {_STEPS}) AS step (stage, following) ON step.stage = t.to_stage
LEFT JOIN {_KNOWN} AS known USING (lead_id)
CROSS JOIN LATERAL (
    SELECT min(o.occurred_at) FILTER (WHERE o.to_stage = step.following AND o.version > t.version) AS left_at,
        step.stage <> 'lead' AND count(*) FILTER (WHERE o.to_stage = step.stage) = 1 AS is_only
    FROM stages.published_transitions AS o WHERE o.lead_id = t.lead_id) AS others
CROSS JOIN LATERAL (
    SELECT min(a.occurred_at) AS contacted_at FROM stages.published_actions AS a
    WHERE step.stage = 'mql' AND a.lead_id = t.lead_id AND a.action = 'contacted' AND a.ignored IS NULL
        AND a.occurred_at >= t.occurred_at) AS contact
UNION ALL SELECT lead_id, version, stage, entered_at, left_at, is_only, is_implied, contacted_at, owner, source,
    campaign
FROM (SELECT nobody_id AS lead_id, * FROM api.nobody_entries) AS nobody WHERE stage IN ({_STAGES}) AND {{nobodies}}"""

# An outcome is a stage entered by itself and not implied; its amount is that of the action that made it. A touch is an
# activity that happened by then and bears a source (or campaign). A row has all touches of one key; without any the key
# is null. Looked up lead by lead (hence OFFSET): the planner would rather open the whole history.
TOUCHES: Final = f"""WITH outcomes AS MATERIALIZED (
    SELECT t.lead_id, t.version, t.to_stage AS stage, t.occurred_at AS entered_at, a.amount, a.currency
    FROM {_MOVES} AS t LEFT JOIN LATERAL (
        SELECT amount, currency FROM stages.published_actions AS one
        WHERE one.lead_id = t.lead_id AND one.event_id = t.cause_id OFFSET 0) AS a ON true
    WHERE t.to_stage IN ({_OUTCOMES}) AND NOT t.implied),
done AS MATERIALIZED (
    SELECT o.lead_id, h.number, h.at, of.kind, of.key FROM (SELECT DISTINCT lead_id FROM outcomes) AS o
    CROSS JOIN LATERAL (
        SELECT number, least(occurred_at, received_at) AS at, source, campaign FROM scoring.published_history AS one
        WHERE one.lead_id = o.lead_id AND one.kind = 'activity' OFFSET 0) AS h
    CROSS JOIN LATERAL (VALUES ('source', h.source), ('campaign', h.campaign)) AS of (kind, key)
    WHERE of.key IS NOT NULL),
touched AS (
    SELECT o.*, wanted.kind, d.key, row_number() OVER in_order AS place, count(d.key) OVER of_outcome AS of_all
    FROM outcomes AS o CROSS JOIN (VALUES ('source'), ('campaign')) AS wanted (kind)
    LEFT JOIN done AS d ON d.lead_id = o.lead_id AND d.kind = wanted.kind AND d.at <= o.entered_at
    WINDOW of_outcome AS (PARTITION BY o.lead_id, o.version, wanted.kind),
        in_order AS (PARTITION BY o.lead_id, o.version, wanted.kind ORDER BY d.at, d.number))
SELECT lead_id, version, kind COLLATE "C" AS kind, key, stage COLLATE "C" AS stage, entered_at, amount, currency,
    count(*)::integer AS touches, greatest(of_all, 1)::integer AS touches_of_all, bool_or(place = 1) AS is_first,
    bool_or(place = greatest(of_all, 1)) AS is_last
FROM touched GROUP BY lead_id, version, kind, key, stage, entered_at, amount, currency, of_all
UNION ALL SELECT * FROM api.nobody_touches AS nobody (lead_id) WHERE {{nobodies}}"""


class Rolled(NamedTuple):
    """What a report puts after WITH and after FROM; `name` is the type of names there, which `names` tells as text."""

    head: str
    leads: str
    entries: str
    touches: str
    names: str
    name: str
    has_days: bool

    def named(self, parameter: str) -> str:
        """The name that is filled in as this parameter, as it stands there."""
        return f"md5(:{parameter})::uuid" if self.name == "uuid" else f":{parameter}"


# Which of the two a report reads now.
Reading = Callable[[], Awaitable[Rolled]]

KEPT: Final = Rolled(
    "",
    "api.report_leads",
    "api.report_entries",
    "api.report_touches",
    "api.report_names",
    "uuid",
    has_days=True,
)

# All that began in the period, or may have: by the first input, or by the first transition.
_BEGAN: Final = """lead_id IN (
    SELECT lead_id FROM scoring.published_first_inputs WHERE received_at >= :since AND received_at < :until
    UNION SELECT lead_id FROM stages.published_transitions
    WHERE version = 1 AND occurred_at >= :since AND occurred_at < :until)"""
_MOVED: Final = "occurred_at >= :since AND occurred_at < :until"
_MOVED_LEADS: Final = f"lead_id IN (SELECT lead_id FROM stages.published_transitions WHERE {_MOVED})"
# Exact, and slow in a large house.
PUBLISHED: Final = Rolled(
    f"""leads AS MATERIALIZED ({LEADS.format(leads=_BEGAN, began="NULL", nobodies="true")}),
entries AS MATERIALIZED ({ENTRIES.format(leads=_MOVED_LEADS, moves=_MOVED, nobodies="true")}),
touches AS MATERIALIZED ({TOUCHES.format(moves=_MOVED, nobodies="true")}),
""",
    "leads",
    "entries",
    "touches",
    "(SELECT NULL::text AS name_id, NULL::text AS name WHERE false)",
    "text",
    has_days=False,
)
